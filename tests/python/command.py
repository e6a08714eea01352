"""The command `qsgd` as a user runs it: a process, and the form of its errors."""

from __future__ import annotations

import subprocess
import sys

COMMAND = [sys.executable, "-m", "qsgd"]
Result = subprocess.CompletedProcess[str]


def run(*arguments: object, **options: object) -> Result:
    """Runs the command in English, without a terminal."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def check_error(result: Result, code: int, *parts: str) -> None:
    """One line on standard error, of the agreed form, and the agreed exit code."""
    assert result.stderr.startswith("qsgd: error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr
    assert result.returncode == code
