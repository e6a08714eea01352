"""Frames of any codec and tensor, right ones and damaged ones."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import event
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from qsgd.codec import Codec
from qsgd.testing.codec_strategies import codecs
from qsgd.testing.damage import DAMAGES
from qsgd.testing.tensor_strategies import Array, tensors


@st.composite
def frames(
    draw: DrawFn,
    codec: SearchStrategy[Codec] | None = None,
    tensor: SearchStrategy[Array] | None = None,
) -> bytes:
    """Well-formed frames of any codec and tensor, some with a tag.

    Parameters
    ----------
    codec : SearchStrategy[Codec], optional
        Default: `codecs()`.
    tensor : SearchStrategy[numpy.ndarray], optional
        Default: `tensors()`.

    Returns
    -------
    SearchStrategy[bytes]

    Examples
    --------
    >>> @given(st.lists(frames()))
    ... def test_my_stream_is_cut_where_it_was_joined(parts):
    ...     assert [bytes(f) for f in my_stream(b"".join(parts))] == parts
    """
    chosen = draw(codecs() if codec is None else codec)
    x = draw(tensors() if tensor is None else tensor)
    tag = draw(st.just(b"") | st.binary(max_size=40))
    return chosen.encode(x, nonce=draw(st.integers(0, 2**64 - 1)), tag=tag)


@st.composite
def damaged_frames(
    draw: DrawFn,
    frame: SearchStrategy[bytes] | None = None,
    kinds: Sequence[str] = tuple(DAMAGES),
) -> bytes:
    """Bytes that a stranger might send: damaged, forged, cut, joined or random.

    Half of the kinds repair every checksum after the damage, so that it reaches the checks behind
    them. By chance the result may still be a right frame: test that your code decodes it or refuses
    it, not that it refuses it.

    Parameters
    ----------
    frame : SearchStrategy[bytes], optional
        What to damage; default `frames()`.
    kinds : sequence of str
        Keys of `qsgd.testing.DAMAGES`; the kind drawn is reported as a hypothesis event.

    Returns
    -------
    SearchStrategy[bytes]

    Examples
    --------
    >>> @given(damaged_frames(kinds=["repaired payload"]))
    ... def test_accumulator_is_untouched_by_bad_frames(frame):
    ...     acc = np.zeros(qsgd.inspect(frame).shape, np.float32)
    ...     try:
    ...         qsgd.decode_add(frame, acc, atomic=True)
    ...     except qsgd.QsgdError:
    ...         assert not acc.any()
    """
    base = frames() if frame is None else frame
    kind = draw(st.sampled_from(list(kinds)))
    event(f"damage: {kind}")
    whole = draw(base)
    return DAMAGES[kind](draw, whole, draw(base) if kind == "spliced" else whole)
