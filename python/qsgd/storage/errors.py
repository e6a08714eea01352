"""What is wrong with a file, as exceptions."""

from __future__ import annotations


class FileError(ValueError):
    """A file that is damaged, or holds what qsgd or its format cannot carry."""


class EndingError(FileError):
    """A file name whose ending says nothing, or the wrong thing."""
