"""docs/embedding.md shows what tests/consumers compiles and runs: parts of those files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "embedding.md"
LANGUAGES = {"c", "cpp", "rust", "python", "cmake"}


def quoted() -> list[tuple[str, str]]:
    """Blocks of code, each with the file that was named last before it."""
    found = []
    path = ""
    pattern = r"^\[(tests/\S+)\]\(\.\./\1\)|^```(\w+)\n(.*?)^```$"
    for match in re.finditer(pattern, DOCUMENT.read_text(), re.S | re.M):
        if match[1]:
            path = match[1]
        else:
            assert match[2] in LANGUAGES
            found.append((path, match[3]))
    return found


@pytest.mark.parametrize(("path", "block"), quoted())
def test_blocks_are_parts_of_the_files(path: str, block: str) -> None:
    lines = [line.strip() for line in block.splitlines()]
    text = [line.strip() for line in (ROOT / path).read_text().splitlines()]
    places = range(len(text) - len(lines) + 1)
    assert any(text[place : place + len(lines)] == lines for place in places), block


def test_every_language_is_there() -> None:
    assert len(quoted()) >= 10
    text = DOCUMENT.read_text()
    assert all(f"```{language}\n" in text for language in LANGUAGES)
