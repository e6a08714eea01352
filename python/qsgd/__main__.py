"""Lets `python -m qsgd` run the command line."""

from __future__ import annotations

import sys

from qsgd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
