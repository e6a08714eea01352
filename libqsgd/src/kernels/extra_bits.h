/* Kernel bodies of tokens with extra bits (FORMAT.md section 7.4): the sign and the low bits of
 * indices from 8 on, in one LSB-first stream. Stage: index <-> token.
 *
 * A token and its extra bits together are 2 |k| + (1 if k < 0), as t + 1 is of a whole token; here
 * that is an element's *code*. */
#ifndef QSGD_KERNELS_EXTRA_BITS_H
#define QSGD_KERNELS_EXTRA_BITS_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/extra_widths.h"
#include "kernels/tokens.h"

#ifdef W_SCAN
#include "kernels/extra_scan.h"
#else
/* An index of its code. */
BODY int16_t extra_index(uint32_t code) {
    const int32_t m = (int32_t)(code >> 1);
    return (int16_t)((code & 1) != 0 ? -m : m);
}

/* ---- read ------------------------------------------------------------------------------------ */

/* The next bits, 56 at least; zeros past the end. */
BODY uint64_t extra_peek(const struct extra_stream *s) {
    const uint64_t at = s->bit >> 3;
    if (s->bytes >= 8 && at <= s->bytes - 8) return load_le64(s->base + at) >> (s->bit & 7);
    uint64_t bits = 0;
    for (uint64_t i = at; i < s->bytes && i < at + 8; i++) {
        bits |= (uint64_t)s->base[i] << (8 * (i - at));
    }
    return bits >> (s->bit & 7);
}

#ifdef W_EXTRA
#define EXTRA_ROOM ((size_t)2 * W_BYTES) /* bytes from its first bit on that a vector may read */

/* The last bytes of a stream, and zeros after them. */
struct extra_tail {
    uint64_t first; /* UINT64_MAX: not copied yet */
    uint8_t bytes[2 * EXTRA_ROOM];
};

/* Where the byte with the next bit lies, with room after it. */
BODY const uint8_t *extra_window(const struct extra_stream *s, struct extra_tail *tail) {
    const uint64_t at = s->bit >> 3;
    if (s->bytes >= EXTRA_ROOM && at <= s->bytes - EXTRA_ROOM) return s->base + at;
    if (tail->first == UINT64_MAX) {
        tail->first = at;
        memset(tail->bytes, 0, sizeof tail->bytes);
        if (at < s->bytes) memcpy(tail->bytes, s->base + at, (size_t)(s->bytes - at));
    }
    const uint64_t moved = at - tail->first;
    return tail->bytes + (moved < EXTRA_ROOM ? moved : EXTRA_ROOM);
}

/* Codes of W_HALVES tokens, whose extra bits, if any, are the lowest of `bits`. */
#ifdef W_WIDE_TABLES
#define EXTRA_LOW(token) ((1U << (((token) - 7) >> 2)) - 1)
#define EXTRA_TOP(token) (uint16_t)((4U + (((token) + 1) & 3)) << (((token) - 7) >> 2))
#define EXTRA_FOUR(of, t) of(t), of((t) + 1), of((t) + 2), of((t) + 3)
#define EXTRA_SIXTEEN(of, t)                                                                       \
    EXTRA_FOUR(of, t), EXTRA_FOUR(of, (t) + 4), EXTRA_FOUR(of, (t) + 8), EXTRA_FOUR(of, (t) + 12)
/* By token: the code without extra bits, and where in it those go. */
static const uint16_t extra_tops[64] = {1,
                                        2,
                                        3,
                                        4,
                                        5,
                                        6,
                                        7,
                                        8,
                                        9,
                                        10,
                                        11,
                                        12,
                                        13,
                                        14,
                                        15,
                                        EXTRA_SIXTEEN(EXTRA_TOP, 15),
                                        EXTRA_SIXTEEN(EXTRA_TOP, 31),
                                        EXTRA_SIXTEEN(EXTRA_TOP, 47)};
static const uint16_t extra_lows[64] = {0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        0,
                                        EXTRA_SIXTEEN(EXTRA_LOW, 15),
                                        EXTRA_SIXTEEN(EXTRA_LOW, 31),
                                        EXTRA_SIXTEEN(EXTRA_LOW, 47)};

BODY vh extra_codes(vh token, vh bits) {
    return vh_merge(vh_word_of(extra_lows, token), bits, vh_word_of(extra_tops, token));
}
#else
BODY vh extra_codes(vh token, vh bits) {
    const vh has = extra_has(token), next = vh_add(token, vh_set1(1));
    const vh power = vh_power(extra_widths(token, has));
    const vh octave = vh_sub(vh_and(next, vh_set1(0xFC)), vh_set1(4));
    const vh top = vh_sub(next, vh_and(has, octave)); /* 4 + (next & 3), or next */
    return vh_add(vh_mullo(top, power), vh_and(bits, vh_sub(power, vh_set1(1))));
}
#endif

BODY vh extra_indices(vh code) {
    const vh sign = vh_sub(vh_set1(0), vh_and(code, vh_set1(1)));
    return vh_sub(vh_xor(vh_srl(code, 1), sign), sign);
}

/* Elements whose tokens are at hand, and where their indices go: W_BYTES of them, or, not `whole`,
 * the first `left`. */
struct extra_run {
    const uint8_t *tokens;
    int16_t *k;
    size_t left;
};

BODY vh extra_tokens(const struct extra_run *run, size_t first, const bool whole) {
    if (whole) return vh_load_u8(run->tokens + first);
    return vh_load_u8_some(run->tokens + first, elements_left(run->left, first));
}

BODY void extra_store(const struct extra_run *run, size_t first, const bool whole, vh k) {
    if (whole) {
        vh_store(run->k + first, k);
    } else {
        vh_store_some(run->k + first, k, elements_left(run->left, first));
    }
}

/* s->bit moves on. Returns the larger codes of its lanes. */
BODY vh extra_read_vector(struct extra_stream *s, const uint8_t *p, const struct extra_run *run,
                          const bool whole) {
    const vb token = whole ? vb_load(run->tokens) : vb_load_some(run->tokens, run->left);
    if (!vb_any_reaches(token, TOKENS_WHOLE)) { /* the most, or a few, depending on the step */
        for (size_t first = 0; first < W_BYTES; first += W_HALVES) {
            extra_store(run, first, whole, token_unzigzag_halves(extra_tokens(run, first, whole)));
        }
        return vh_set1(TOKENS_WHOLE);
    }
    const vb width = vb_extra_widths(token), ends = vb_running16(width);
    const vb starts = vb_sub(ends, width);
    uint64_t bit = s->bit & 7;
    unsigned end[W_BYTES / 16];
    vh most = vh_set1(0);
    vb_row_ends(ends, end);
    for (int half = 0; half < 2; half++) {
        const size_t first = (size_t)half * W_HALVES;
        const vh at = vh_add(vh_starts(starts, end, half), vh_set1((int16_t)(bit & 7)));
        const vh bits = vh_bits_at(p + (bit >> 3), at);
        const vh code = extra_codes(extra_tokens(run, first, whole), bits);
        extra_store(run, first, whole, extra_indices(code));
        most = vh_max(most, code);
        for (size_t row = first / 16; row < (first + W_HALVES) / 16; row++) bit += end[row];
    }
    s->bit += bit - (s->bit & 7);
    return most;
}

KERNEL uint32_t kernel_extra_read(struct extra_stream *stream, const uint8_t *tokens, size_t n,
                                  int16_t *k) {
    struct extra_stream s = *stream; /* not reached by stores to k */
    struct extra_tail tail;
    vh most = vh_set1(0);
    tail.first = UINT64_MAX;
    for (size_t i = 0; i < n; i += W_BYTES) {
        const uint8_t *p = extra_window(&s, &tail);
        const struct extra_run run = {tokens + i, k + i, n - i};
        most = vh_max(most, n - i >= W_BYTES ? extra_read_vector(&s, p, &run, true)
                                             : extra_read_vector(&s, p, &run, false));
    }
    *stream = s;
    return vh_top(most) >> 1;
}
#else
KERNEL uint32_t kernel_extra_read(struct extra_stream *stream, const uint8_t *tokens, size_t n,
                                  int16_t *k) {
    struct extra_stream s = *stream; /* not reached by stores to k */
    uint32_t largest = TOKENS_WHOLE; /* a bound is all that is asked for */
    kernel_whole_tokens(tokens, n, k);
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0 && n - i >= 8 && !extra_any(tokens + i)) {
            i += 7;
            continue;
        }
        if (tokens[i] < TOKENS_WHOLE) continue;
        const unsigned width = extra_width(tokens[i]);
        const uint32_t top = 4 + ((tokens[i] + 1U) & 3);
        const uint32_t extra = (uint32_t)extra_peek(&s) & ((1U << width) - 1);
        const uint32_t code = top << width | extra;
        s.bit += width;
        k[i] = extra_index(code);
        if (code > largest) largest = code;
    }
    *stream = s;
    return largest >> 1;
}
#endif

/* ---- write ----------------------------------------------------------------------------------- */

/* The same as kernel_extra_write, without vectors, after bits that are there. */
BODY uint8_t *extra_write_rest(struct lsb_writer *w, const int16_t *k, const uint8_t *tokens,
                               size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0 && n - i >= 8 && !extra_any(tokens + i)) {
            i += 7;
            continue;
        }
        if (tokens[i] < TOKENS_WHOLE) continue;
        const uint32_t code = k[i] < 0 ? 2U * (uint32_t)-k[i] + 1 : 2U * (uint32_t)k[i];
        const unsigned width = extra_width(tokens[i]);
        lsb_write(w, code & ((1U << width) - 1), width);
    }
    return lsb_write_end(w);
}

#ifdef W_EXTRA
/* As struct append of prefix_write.h, lowest bits first. */
struct extra_append {
    uint8_t *p;
    uint64_t acc, held; /* bits that filled no whole byte, at the bottom; 0..7 of them */
};

/* bits <= 56; eight bytes at p may be written. */
BODY void extra_append(struct extra_append *a, uint64_t word, uint64_t bits) {
    a->acc |= word << a->held;
    const uint64_t held = a->held + bits;
    store_le64(a->p, a->acc);
    a->p += held >> 3;
    a->acc >>= held & 56;
    a->held = held & 7;
}

/* Bits that an element adds to the stream, and how many, of neighbours to words of four: the first
 * one lowest. Sixteen bits each to 52 of 64. */
BODY vq extra_four(vh bits, vh width, vq *length) {
    const vu low = vu_set1(0xFFFF), b = vu_of_halves(bits), w = vu_of_halves(width);
    const vu first = vu_and(w, low), both = vu_add(first, vu_srl(w, 16));
    const vq two = vq_of(vu_or(vu_and(b, low), vu_sllv(vu_srl(b, 16), first)));
    const vq lengths = vq_of(both), before = vq_low(lengths);
    *length = vq_add(before, vq_high(lengths));
    return vq_or(vq_low(two), vq_sllv(vq_high(two), before));
}

#define EXTRA_WORDS (W_BYTES / 8)

/* Appends what 2 W_HALVES elements add. */
BODY void extra_append_vectors(struct extra_append *out, const vh bits[2], const vh width[2]) {
    uint64_t words[2][EXTRA_WORDS], lengths[2][EXTRA_WORDS];
    vq length_a, length_b;
    const vq a = extra_four(bits[0], width[0], &length_a);
    const vq b = extra_four(bits[1], width[1], &length_b);
    const vq first = vq_zip_low(a, b), second = vq_zip_high(a, b);
    const vq before = vq_zip_low(length_a, length_b), after = vq_zip_high(length_a, length_b);
    const vq total = vq_add(before, after);
    if (!vq_any_above(total, 56)) {
        vq_store(words[0], vq_or(first, vq_sllv(second, before)));
        vq_store(lengths[0], total);
    } else {
        vq_store(words[0], first);
        vq_store(words[1], second);
        vq_store(lengths[0], before);
        vq_store(lengths[1], after);
    }
    const bool joined = !vq_any_above(total, 56);
    for (int half = 0; half < 2; half++) { /* zipping left a's words and b's by turns */
        for (int i = half; i < EXTRA_WORDS; i += 2) {
            extra_append(out, words[0][i], lengths[0][i]);
            if (!joined) extra_append(out, words[1][i], lengths[1][i]);
        }
    }
}

BODY void extra_bits(const int16_t *k, const uint8_t *tokens, vh *bits, vh *width, vh *has) {
    const vh token = vh_load_u8(tokens), index = vh_load(k), sign = vh_sign(index);
    const vh m = vh_sub(vh_xor(index, sign), sign);
    *has = extra_has(token);
    *width = extra_widths(token, *has);
    *bits = vh_and(vh_sub(vh_add(m, m), sign), vh_sub(vh_power(*width), vh_set1(1)));
}

/* Elements until whose end all is written by vectors; *out moves on. */
BODY size_t extra_write_vectors(struct extra_append *out, const int16_t *k, const uint8_t *tokens,
                                size_t n, const uint8_t *end) {
    size_t i = 0;
#ifdef W_COMPRESS /* elements with extra bits close up first */
    enum { BLOCK = 1024 };
    int16_t bits[BLOCK + 2 * W_HALVES], width[BLOCK + 2 * W_HALVES];
    while (n - i >= W_HALVES && (size_t)(end - out->p) >= 2 * BLOCK + 8) {
        const size_t most = n - i < BLOCK ? n - i : BLOCK, stop = i + most / W_HALVES * W_HALVES;
        size_t count = 0;
        for (; i < stop; i += W_HALVES) {
            if (stop - i >= W_BYTES && !vb_any_reaches(vb_load(tokens + i), TOKENS_WHOLE)) {
                i += W_BYTES - W_HALVES;
                continue;
            }
            vh b, w, has;
            extra_bits(k + i, tokens + i, &b, &w, &has);
            vh_store_compressed(bits + count, b, has);
            count += vh_store_compressed(width + count, w, has);
        }
        vh_store(width + count, vh_set1(0));
        vh_store(width + count + W_HALVES, vh_set1(0));
        vh_store(bits + count, vh_set1(0));
        vh_store(bits + count + W_HALVES, vh_set1(0));
        for (size_t j = 0; j < count; j += 2 * W_HALVES) {
            const vh two_bits[2] = {vh_load(bits + j), vh_load(bits + j + W_HALVES)};
            const vh two_widths[2] = {vh_load(width + j), vh_load(width + j + W_HALVES)};
            extra_append_vectors(out, two_bits, two_widths);
        }
    }
#else
    for (; n - i >= 2 * W_HALVES && (size_t)(end - out->p) >= 4 * W_HALVES + 8; i += 2 * W_HALVES) {
        vh bits[2], width[2], has[2];
        for (int v = 0; v < 2; v++) {
            const size_t at = i + (size_t)(v * W_HALVES);
            extra_bits(k + at, tokens + at, &bits[v], &width[v], &has[v]);
        }
        if (vb_any_above(vb_or(vh_bytes(has[0]), vh_bytes(has[1])), 0)) {
            extra_append_vectors(out, bits, width);
        }
    }
#endif
    return i;
}
#endif

/* Writes the extra bits of n indices, given their tokens, from p on and pads them. Returns the byte
 * after them, or NULL if they pass `end`. */
KERNEL uint8_t *kernel_extra_write(const int16_t *k, const uint8_t *tokens, size_t n, uint8_t *p,
                                   uint8_t *end) {
    struct lsb_writer w;
    size_t i = 0;
    lsb_write_init(&w, p, end);
#ifdef W_EXTRA
    struct extra_append out = {p, 0, 0};
    i = extra_write_vectors(&out, k, tokens, n, end);
    w.p = out.p;
    w.acc = out.acc;
    w.held = (unsigned)out.held;
#endif
    return extra_write_rest(&w, k + i, tokens + i, n - i);
}
#endif

#endif
