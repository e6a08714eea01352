"""Exit codes of the command, and what error ends in which."""

from __future__ import annotations

from qsgd.cli.errors import DamageError, Terminated, UsageError
from qsgd.errors import EndingError, FileError, MissingPackageError, QsgdError

OK, DATA, USAGE, MISSING, SYSTEM, BUG = range(6)
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # 128 + the signal's number, as shells do
PARAMETER_STATUS = range(-19, -9)  # QsgdError.status of parameters that are illegal

EPILOG = """\
exit codes:
  0    done
  1    the data: a damaged or unreadable file, NaN or Inf to encode, a failed verification
  2    usage: unknown or illegal options or names
  3    an optional package is missing
  4    the system: no such file, no permission, disk full, out of memory
  5    a bug in qsgd; please report it
  130  interrupted (Ctrl-C); 141: the reader of the output went away; 143: terminated
Errors are one line on standard error. An output file appears complete or not at all.
"""


def classify(error: BaseException) -> tuple[int, str]:
    """Exit code and text of an error; an empty text prints nothing."""
    text = str(error)
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case Terminated():
            return TERMINATED, "terminated"
        case BrokenPipeError():
            return BROKEN_PIPE, ""
        case UsageError() | EndingError():
            return USAGE, text
        case QsgdError():
            return (USAGE if error.status in PARAMETER_STATUS else DATA), text
        case FileError() | DamageError():
            return DATA, text
        case MissingPackageError():
            return MISSING, text
        case MemoryError():
            return SYSTEM, "out of memory" + (f": {text}" if text else "")
        case OSError():
            reason = error.strerror or text
            return SYSTEM, f"{error.filename}: {reason}" if error.filename else reason
    return BUG, f"a bug in qsgd, please report it: {type(error).__name__}: {text}"
