"""Hypothesis strategies for fuzzing code that sends tensors as frames.

Draw codecs, tensors, frames and damaged frames, and feed them to your own RPC. `crc32c`,
`layout_of`, `repair` and `replace_payload` build further damage by hand. Needs the package
hypothesis, which no other module of qsgd imports.

>>> from hypothesis import given
>>> import qsgd
>>> from qsgd.testing import damaged_frames
>>> @given(damaged_frames())
... def test_handler_refuses_or_decodes(frame):
...     try:
...         qsgd.decode(frame, max_elements=10_000)
...     except qsgd.QsgdError:
...         pass
"""

from __future__ import annotations

try:
    import hypothesis as _hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError(
        "qsgd.testing needs the package 'hypothesis': pip install hypothesis"
    ) from error

from qsgd.testing.codec_strategies import codecs, shared_tables
from qsgd.testing.damage import DAMAGES
from qsgd.testing.frame_parts import Layout, crc32c, layout_of, repair, replace_payload
from qsgd.testing.frame_strategies import damaged_frames, frames
from qsgd.testing.tensor_strategies import tensors

__all__ = [
    "DAMAGES",
    "Layout",
    "codecs",
    "crc32c",
    "damaged_frames",
    "frames",
    "layout_of",
    "repair",
    "replace_payload",
    "shared_tables",
    "tensors",
]
