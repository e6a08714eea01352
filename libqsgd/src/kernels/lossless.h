/* Kernel bodies of lossless frames (FORMAT.md section 7.9): the upper halves of elements to tokens
 * and fields, and back; floats to halves, and back. */
#ifndef QSGD_KERNELS_LOSSLESS_H
#define QSGD_KERNELS_LOSSLESS_H

#include "kernels/body.h"
#include "kernels/types.h"

/* a, but b where a mask of ones says so. */
BODY vh lossless_blend(vh mask, vh a, vh b) { return vh_xor(a, vh_and(mask, vh_xor(a, b))); }

/* The token of each half. */
BODY vh lossless_token(const struct lossless_split *s, vh half) {
    const vh symbol = vh_srl(vh_and(half, vh_set1(0x7FFF)), s->shift);
    const vh below = vh_sub(vh_set1((int16_t)s->top), symbol); /* wraps if it is above */
    const vh far = vh_ones(vh_above(below, vh_set1(LOSSLESS_WINDOW - 1)));
    const vh near = vh_add(below, vh_set1(LOSSLESS_FIRST));
    const vh token = lossless_blend(far, near, vh_set1(LOSSLESS_ESCAPE));
    return lossless_blend(vh_ones(vh_eq(symbol, vh_set1(0))), token, vh_set1(0));
}

/* Its sign and lower bits. */
BODY vh lossless_field(const struct lossless_split *s, vh half) {
    const int16_t sign = (int16_t)(1 << s->shift);
    return vh_xor(vh_and(half, vh_set1((int16_t)(sign - 1))), vh_and(vh_sign(half), vh_set1(sign)));
}

BODY vh lossless_half(const struct lossless_split *s, vh token, vh field) {
    const int16_t sign = (int16_t)(1 << s->shift);
    const vh known = vh_ones(vh_above(token, vh_set1(LOSSLESS_ESCAPE)));
    const vh symbol = vh_and(known, vh_sub(vh_set1((int16_t)(s->top + LOSSLESS_FIRST)), token));
    const vh upper = vh_xor(vh_mullo(symbol, vh_set1(sign)),
                            vh_mullo(vh_srl(field, s->shift), vh_set1(INT16_MIN)));
    return vh_xor(upper, vh_and(field, vh_set1((int16_t)(sign - 1))));
}

KERNEL void kernel_lossless_split(const struct lossless_split *split, const uint16_t *halves,
                                  size_t n, uint8_t *tokens, int16_t *fields) {
    const struct lossless_split s = *split; /* which no store of bytes can change */
    size_t i = 0;
    for (; n - i >= 2 * W_HALVES; i += 2 * W_HALVES) {
        const vh a = vh_load_u16(halves + i), b = vh_load_u16(halves + i + W_HALVES);
        vh_store_u8(tokens + i, lossless_token(&s, a), lossless_token(&s, b));
        vh_store(fields + i, lossless_field(&s, a));
        vh_store(fields + i + W_HALVES, lossless_field(&s, b));
    }
    if (i == n) return;
    const size_t more = elements_left(n, i + W_HALVES), at = n - more;
    const vh a = vh_load_u16_some(halves + i, n - i), b = vh_load_u16_some(halves + at, more);
    vh_store_u8_some(tokens + i, lossless_token(&s, a), lossless_token(&s, b), n - i);
    vh_store_some(fields + i, lossless_field(&s, a), n - i);
    vh_store_some(fields + at, lossless_field(&s, b), more);
}

KERNEL void kernel_lossless_merge(const struct lossless_split *split, const uint8_t *tokens,
                                  const int16_t *fields, size_t n, uint16_t *halves) {
    const struct lossless_split s = *split;
    size_t i = 0;
    for (; n - i >= W_HALVES; i += W_HALVES) {
        const vh half = lossless_half(&s, vh_load_u8(tokens + i), vh_load(fields + i));
        vh_store((int16_t *)(void *)(halves + i), half);
    }
    if (i == n) return;
    const vh half =
        lossless_half(&s, vh_load_u8_some(tokens + i, n - i), vh_load_some(fields + i, n - i));
    vh_store_some((int16_t *)(void *)(halves + i), half, n - i);
}

KERNEL void kernel_halves_of_words(const uint32_t *words, size_t n, uint16_t *upper,
                                   uint16_t *lower) {
    size_t i = 0;
    for (; n - i >= W_HALVES; i += W_HALVES) {
        const vu a = vu_load(words + i), b = vu_load(words + i + W);
        vh_store((int16_t *)(void *)(upper + i), vh_natural(vh_high(a, b)));
        vh_store((int16_t *)(void *)(lower + i), vh_natural(vh_low(a, b)));
    }
    if (i == n) return;
    const size_t more = elements_left(n, i + W);
    const vu a = vu_load_some(words + i, n - i), b = vu_load_some(words + (n - more), more);
    vh_store_some((int16_t *)(void *)(upper + i), vh_natural(vh_high(a, b)), n - i);
    vh_store_some((int16_t *)(void *)(lower + i), vh_natural(vh_low(a, b)), n - i);
}

BODY vu lossless_word(vh upper, vh lower, const int last) {
    return vu_or(vu_sll(vh_lanes(upper, last), 16), vh_lanes(lower, last));
}

KERNEL void kernel_words_of_halves(const uint16_t *upper, const uint16_t *lower, size_t n,
                                   uint32_t *words) {
    size_t i = 0;
    for (; n - i >= W_HALVES; i += W_HALVES) {
        const vh a = vh_load_u16(upper + i), b = vh_load_u16(lower + i);
        vu_store(words + i, lossless_word(a, b, 0));
        vu_store(words + i + W, lossless_word(a, b, 1));
    }
    if (i == n) return;
    const size_t more = elements_left(n, i + W);
    const vh a = vh_load_u16_some(upper + i, n - i), b = vh_load_u16_some(lower + i, n - i);
    vu_store_some(words + i, lossless_word(a, b, 0), n - i);
    vu_store_some(words + (n - more), lossless_word(a, b, 1), more);
}

#endif
