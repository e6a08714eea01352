"""rANS of the reference codec (FORMAT.md 7.6, ENCODER.md 8.4): tables and streams.

One pass per element in plain Python, for reading rather than for speed.
"""

from __future__ import annotations

import math

import numpy as np

from reference_bits import (
    Array,
    BitReader,
    Fields,
    pack_fields,
    read_varint,
    refuse,
    varint,
)
from reference_classes import (
    GROUP,
    choose_classes,
    class_fields,
    cost,
    fine_lg,
    lg,
    read_classes,
)
from reference_codes import Coding, Shared
from reference_tokens import extra_bits, tokens_of, tokens_to

LOW = 1 << 16  # a rANS state lies in [2^16, 2^32)
LANES_OF_A_GROUP = 16  # that share words
P_OF_CODE = (8, 9, 10, 12)

# -- ENCODER.md 8.4: tables and lanes ------------------------------------------------------------


def split_classes(tokens: Array, class_of: Array, number: int, c: Coding) -> list[bool]:
    """Whether each class has a table per half (step 2)."""
    split = [False] * number
    if c.halves is None:
        return split
    counts = [np.bincount(tokens[class_of == i]) * c.times for i in range(number)]
    costs = [cost(h) for h in counts]
    candidates = [len(h) <= 32 and 3 * int(h.max()) >= int(h.sum()) for h in counts]
    if 8 * sum(one for one, may in zip(costs, candidates, strict=True) if may) < sum(costs):
        return split
    gains = [0] * number
    for i in np.flatnonzero(candidates).tolist():
        held = [tokens[(class_of == i) & (c.halves == half)] for half in (0, 1)]
        parts = [np.bincount(own) * c.times for own in held]
        if all(part.any() for part in parts):
            gains[i] = max(0, costs[i] - sum(map(cost, parts)))
    worth = 256 * sum(gains) >= sum(costs)
    many = any(len(h) > 45 for h, gain in zip(counts, gains, strict=True) if gain == 0)
    if many and most_bits(number + sum(gain > 0 for gain in gains)) == 9:
        return split
    return [worth and gain > 0 for gain in gains]


def table_numbers(class_of: Array, split: list[bool], halves: Array | None) -> Array:
    """Number of each element's table, in the order in which they are written."""
    before = np.cumsum([0] + [1 + two for two in split])
    half = 0 if halves is None else np.array(split)[class_of] * halves
    return np.asarray(before[class_of] + half)


def mantissa_of(n: int, tables: int) -> int:
    """D: bits of a frequency after the first, at most."""
    e = max(1, n // tables).bit_length() - 1
    return 1 if e < 10 else 4 if e > 15 else (e - 7) // 2


def pairs_of(tokens: int, kmax: int) -> list[int]:
    """The lower tokens of pairs that stand for k and -k."""
    return list(range(1, min(tokens, 31 if kmax <= 15 else 15) - 1, 2))


def even_signs(h: list[int], kmax: int, most: int) -> tuple[bool, list[int]]:
    """Whether a table is symmetric, and the counts that it is made of (step 3)."""

    def weight(count: int) -> int:
        return count * lg(count) if count else 0

    pairs, loss, even = pairs_of(len(h), kmax), 0, list(h)
    for t in pairs:
        a, b = h[t : t + 2]
        loss += weight(a) + weight(b) + ((a + b) << 16) - weight(a + b)
        even[t] = even[t + 1] = (a + b + 1) >> 1
    return (True, even) if loss < len(pairs) * (4 + most) << 16 else (False, h)


def most_bits(tables: int) -> int:
    """The largest P that so many tables may have."""
    return max(p for p in P_OF_CODE if tables << p <= 1 << 13)


def frequencies(h: list[int], p: int, most: int, tables: int) -> tuple[int, list[int]]:
    """Mode token and frequency per token of one of the tables, which sum to 2^p (step 4)."""
    mode = h.index(max(h))
    share = (1 << (32 + p)) // sum(h)
    for half in (1, 0) if p in (12, most_bits(tables)) else (1,):
        f = [0] * len(h)
        for t, count in enumerate(h):
            if count and t != mode:
                v = count * share >> 16
                q = 16 + max(0, max(0, v.bit_length() - 17) - most)
                f[t] = max(1, (v + (half << (q - 1))) >> q << (q - 16))
        f[mode] = (1 << p) - sum(f)
        if f[mode] >= 1:
            break
    return mode, f


def bits_at(p: int, histograms: list[list[int]], most: int) -> float:
    """Bits of all tokens, times 2^16, at P; infinite if P is not possible."""
    total = 0
    for h in histograms:
        f = frequencies(h, p, most, len(histograms))[1]
        used = [(v, n) for v, n in zip(f, h, strict=True) if n]
        if min(used)[0] < 1:
            return math.inf
        total += sum(count * ((p << 16) - lg(v)) for v, count in used)
    return total


def choose_bits(histograms: list[list[int]], most: int, one: bool) -> int:
    """P (step 5); `one`: there is one class."""
    last = most_bits(len(histograms))
    finest = int(bits_at(12, histograms, most))
    limit = finest + (finest >> (9 if one else 8))
    coarse = [p for p in ((8, 9, 10) if one else (9, 10)) if p < last]
    return next((p for p in coarse if bits_at(p, histograms, most) <= limit), last)


def tail_shape(tokens: int, lanes: int, n: int) -> tuple[int, int]:
    """Base of a tail's digits, which are tokens, and number of them per lane."""
    base = max(2, tokens)
    return base, min(max(m for m in range(17) if base**m <= LOW), n // lanes)


def choose_lanes(bits: int, n: int, tokens: int) -> int:
    """Log2 of the number of lanes (step 6)."""
    each = tail_shape(tokens, 1, 16)[1]
    bits = min(bits, 16 * n // each)
    v = 2 * bits * n // ((72 if n < 32768 else 200) * (39 * n - 2 * each * bits))
    log2 = min(6, v.bit_length() - 1) if v else 0
    return log2 if n < 32768 else max(5, log2)


def rest_states(tokens: list[int], base: int, each: int, lanes: int) -> list[int]:
    """States that hold the tail, the last `each * lanes` tokens."""
    tail = tokens[len(tokens) - each * lanes :]
    return [
        LOW + sum(t * base**j for j, t in enumerate(tail[lane * each : (lane + 1) * each]))
        for lane in range(lanes)
    ]


def states_block(states: list[int]) -> bytes:
    """States of all lanes: where the highest bits are, then what is below them."""
    widths = [x.bit_length() - 1 for x in states]
    fields = [(width - 16, 4) for width in widths]
    fields += [(x - (1 << width), width) for x, width in zip(states, widths, strict=True)]
    return pack_fields(fields)


def table_fields(mode: int, f: list[int], most: int, mirrored: list[int] | None) -> Fields:
    """Bits of a table; None: not symmetric."""
    fields = [(len(f) - 1, 6), (mode, 6), (mirrored is not None, 1)]
    for t, value in enumerate(f):
        if t != mode and t not in (mirrored or ()):
            e = value.bit_length()
            d = min(e - 1, most) if e else 0
            fields.append((e, 4))
            fields.append(((value - (1 << (e - 1))) >> (e - 1 - d) if e else 0, d))
    return fields


def starts_of(f: list[int]) -> list[int]:
    """Sums of the frequencies below each token."""
    return [sum(f[:t]) for t in range(len(f))]


# -- 7.6 rANS: streams ---------------------------------------------------------------------------


def shared_bits(shared: Shared, counts: list[int]) -> float:
    """Bits of all tokens, times 2^16, with shared tables; infinite if a token has no frequency."""
    f = shared.entries
    if any(n and (t >= len(f) or not f[t]) for t, n in enumerate(counts)):
        return math.inf
    return sum(n * ((shared.p << 16) - lg(f[t])) for t, n in enumerate(counts) if n)


def fine_costs(counts: list[int], f: list[int], p: int, kmax: int) -> tuple[int, int]:
    """Bits of tokens, times 2^16, by the finer logarithm, and their variance (ENCODER.md 10.2)."""
    each = {t: (p << 16) - fine_lg(f[t]) for t, n in enumerate(counts) if n}
    cost = sum(counts[t] * bits for t, bits in each.items())
    for t in each:
        each[t] += 0 if kmax <= 15 or t < 15 else ((t - 15) // 4 + 2) << 16
    mean = sum(counts[t] * bits for t, bits in each.items()) // max(1, sum(counts))
    return cost, sum(counts[t] * (abs(bits - mean) >> 8) ** 2 for t, bits in each.items())


def price(fine: int, own: int, more: int, size: int, lanes_log2: int, n: int, c: Coding) -> int:
    """Bytes of a payload's body of n elements whose tokens, below `size`, take `fine` bits times
    2^16, their tables `own` bits, and which have `more` extra bits (ENCODER.md 10.2)."""
    length = n * c.weight
    bits = 8 + 16 * max(1, (1 << lanes_log2) // LANES_OF_A_GROUP) + own
    if c.kmax > 15 and size > 15:
        blocks = (length - 1) // 4096
        more *= c.weight
        bits += more + blocks * (more // (blocks + 1) + 1).bit_length()
    held = tail_shape(size, 1, 16)[1] * (fine // length)
    return (fine + (bits << 16) + ((39 << 15) - held << lanes_log2) + (7 << 16)) >> 19


def rans_encode(k: Array, c: Coding) -> tuple[bool, bytes]:
    """Whether tables are shared; else tables and group classes; states, words, extra bits."""
    n = len(k)
    tokens, extra, widths = tokens_of(k, c.kmax)
    classes = choose_classes(k, tokens, c)
    number = max(classes) + 1
    class_of = np.repeat(classes, GROUP)[:n]
    split = split_classes(tokens, class_of, number, c)
    table_of = table_numbers(class_of, split, c.halves)
    count = number + sum(split)
    histograms = [(np.bincount(tokens[table_of == i]) * c.times).tolist() for i in range(count)]
    most = mantissa_of(n * c.times, count)
    even = [even_signs(h, c.kmax, most) for h in histograms]
    histograms = [h for _, h in even]
    p = choose_bits(histograms, most, number == 1)
    bits = bits_at(p, histograms, most)
    fields: Fields = [(number - 1, 3)]
    if c.halves is not None:
        fields += [(two, 1) for two in split]
    tables = []
    for i in range(count):
        mode, f = frequencies(histograms[i], p, most, count)
        mirrored = [t + 1 for t in pairs_of(len(f), c.kmax) if mode not in (t, t + 1)]
        fields += table_fields(mode, f, most, mirrored if even[i][0] else None)
        tables.append((f, starts_of(f)))
    if number > 1:
        fields += class_fields(classes)
    all_counts = (np.bincount(tokens) * c.times).tolist()
    theirs = math.inf if c.shared is None else shared_bits(c.shared, all_counts)
    own = sum(width for _, width in fields)
    if number > 1:
        own += (c.times - 1) * sum(width for _, width in class_fields(classes))
    shared = theirs <= bits + (own << 16)
    if c.shared is not None and shared:
        bits, p, table_of = theirs, c.shared.p, np.zeros(n, np.int64)
        tables = [(list(c.shared.entries), starts_of(list(c.shared.entries)))]
    size = max(len(f) for f, _ in tables)
    lanes_log2 = choose_lanes(int(bits) >> 16, n * c.times, size)
    if c.weight:
        used = [all_counts] if shared else histograms
        costs = [fine_costs(h, f, p, c.kmax) for h, (f, _) in zip(used, tables, strict=True)]
        fine = sum(cost for cost, _ in costs)
        if c.spread is not None:
            c.spread[:] = [sum(spread for _, spread in costs)]
        more = int(widths.sum()) if c.kmax > 15 and size > 15 else 0
        return shared, bytes(price(fine, 0 if shared else own, more, size, lanes_log2, n, c))
    states, words = rans_push(tokens.tolist(), table_of.tolist(), tables, 1 << lanes_log2, p)
    head = bytes([lanes_log2])
    if not shared:
        head = bytes([lanes_log2 | P_OF_CODE.index(p) << 4]) + pack_fields(fields)
    for group in words if c.kmax > 15 and size > 15 else words[:-1]:
        head += varint(len(group))
    head += states_block(states)
    head += b"".join(np.array(group, "<u2").tobytes() for group in words)
    return shared, head + extra_bits(extra, widths, c.kmax, size)


def rans_push(
    tokens: list[int],
    table_of: list[int],
    tables: list[tuple[list[int], list[int]]],
    lanes: int,
    p: int,
) -> tuple[list[int], list[list[int]]]:
    """States and groups' words that the decoder starts from; the last of the body goes first."""
    base, each = tail_shape(max(len(f) for f, _ in tables), lanes, len(tokens))
    states = rest_states(tokens, base, each, lanes)
    words: list[list[int]] = [[] for _ in range(0, lanes, LANES_OF_A_GROUP)]
    shift = 32 - p
    for i in range(len(tokens) - each * lanes - 1, -1, -1):
        f, starts = tables[table_of[i]]
        t = tokens[i]
        x, ft = states[i % lanes], f[t]
        if x >> shift >= ft:
            words[i % lanes // LANES_OF_A_GROUP].append(x & 65535)
            x >>= 16
        states[i % lanes] = (x // ft << p) + x % ft + starts[t]
    return states, [group[::-1] for group in words]


def read_table(
    r: BitReader, p: int, most: int, kmax: int, limit: int
) -> tuple[list[int], list[int], list[int]]:
    """Frequencies, starts, and the token of every slot, of at most `limit` tokens."""
    size, mode, symmetric = r.field(6) + 1, r.field(6), r.field(1)
    refuse(size > limit or mode >= size, "token out of range in a table")
    pairs = pairs_of(size, kmax) if symmetric else []
    f = [0] * size
    for t in range(size):
        if t - 1 in pairs and mode not in (t - 1, t):
            f[t] = f[t - 1]
        elif t != mode:
            e = r.field(4)
            refuse(e > 12, "frequency out of range")
            if e:
                d = min(e - 1, most)
                f[t] = (1 << (e - 1)) + (r.field(d) << (e - 1 - d))
    f[mode] = (1 << p) - sum(f)
    refuse(f[mode] < 1 or f[-1] == 0, "frequencies do not make a table")
    return with_slots(f)


def with_slots(f: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Frequencies with their starts, and the token of every slot."""
    return f, starts_of(f), [t for t, value in enumerate(f) for _ in range(value)]


def rans_decode(data: bytes, n: int, c: Coding, shared: Shared | None) -> Array:
    """Inverse of `rans_encode`."""
    refuse(not data, "payload ends early")
    groups_of_n = (n + GROUP - 1) // GROUP
    lanes_log2 = data[0] & 15
    refuse(not (0 if n < 32768 else 5) <= lanes_log2 <= 8, "number of lanes out of range")
    refuse(data[0] >> (6 if shared is None else 4) != 0, "reserved bits")
    lanes = 1 << lanes_log2
    if shared is None:
        p = P_OF_CODE[data[0] >> 4]
        r = BitReader(data[1:], False)
        number = 1 + r.field(3)
        split = [c.halves is not None and r.field(1) == 1 for _ in range(number)]
        refuse((number + sum(split)) << p > 1 << 13, "more slots than 2^13")
        most = mantissa_of(n, number + sum(split))
        limits = [32 if two else 63 for two in split for _ in range(1 + two)]
        tables = [read_table(r, p, most, c.kmax, limit) for limit in limits]
        classes = read_classes(r, groups_of_n, number)
        at = 1 + r.align()
    else:
        p, classes, at = shared.p, [0] * groups_of_n, 1
        split = [False]
        tables = [with_slots(list(shared.entries))]
    size = max(len(f) for f, _, _ in tables)
    more, counts = c.kmax > 15 and size > 15, []
    for _ in range(max(1, lanes // LANES_OF_A_GROUP) - (not more)):
        count, at = read_varint(data, at)
        counts.append(count)
    r = BitReader(data[at:], False)
    widths = [16 + r.field(4) for _ in range(lanes)]
    states = [1 << width | r.field(width) for width in widths]
    start = at + r.align()
    end = start + 2 * sum(counts) if more else len(data)
    refuse(start + 2 * sum(counts) > len(data) or (end - start) % 2 == 1, "words end early")
    if not more:
        counts.append((end - start) // 2 - sum(counts))
    groups = []
    for count in counts:  # an element takes at most one word, so running out shows in `used`
        groups.append(np.frombuffer(data[start : start + 2 * count], "<u2").tolist() + [0] * n)
        start += 2 * count
    table_of = table_numbers(np.repeat(classes, GROUP)[:n], split, c.halves)
    per_element = [tables[i] for i in table_of.tolist()]
    tokens, used, mask = [], [0] * len(counts), (1 << p) - 1
    base, each = tail_shape(size, lanes, n)
    for i, (f, starts, slots) in enumerate(per_element[: n - each * lanes]):
        x = states[i % lanes]
        slot = x & mask
        t = slots[slot]
        x = f[t] * (x >> p) + slot - starts[t]
        if x < LOW:
            g = i % lanes // LANES_OF_A_GROUP
            x = x << 16 | groups[g][used[g]]
            used[g] += 1
        states[i % lanes] = x
        tokens.append(t)
    refuse(used != counts, "words run out or are left over")
    rests = [x - LOW for x in states]
    refuse(any(x >= base**each for x in rests), "final state is no rest state")
    tail = [x // base**j % base for x in rests for j in range(each)]
    for t, (f, _, _) in zip(tail, per_element[n - each * lanes :], strict=True):
        refuse(t >= len(f) or f[t] == 0, "token of the tail without frequency")
    tokens += tail
    return tokens_to(np.array(tokens, dtype=np.int64), data[end:], c.kmax, size)
