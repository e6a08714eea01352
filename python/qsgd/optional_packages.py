"""Packages that only some uses need: imported late, and named if they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from qsgd.errors import MissingPackageError


def optional(package: str, purpose: str) -> Any:
    """Imports an optional package.

    Raises
    ------
    MissingPackageError
        With a sentence that names the package, the purpose and the cure.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        # Something inside an installed package may be what is missing: then say that instead.
        if error.name is not None and error.name.split(".")[0] != package.split(".")[0]:
            raise MissingPackageError(f"{package} does not import: {error}") from error
        root = package.split(".")[0]
        raise MissingPackageError(
            f"{purpose} needs the package '{root}': pip install {root}"
        ) from None
