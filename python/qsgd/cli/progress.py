"""Progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Passes items through, with a bar on a terminal's standard error if rich is installed."""
    if total > 1 and sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import track
        except ImportError:
            pass
        else:
            console = Console(stderr=True)
            yield from track(items, label, total=total, console=console, transient=True)
            return
    yield from items
