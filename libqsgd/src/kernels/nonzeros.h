/* Kernel bodies of what is 0: where, among many zeros, an index is not 0; which groups of indices
 * are all 0; and whether zeros may be left out of a sum. */
#ifndef QSGD_KERNELS_NONZEROS_H
#define QSGD_KERNELS_NONZEROS_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/types.h"

#ifdef W_NONZERO
#ifdef W_POSITIONS
#define nonzero_take vu_positions
#else
/* Four positions of set bits at a time, whether there are four or none: words with few of them,
 * which is what sparse codes are for, then cost no branch that could be mispredicted. */
BODY size_t nonzero_take(uint64_t mask, uint32_t first, uint32_t *at) {
    const size_t count = count_bits(mask);
    size_t i = 0;
    do {
        for (int j = 0; j < 4; j++) {
            at[i++] = first + (uint32_t)__builtin_ctzll(mask | (uint64_t)1 << 63);
            mask &= mask - 1;
        }
    } while (i < count);
    return count;
}
#endif

KERNEL size_t kernel_nonzeros(const int16_t *k, size_t n, uint32_t *at) {
    size_t count = 0, i = 0;
    for (; n - i >= 64; i += 64)
        count += nonzero_take(vh_nonzero64(k + i), (uint32_t)i, at + count);
    return count + nonzero_take(vh_nonzero64_some(k + i, n - i), (uint32_t)i, at + count);
}
#else
KERNEL size_t kernel_nonzeros(const int16_t *k, size_t n, uint32_t *at) {
    size_t count = 0, i = 0;
    for (; n - i >= 4; i += 4) {
        uint64_t four;
        memcpy(&four, k + i, sizeof four);
        for (size_t j = i; four != 0 && j < i + 4; j++) {
            if (k[j] != 0) at[count++] = (uint32_t)j;
        }
    }
    for (; i < n; i++) {
        if (k[i] != 0) at[count++] = (uint32_t)i;
    }
    return count;
}
#endif

/* ---- how many -------------------------------------------------------------------------------- */

/* Of eight bytes, all below 128, and of four halves: where there are no vectors. */
BODY uint32_t nonzero_bytes(uint64_t a) {
    const uint64_t set = (a + 0x7F7F7F7F7F7F7F7FU) >> 7 & 0x0101010101010101U;
    return (uint32_t)(set * 0x0101010101010101U >> 56);
}

BODY uint32_t nonzero_halves(uint64_t a) {
    const uint64_t low = (a & 0x7FFF7FFF7FFF7FFFU) + 0x7FFF7FFF7FFF7FFFU;
    const uint64_t set = (low | a) >> 15 & 0x0001000100010001U;
    return (uint32_t)(set * 0x0001000100010001U >> 48);
}

BODY size_t nonzero_indices(const int16_t *k, size_t n) {
    size_t count = 0, i = 0;
#ifdef W_NONZERO
    for (; n - i >= 64; i += 64) count += count_bits(vh_nonzero64(k + i));
    return count + count_bits(vh_nonzero64_some(k + i, n - i));
#else
    for (uint64_t four; n - i >= 4; i += 4) {
        memcpy(&four, k + i, sizeof four);
        count += nonzero_halves(four);
    }
    for (; i < n; i++) count += k[i] != 0;
    return count;
#endif
}

BODY size_t nonzero_tokens(const uint8_t *tokens, size_t n) {
    size_t count = 0, i = 0;
#ifdef W_BYTES
    while (n - i >= W_BYTES) { /* as many vectors as a byte can count */
        const size_t stop = (n - i) / W_BYTES < 255 ? n : i + 255 * (size_t)W_BYTES;
        vb sum = vb_set1(0);
        for (; stop - i >= W_BYTES; i += W_BYTES) {
            sum = vb_sub(sum, vb_positive(vb_load(tokens + i)));
        }
        count += vb_sum(sum);
    }
    return count + vb_sum(vb_sub(vb_set1(0), vb_positive(vb_load_some(tokens + i, n - i))));
#else
    for (uint64_t eight; n - i >= 8; i += 8) {
        memcpy(&eight, tokens + i, sizeof eight);
        count += nonzero_bytes(eight);
    }
    for (; i < n; i++) count += tokens[i] != 0;
    return count;
#endif
}

KERNEL size_t kernel_count_nonzeros(const int16_t *k, const uint8_t *tokens, size_t n) {
    return k != NULL ? nonzero_indices(k, n) : nonzero_tokens(tokens, n);
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* True if so many bytes are all 0: a whole group's. */
BODY bool zero_bytes(const uint8_t *p, const size_t bytes) {
#if defined(W_BYTES) && W_BYTES >= ZERO_GROUP
    vb any = bytes < W_BYTES ? vb_load_some(p, bytes) : vb_load(p);
    for (size_t i = W_BYTES; i < bytes; i += W_BYTES) any = vb_or(any, vb_load(p + i));
    return !vb_any_above(any, 0);
#else
    uint64_t any = 0, eight;
    for (size_t i = 0; i < bytes; i += 8) {
        memcpy(&eight, p + i, sizeof eight);
        any |= eight;
    }
    return any == 0;
#endif
}

/* The bits of up to 32 groups from p on, of `left` elements. */
BODY uint32_t zero_groups_word(const uint8_t *p, size_t left, const size_t item) {
    uint32_t word = 0, group = 0;
    uint8_t any = 0;
    for (; left >= ZERO_GROUP && group < 32; left -= ZERO_GROUP, p += item * ZERO_GROUP) {
        word |= (uint32_t)zero_bytes(p, item * ZERO_GROUP) << group++;
    }
    if (group == 32 || left == 0) return word;
    for (size_t i = 0; i < item * left; i++) any |= p[i];
    return word | (uint32_t)(any == 0) << group;
}

BODY bool zero_groups_all(const uint8_t *p, size_t n, const size_t item, uint32_t *words) {
    const size_t most = (size_t)32 * ZERO_GROUP;
    uint32_t any = 0;
    for (size_t i = 0; i < n; i += most) {
        *words = zero_groups_word(p + item * i, n - i, item);
        any |= *words++;
    }
    return any != 0;
}

KERNEL bool kernel_zero_groups(const int16_t *k, const uint8_t *tokens, size_t n, uint32_t *words) {
    return k != NULL ? zero_groups_all((const uint8_t *)(const void *)k, n, sizeof *k, words)
                     : zero_groups_all(tokens, n, sizeof *tokens, words);
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* -0 would become +0, and a signalling NaN a quiet one; quiet ones are counted with them. */
BODY vu changed_by_zero(vf sums, vu count) {
    const vu bits = vf_bits(sums), magnitude = vu_and(bits, vu_set1(0x7FFFFFFF));
    count = vu_inc(vu_eq(bits, vu_set1(0x80000000U)), count);
    return vu_inc(vu_gt31(magnitude, vu_set1(0x7F800000)), count);
}

KERNEL bool kernel_keeps_with_zero(const float *sums, size_t n) {
    size_t i = 0;
    vu count = vu_set1(0);
    for (; n - i >= W; i += W) count = changed_by_zero(vf_load(sums + i), count);
    if (i < n) count = changed_by_zero(vf_load_some(sums + i, n - i), count);
    return vu_top31(count) == 0;
}

#endif
