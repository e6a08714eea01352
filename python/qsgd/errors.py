"""The one exception of the package: a status of the C library with what it knows about the place.

Raised by the compiled module (`QsgdError.build`) and by the Python layer's own checks of arguments.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["QsgdError"]


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
    digest : str or None
        Of the shared tables that a frame names and the decoder was not given ("QSGD_ERR_TABLES").
    reason : str
        The cause alone, without argument and place.
    """

    status: int
    name: str
    parameter: str | None
    offset: int | None
    element: int | None
    bucket: int | None
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
        self.digest = digest
        self.reason = message if reason is None else reason

    @classmethod
    def build(
        cls,
        status: int,
        name: str,
        reason: str,
        parameter: str | None,
        offset: int | None,
        element: int | None,
        bucket: int | None,
        digest: str | None,
    ) -> QsgdError:
        """Makes the message: argument, reason, place. Called by the compiled module."""
        message = reason or name
        if parameter is not None and not re.search(rf"\b{re.escape(parameter)}\b", message):
            message = f"{parameter}: {message}"
        if digest is not None:
            message = f"{message}: digest {digest}"
        places = [
            f"{label} {value}"
            for label, value in (("byte", offset), ("element", element), ("bucket", bucket))
            if value is not None
        ]
        if places:
            message = f"{message} (at {', '.join(places)})"
        return cls(
            message,
            status=status,
            name=name,
            parameter=parameter,
            offset=offset,
            element=element,
            bucket=bucket,
            digest=digest,
            reason=reason,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(cls: type[QsgdError], args: tuple[Any, ...], state: dict[str, Any]) -> QsgdError:
    error = cls(*args)
    error.__dict__.update(state)
    return error
