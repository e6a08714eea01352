"""What ends a command, beside the errors of the package."""

from __future__ import annotations


class UsageError(Exception):
    """Options that make no sense; the text is for the user."""


class DamageError(Exception):
    """A file did not pass verification; the report is already printed."""


class Terminated(BaseException):
    """SIGTERM came: unwind, so that temporary files go."""
