"""The exceptions of the package.

`QsgdError`: a status of the C library with what it knows about the place; raised by the compiled
module (`QsgdError.build`) and by the Python layer's own checks of arguments. The others are of
files and of packages that are missing.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["EndingError", "FileError", "MissingPackageError", "QsgdError"]


class FileError(ValueError):
    """A file that is damaged, or holds what qsgd or its format cannot carry."""


class EndingError(FileError):
    """A file name whose ending says nothing, or the wrong thing."""


class MissingPackageError(ImportError):
    """An optional package is needed for what was asked."""


class QsgdError(ValueError):
    """An argument, a tensor or a frame that cannot be used. The message is one line.

    Attributes
    ----------
    status : int
        The pinned number of the cause, as `QSGD_ERR_*` in qsgd.h; always negative.
    name : str
        Its name, such as "QSGD_ERR_MAGIC".
    parameter : str or None
        The argument at fault.
    offset : int or None
        Byte offset from the frame's (in `split`: the buffer's) first byte.
    element, bucket : int or None
        Index in the flattened tensor, and number of the bucket.
    frame : int or None
        In `decode_sum`: which of the frames.
    needed : int or None
        Bytes that suffice for the buffer that is too small.
    digest : str or None
        Of the shared tables that a frame names and the decoder was not given
        ("QSGD_ERR_SHARED_TABLES").
    reason : str
        The cause alone, without argument and place.
    """

    status: int
    name: str
    parameter: str | None
    offset: int | None
    element: int | None
    bucket: int | None
    frame: int | None
    needed: int | None
    digest: str | None
    reason: str

    def __init__(
        self,
        message: str,
        *,
        status: int = -10,
        name: str = "QSGD_ERR_PARAM",
        parameter: str | None = None,
        offset: int | None = None,
        element: int | None = None,
        bucket: int | None = None,
        frame: int | None = None,
        needed: int | None = None,
        digest: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.parameter = parameter
        self.offset = offset
        self.element = element
        self.bucket = bucket
        self.frame = frame
        self.needed = needed
        self.digest = digest
        self.reason = message if reason is None else reason

    @classmethod
    def build(
        cls, status: int, name: str, reason: str, parameter: str | None, **place: Any
    ) -> QsgdError:
        """Makes the message: frame, argument, reason, place. Called by the compiled module.

        `place` holds offset, element, bucket, frame, needed and digest, None where there is none.
        """
        message = reason or name
        if parameter is not None and not re.search(rf"\b{re.escape(parameter)}\b", message):
            message = f"{parameter}: {message}"
        if place["digest"] is not None:
            message = f"{message}: digest {place['digest']}"
        labels = {"offset": "byte", "element": "element", "bucket": "bucket"}
        places = [
            f"{label} {place[key]}" for key, label in labels.items() if place[key] is not None
        ]
        if places:
            message = f"{message} (at {', '.join(places)})"
        if place["frame"] is not None:
            message = f"frame {place['frame']}: {message}"
        return cls(message, status=status, name=name, parameter=parameter, reason=reason, **place)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[QsgdError], args: tuple[Any, ...], state: dict[str, Any]) -> QsgdError:
    error = cls(*args)
    error.__dict__.update(state)
    return error
