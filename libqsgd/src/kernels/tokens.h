/* Kernel bodies of the token map (FORMAT.md section 7.4): index to token, whole tokens to indices.
 * Extra bits are extra_bits.h's. And tokens to symbols, which name the half of an element, too
 * (section 7.6). */
#ifndef QSGD_KERNELS_TOKENS_H
#define QSGD_KERNELS_TOKENS_H

#include "kernels/body.h"
#include "kernels/types.h"

/* zigzag: k > 0 -> 2 k - 1, k <= 0 -> -2 k, as 32-bit lanes. */
BODY vu token_zigzag(vu k) {
    vu minus = vu_sub(vu_set1(0), k);
    return vu_xor(vu_sll(minus, 1), vu_sign(minus));
}

/* Where |k| >= 8: quarter octaves. As a float, |k| shows its octave and quarter in bits 21 and up.
 */
BODY vu token_vector(vu k, const bool direct) {
    vu whole = token_zigzag(k);
    if (direct) return whole;
    vu sign = vu_sign(k);
    vu magnitude = vu_sub(vu_xor(k, sign), sign);
    vu quarter = vu_srl(vf_bits(vf_from_int(magnitude)), 21);
    vu escaped = vu_sub(quarter, vu_set1(4 * 127 + 4 * 3 - 15)); /* 15 at |k| = 8 */
    return vu_select(vu_gt31(vu_set1(8), magnitude), whole, escaped);
}

BODY vh token_zigzag_halves(vh k) {
    vh minus = vh_sub(vh_set1(0), k);
    return vh_xor(vh_add(minus, minus), vh_sign(minus));
}

BODY vh token_unzigzag_halves(vh t) {
    vh magnitude = vh_srl(vh_add(t, vh_set1(1)), 1);
    vh even = vh_sub(vh_and(t, vh_set1(1)), vh_set1(1));
    return vh_sub(vh_xor(magnitude, even), even);
}

/* True if none of 2 W_HALVES indices is below -most or above most. */
BODY bool tokens_within(const int16_t *k, int16_t most) {
    const vh by = vh_set1(most), limit = vh_set1((int16_t)(2 * most));
    const vhm a = vh_above(vh_add(vh_load(k), by), limit);
    const vhm b = vh_above(vh_add(vh_load(k + W_HALVES), by), limit);
    return !vhm_any(a) && !vhm_any(b);
}

#ifdef W_WIDE_TABLES
/* Tokens of indices that a signed byte holds, by the byte. */
#define TOKEN_OF(m)                                                                                \
    ((m) < 8     ? 2 * (m)                                                                         \
     : (m) < 16  ? 15 + ((m) >> 1 & 3)                                                             \
     : (m) < 32  ? 19 + ((m) >> 2 & 3)                                                             \
     : (m) < 64  ? 23 + ((m) >> 3 & 3)                                                             \
     : (m) < 128 ? 27 + ((m) >> 4 & 3)                                                             \
                 : 31)
#define TOKEN_ABOVE(m) (uint8_t)(TOKEN_OF(m) - ((m) > 0 && (m) < 8))
#define TOKEN_BELOW(m) (uint8_t)(TOKEN_OF(128 - (m)))
#define TOKENS4(of, m) of(m), of((m) + 1), of((m) + 2), of((m) + 3)
#define TOKENS16(of, m)                                                                            \
    TOKENS4(of, m), TOKENS4(of, (m) + 4), TOKENS4(of, (m) + 8), TOKENS4(of, (m) + 12)
#define TOKENS128(of)                                                                              \
    TOKENS16(of, 0), TOKENS16(of, 16), TOKENS16(of, 32), TOKENS16(of, 48), TOKENS16(of, 64),       \
        TOKENS16(of, 80), TOKENS16(of, 96), TOKENS16(of, 112)
static const uint8_t token_of_byte[256] = {TOKENS128(TOKEN_ABOVE), TOKENS128(TOKEN_BELOW)};
#endif

/* Tokens that are not direct, as far as indices are small; returns where one is not. */
BODY size_t tokens_of_small(const int16_t *k, size_t n, uint8_t *tokens) {
    size_t i = 0;
#ifdef W_WIDE_TABLES
    for (; i + W_BYTES <= n && tokens_within(k + i, 127); i += W_BYTES) {
        vb_store(tokens + i, vb_lookup(token_of_byte, 16, vb_narrow(k + i)));
    }
#else
    for (; i + 2 * W_HALVES <= n && tokens_within(k + i, 7); i += 2 * W_HALVES) {
        vh_store_u8(tokens + i, token_zigzag_halves(vh_load(k + i)),
                    token_zigzag_halves(vh_load(k + i + W_HALVES)));
    }
#endif
    return i;
}

BODY void tokens_all(const int16_t *k, size_t n, uint8_t *tokens, const bool direct) {
    size_t i = 0;
    for (; direct && i + 2 * W_HALVES <= n; i += 2 * W_HALVES) {
        vh_store_u8(tokens + i, token_zigzag_halves(vh_load(k + i)),
                    token_zigzag_halves(vh_load(k + i + W_HALVES)));
    }
    while (i + W <= n) {
        if (!direct) i += tokens_of_small(k + i, n - i, tokens + i);
        const size_t stop = i + 2 * W_HALVES;
        for (; i + W <= n && (direct || i < stop); i += W) {
            vu_store_u8(tokens + i, token_vector(vu_load_i16(k + i), direct));
        }
    }
    if (i == n) return;
    vu_store_u8_some(tokens + i, token_vector(vu_load_i16_some(k + i, n - i), direct), n - i);
}

KERNEL void kernel_tokens(const int16_t *k, size_t n, bool direct, uint8_t *tokens) {
    if (direct) {
        tokens_all(k, n, tokens, true);
    } else {
        tokens_all(k, n, tokens, false);
    }
}

/* Where |k| >= 8, the sign and the second bit below the highest one change places. As a float, |k|
 * shows that one in bit 21. */
BODY vu token_swap_sign(vu k) {
    const vu sign = vu_sign(k);
    const vu magnitude = vu_sub(vu_xor(k, sign), sign);
    const vu bits = vf_bits(vf_from_int(magnitude));
    const vu second = vu_and(vu_srl(bits, 21), vu_set1(1));
    const vu differ = vu_xor(second, vu_and(sign, vu_set1(1)));
    const vu other = vf_trunc(vf_from_bits(vu_xor(bits, vu_sll(differ, 21))));
    const vu minus = vu_sub(vu_set1(0), second);
    return vu_select(vu_gt31(vu_set1(8), magnitude), k, vu_sub(vu_xor(other, minus), minus));
}

KERNEL void kernel_swap_signs(int16_t *k, size_t n) {
    size_t i = 0;
    while (i + 2 * W_HALVES <= n) {
        const size_t stop = i + 2 * W_HALVES;
        if (tokens_within(k + i, 7)) i = stop; /* as most are */
        for (; i < stop; i += W) vu_store_i16(k + i, token_swap_sign(vu_load_i16(k + i)));
    }
    for (; i + W <= n; i += W) vu_store_i16(k + i, token_swap_sign(vu_load_i16(k + i)));
    if (i < n) {
        vu_store_i16_some(k + i, token_swap_sign(vu_load_i16_some(k + i, n - i)), n - i);
    }
}

/* The inverse of zigzag: odd t -> (t + 1) / 2, even t -> -t / 2. */
BODY vu token_unzigzag(vu t) {
    vu magnitude = vu_srl(vu_add(t, vu_set1(1)), 1);
    vu even = vu_sub(vu_and(t, vu_set1(1)), vu_set1(1)); /* all ones for even t */
    return vu_sub(vu_xor(magnitude, even), even);
}

KERNEL void kernel_whole_tokens(const uint8_t *tokens, size_t n, int16_t *k) {
    size_t i = 0;
    for (; i + W_HALVES <= n; i += W_HALVES) {
        vh_store(k + i, token_unzigzag_halves(vh_load_u8(tokens + i)));
    }
    for (; i + W <= n; i += W) vu_store_i16(k + i, token_unzigzag(vu_load_u8(tokens + i)));
    if (i == n) return;
    vu_store_i16_some(k + i, token_unzigzag(vu_load_u8_some(tokens + i, n - i)), n - i);
}

/* Compilers make these loops vectors by themselves. */
KERNEL void kernel_turn(const uint16_t *RESTRICT noise, size_t n, int16_t *RESTRICT k) {
    EACH(i, 0, n, 1) {
        const int turn = -(noise[i] >> 15);
        k[i] = (int16_t)((k[i] ^ turn) - turn);
    }
}

KERNEL void kernel_turn_tokens(const uint16_t *RESTRICT noise, size_t n, uint8_t *RESTRICT tokens) {
    EACH(i, 0, n, 1) { /* 1 and 2 are a pair, 3 and 4, ..; 0 is alone */
        const uint8_t t = tokens[i], turn = (uint8_t)(noise[i] >> 15);
        const uint8_t turned = (uint8_t)(((t - 1) ^ turn) + 1);
        tokens[i] = t == 0 ? 0 : turned;
    }
}

BODY uint8_t half_of(uint16_t noise) { return (uint8_t)((noise ^ noise >> 1) >> 9 & RANS_HALF); }

KERNEL void kernel_halves(const uint16_t *RESTRICT noise, size_t n, uint8_t *RESTRICT halves) {
    EACH(i, 0, n, 1) { halves[i] = half_of(noise[i]); }
}

KERNEL void kernel_mark(const uint16_t *RESTRICT noise, const uint8_t *RESTRICT tokens, size_t n,
                        uint8_t *RESTRICT marked) {
    EACH(i, 0, n, 1) {
        const unsigned mark = (half_of(noise[i]) ^ RANS_HALF) * (RANS_MARK / RANS_HALF);
        marked[i] = (uint8_t)(tokens[i] | mark);
    }
}

KERNEL void kernel_symbols(bool split, size_t n, uint8_t *marked) {
    const unsigned half = split ? RANS_HALF : 0;
    EACH(i, 0, n, 1) {
        const unsigned m = marked[i];
        const unsigned unmarked = (m ^ RANS_MARK) / (RANS_MARK / RANS_HALF);
        marked[i] = (uint8_t)((m & (RANS_MARK - 1)) | (unmarked & half));
    }
}

#endif
