"""Shared by all Python tests: what one test forces must not reach the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import qsgd


@pytest.fixture(autouse=True)
def automatic_backend() -> Iterator[None]:
    """Returns to the best backend after every test, also after a failed one."""
    yield
    qsgd.set_backend("auto")
