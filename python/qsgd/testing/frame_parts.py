"""Finds the parts of a frame and repairs its checksums, in plain Python.

Serves qsgd.testing: damage behind a right checksum reaches the decoders of header, index and
symbols, which a plain bit flip never does. Written from FORMAT.md sections 2 to 6, not from the C
library.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

EXACT_CODES = (0, 11)  # raw and lossless
CHECKSUM_FLAG = 1
LEVELS_WITH_S = (0, 1)  # uniform, exponential: the level parameter is the varint s
LEVELS_OPEN = 4  # the level parameter is a float32 step


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)  # 0x1EDC6F41 reflected
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """CRC-32C (Castagnoli) of `data`, as frames store it (FORMAT.md section 2).

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in bytes(data):
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


class Layout(NamedTuple):
    """Where the parts of a frame are; all numbers are bytes but `checksum` and `elements`."""

    checksum: bool  # whether index and payloads are checked
    elements: int
    header: int  # length of prefix and header, CRC included: start of the index
    index_end: int
    payloads: list[tuple[int, int]]  # start and end of every chunk's payload

    @property
    def entry(self) -> int:
        """Length of one entry of the chunk index."""
        return 8 if self.checksum else 4


class _Reader:
    """Takes fields off a header, in order."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.data, self.offset = data, offset

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.offset]
            self.offset += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


def chunk_counts(elements: int, bucket: int, chunk_log2: int, exact: bool) -> tuple[int, int]:
    """Numbers of buckets and chunks (FORMAT.md section 5)."""
    if elements == 0:
        return 0, 0
    chunk = 1 << chunk_log2
    if exact:
        return 0, -(-elements // chunk)
    length = bucket if 0 < bucket <= elements else elements
    buckets = -(-elements // length)
    if length <= chunk:
        return buckets, -(-elements // (chunk // length * length))
    last = elements - (buckets - 1) * length
    return buckets, (buckets - 1) * -(-length // chunk) + -(-last // chunk)


def layout_of(frame: bytes) -> Layout:
    """Finds the parts of a well-formed frame.

    Parameters
    ----------
    frame : bytes
        A frame as an encoder wrote it. Damaged frames give a wrong layout or an IndexError.

    Returns
    -------
    Layout
    """
    checksum = bool(frame[5] & CHECKSUM_FLAG)
    (header,) = struct.unpack_from("<H", frame, 6)
    exact, levels, dims = frame[17] in EXACT_CODES, frame[19], frame[20]
    reader = _Reader(frame, 23)
    bucket = 0 if exact else reader.varint()
    if not exact and levels in LEVELS_WITH_S:
        reader.varint()
    elif not exact and levels == LEVELS_OPEN:
        reader.offset += 4
    elements = 1
    for _ in range(dims & 15):
        elements *= reader.varint()
    _, chunks = chunk_counts(elements, bucket, (dims >> 4) + 10, exact)
    index_end = header + chunks * (8 if checksum else 4)
    start = index_end + (4 if checksum else 0)
    payloads = []
    for chunk in range(chunks):
        (length,) = struct.unpack_from("<I", frame, header + chunk * (8 if checksum else 4))
        payloads.append((start, start + length))
        start += length
    return Layout(checksum, elements, header, index_end, payloads)


def repair(frame: bytes | bytearray, layout: Layout) -> bytes:
    """Recomputes every checksum of a frame.

    Parameters
    ----------
    frame : bytes or bytearray
        Bytes in which content was changed, but no part was moved.
    layout : Layout
        Of these bytes.

    Returns
    -------
    bytes
        The same with right checksums of payloads, of the index, and of the header.
    """
    data = bytearray(frame)
    if layout.checksum:
        for chunk, (start, stop) in enumerate(layout.payloads):
            entry = layout.header + 8 * chunk
            struct.pack_into("<I", data, entry + 4, crc32c(data[start:stop]))
        index_crc = crc32c(data[layout.header : layout.index_end])
        struct.pack_into("<I", data, layout.index_end, index_crc)
    header_crc = crc32c(data[: layout.header - 4])
    struct.pack_into("<I", data, layout.header - 4, header_crc)
    return bytes(data)


def replace_payload(frame: bytes, layout: Layout, chunk: int, payload: bytes) -> bytes:
    """Puts other bytes, of any length, in place of a chunk's payload and repairs the frame.

    Parameters
    ----------
    frame : bytes
        A well-formed frame.
    layout : Layout
        Of that frame.
    chunk : int
        Which chunk, from 0.
    payload : bytes
        The new payload.

    Returns
    -------
    bytes
        A frame whose lengths and checksums are right.
    """
    start, stop = layout.payloads[chunk]
    data = bytearray(frame[:start] + payload + frame[stop:])
    struct.pack_into("<Q", data, 8, len(data))
    struct.pack_into("<I", data, layout.header + layout.entry * chunk, len(payload))
    moved = len(payload) - (stop - start)
    payloads = [
        (a + moved * (i > chunk), b + moved * (i >= chunk))
        for i, (a, b) in enumerate(layout.payloads)
    ]
    return repair(data, layout._replace(payloads=payloads))
