/* Kernel bodies of the fixed code (FORMAT.md section 7.1): indices to ranks of `width` bits, packed
 * from the lowest bit on, and back. Eight ranks fill `width` whole bytes, so blocks are
 * independent.
 *
 * Narrow ranks (up to 7 bits) travel as bytes, wider ones as halves; where the vocabulary lacks the
 * steps, eight ranks go through two 64-bit words. */
#ifndef QSGD_KERNELS_FIXED_H
#define QSGD_KERNELS_FIXED_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/tokens.h"

enum rank_kind { RANK_ZIGZAG, RANK_WITHOUT_ZERO, RANK_FROM_LOWEST };

BODY uint32_t rank_mask(unsigned width) { return (1U << width) - 1; }

/* ---- any width, any machine ------------------------------------------------------------------ */

BODY uint16_t rank_one(const enum rank_kind kind, int32_t lowest, int32_t k) {
    if (kind == RANK_FROM_LOWEST) return (uint16_t)(k - lowest);
    const int32_t m = kind == RANK_ZIGZAG ? -k : k - (k > 0);
    return (uint16_t)((uint32_t)m * 2 ^ (m < 0 ? UINT32_MAX : 0));
}

BODY int16_t unrank_one(const enum rank_kind kind, int32_t lowest, uint32_t rank) {
    if (kind == RANK_FROM_LOWEST) return (int16_t)((int32_t)rank + lowest);
    const int32_t half = (int32_t)(rank >> 1), odd = (int32_t)(rank & 1);
    if (kind == RANK_ZIGZAG) return (int16_t)(odd ? half + 1 : -half);
    return (int16_t)(odd ? -half - 1 : half + 1);
}

/* Eight ranks or fewer, to 16 bytes of which the first are theirs. */
BODY void pack_eight(const enum rank_kind kind, const struct rank_map *map, const int16_t *k,
                     size_t n, uint8_t *to) {
    const unsigned w = map->width;
    uint64_t half[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        half[i / 4] |= (uint64_t)rank_one(kind, map->lowest, k[i]) << (i % 4 * w);
    }
    store_le64(to, w == 16 ? half[0] : half[0] | half[1] << (4 * w));
    store_le64(to + 8, w == 16 ? half[1] : half[1] >> (64 - 4 * w));
}

#ifdef W_ALONE
/* Eight ranks a lane, each of its own bytes. */
BODY void pack_any(const enum rank_kind kind, const struct rank_map *map, const int16_t *k,
                   size_t n, uint8_t *dst) {
    const size_t w = map->width;
    EACH(i, 0, n, 8) {
        uint8_t bytes[16];
        const size_t some = n - i < 8 ? n - i : 8, used = (some * w + 7) / 8;
        pack_eight(kind, map, k + i, some, bytes);
        for (size_t b = 0; b < used; b++) dst[i / 8 * w + b] = bytes[b];
    }
}
#else
BODY void pack_any(const enum rank_kind kind, const struct rank_map *map, const int16_t *k,
                   size_t n, uint8_t *dst) {
    const size_t w = map->width;
    const uint8_t *const end = dst + (n * w + 7) / 8;
    for (; n >= 8 && end - dst >= 16; n -= 8, k += 8, dst += w) pack_eight(kind, map, k, 8, dst);
    while (n > 0) { /* the last two or, of few bits, sixteen */
        uint8_t bytes[16];
        const size_t some = n < 8 ? n : 8, used = (some * w + 7) / 8;
        pack_eight(kind, map, k, some, bytes);
        memcpy(dst, bytes, used);
        k += some;
        n -= some;
        dst += used;
    }
}
#endif

/* From 16 bytes; returns the largest rank. */
BODY uint32_t unpack_eight(const enum rank_kind kind, const struct rank_map *map, const uint8_t *p,
                           int16_t *k, size_t n) {
    const unsigned w = map->width;
    const uint64_t low = load_le64(p), high = load_le64(p + 8);
    const uint64_t half[2] = {low, w == 16 ? high : low >> (4 * w) | high << (64 - 4 * w)};
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t rank = (uint32_t)(half[i / 4] >> (i % 4 * w)) & rank_mask(w);
        largest = rank > largest ? rank : largest;
        k[i] = unrank_one(kind, map->lowest, rank);
    }
    return largest;
}

#ifdef W_ALONE
BODY uint32_t unpack_any(const enum rank_kind kind, const struct rank_map *map, const uint8_t *p,
                         size_t n, int16_t *k) {
    const size_t w = map->width;
    uint32_t largest = 0;
    EACH(i, 0, n, 8) {
        uint8_t bytes[16] = {0};
        const size_t some = n - i < 8 ? n - i : 8, used = (some * w + 7) / 8;
        for (size_t b = 0; b < used; b++) bytes[b] = p[i / 8 * w + b];
        const uint32_t rank = unpack_eight(kind, map, bytes, k + i, some);
        largest = rank > largest ? rank : largest;
    }
    return lanes_top(largest);
}
#else
BODY uint32_t unpack_any(const enum rank_kind kind, const struct rank_map *map, const uint8_t *p,
                         size_t n, int16_t *k) {
    const size_t w = map->width;
    const uint8_t *const end = p + (n * w + 7) / 8;
    uint32_t largest = 0;
    for (; n >= 8 && end - p >= 16; n -= 8, k += 8, p += w) {
        const uint32_t rank = unpack_eight(kind, map, p, k, 8);
        largest = rank > largest ? rank : largest;
    }
    while (n > 0) {
        uint8_t bytes[16] = {0};
        const size_t some = n < 8 ? n : 8, used = (some * w + 7) / 8;
        memcpy(bytes, p, used);
        const uint32_t rank = unpack_eight(kind, map, bytes, k, some);
        largest = rank > largest ? rank : largest;
        k += some;
        n -= some;
        p += used;
    }
    return largest;
}
#endif

/* ---- blocks of vectors ----------------------------------------------------------------------- */

#ifdef W_PACK
/* In bytes: k > 0 as all ones is -1. */
BODY vb rank_bytes(const enum rank_kind kind, int32_t lowest, vb k) {
    if (kind == RANK_FROM_LOWEST) return vb_sub(k, vb_set1((uint8_t)lowest));
    vb magnitude = vb_abs(k);
    vb rank = vb_add(vb_add(magnitude, magnitude), vb_positive(k));
    return kind == RANK_ZIGZAG ? rank : vb_sub(rank, vb_set1(1));
}

BODY vb unrank_bytes(const enum rank_kind kind, int32_t lowest, vb rank) {
    if (kind == RANK_FROM_LOWEST) return vb_add(rank, vb_set1((uint8_t)lowest));
    const vb one = vb_set1(1), odd = vb_and(rank, one);
    vb half = vb_and(vb_srl64(rank, 1), vb_set1(0x7F));
    if (kind == RANK_ZIGZAG) return vb_add(vb_xor(half, vb_sub(odd, one)), one);
    vb minus = vb_sub(vb_set1(0), odd);
    return vb_add(vb_add(vb_xor(half, minus), minus), one);
}

/* Neighbours close up: to 2 w bits of every 16, 4 w of every 32, 8 w of every 64. */
BODY vb pack_close_bytes(vb ranks, unsigned w) {
    const vb x = vb_fours(vb_pairs(ranks, w), w);
    return vb_merge(vb_set64(((uint64_t)1 << (4 * w)) - 1), x, vb_srl64(x, 32 - 4 * w));
}
#endif

#ifdef W_PACK_HALVES
BODY vh rank_halves(const enum rank_kind kind, int32_t lowest, vh k) {
    if (kind == RANK_FROM_LOWEST) return vh_sub(k, vh_set1((int16_t)lowest));
    vh minus = vh_sub(vh_set1(0), k);
    vh m = kind == RANK_ZIGZAG ? minus : vh_add(k, vh_sign(minus));
    return vh_xor(vh_add(m, m), vh_sign(m));
}

BODY vh unrank_halves(const enum rank_kind kind, int32_t lowest, vh rank) {
    if (kind == RANK_FROM_LOWEST) return vh_add(rank, vh_set1((int16_t)lowest));
    const vh one = vh_set1(1), odd = vh_and(rank, one);
    vh half = vh_srl(rank, 1);
    if (kind == RANK_ZIGZAG) return vh_add(vh_xor(half, vh_sub(odd, one)), one);
    vh minus = vh_sub(vh_set1(0), odd);
    return vh_add(vh_add(vh_xor(half, minus), minus), one);
}

/* To 2 w bits of every 32, 4 w of every 64. What a shift brings along from above its 32 bits is
 * left out by the next merge. */
BODY vb pack_close_halves(vh ranks, unsigned w) {
    vb x = vh_bytes(ranks);
    x = vb_merge(vb_set32(rank_mask(w)), x, vb_srl64(x, 16 - w));
    return vb_merge(vb_set64(((uint64_t)1 << (2 * w)) - 1), x, vb_srl64(x, 32 - 2 * w));
}
#endif

#ifdef W_PACK
BODY void pack_block(const enum rank_kind kind, const struct rank_map *map, const bool wide,
                     const int16_t *k, uint8_t *dst) {
    const unsigned w = map->width;
#ifdef W_PACK_HALVES
    if (wide) {
        const vh ranks = rank_halves(kind, map->lowest, vh_load(k));
        vh_store_close(dst, pack_close_halves(ranks, w), w);
        return;
    }
#endif
    (void)wide;
    const vb ranks = rank_bytes(kind, map->lowest, vb_narrow(k));
    vb_store_close(dst, pack_close_bytes(ranks, w), w);
}

/* The same for the first n elements, at most a block; their ranks take `bytes`, padded. */
BODY void pack_some(const enum rank_kind kind, const struct rank_map *map, const bool wide,
                    const int16_t *k, size_t n, uint8_t *dst, size_t bytes) {
    const unsigned w = map->width;
#ifdef W_PACK_HALVES
    if (wide) {
        const bool whole = n >= W_HALVES;
        vh ranks = rank_halves(kind, map->lowest, whole ? vh_load(k) : vh_load_some(k, n));
        if (!whole) ranks = vh_and(ranks, vh_first(n));
        vh_store_close_some(dst, pack_close_halves(ranks, w), w, bytes);
        return;
    }
#endif
    (void)wide;
    const bool whole = n >= W_BYTES;
    vb ranks = rank_bytes(kind, map->lowest, whole ? vb_narrow(k) : vb_narrow_some(k, n));
    if (!whole) ranks = vb_and(ranks, vb_first(n));
    vb_store_close_some(dst, pack_close_bytes(ranks, w), w, bytes);
}

BODY void pack_blocks(const enum rank_kind kind, const struct rank_map *map, const bool wide,
                      const int16_t *k, size_t n, uint8_t *dst) {
    const size_t block = wide ? W_BYTES / 2 : W_BYTES, step = block / 8 * map->width;
    const uint8_t *const end = dst + (n * map->width + 7) / 8;
    for (; n >= block && end - dst >= W_REACH; n -= block, k += block, dst += step) {
        pack_block(kind, map, wide, k, dst);
    }
    while (n > 0) { /* no byte behind `end` is touched */
        const size_t some = n < block ? n : block, left = (size_t)(end - dst);
        const size_t bytes = left < step ? left : step;
        pack_some(kind, map, wide, k, some, dst, bytes);
        k += some;
        n -= some;
        dst += bytes;
    }
}

/* Ranks of one block; *largest takes the largest in every lane. */
BODY void unpack_block(const enum rank_kind kind, const struct rank_map *map, const bool wide,
                       const uint8_t *p, int16_t *k, vb *largest) {
    const unsigned w = map->width;
#ifdef W_PACK_HALVES
    if (wide) {
        const vh ranks = vh_fields(vh_load_spread(p, w), w);
        vh_store(k, unrank_halves(kind, map->lowest, ranks));
        *largest = vh_bytes(vh_max(vh_of_bytes(*largest), ranks));
        return;
    }
#endif
    (void)wide;
    const vb ranks = vb_fields(vb_load_spread(p, w), w);
    vb_store_wide(k, unrank_bytes(kind, map->lowest, ranks));
    *largest = vb_max(*largest, ranks);
}

/* The same for the first n elements, from `bytes`. */
BODY void unpack_some(const enum rank_kind kind, const struct rank_map *map, const bool wide,
                      const uint8_t *p, size_t bytes, int16_t *k, size_t n, vb *largest) {
    const unsigned w = map->width;
#ifdef W_PACK_HALVES
    if (wide) {
        vh ranks = vh_fields(vh_load_spread_some(p, w, bytes), w);
        if (n >= W_HALVES) {
            vh_store(k, unrank_halves(kind, map->lowest, ranks));
        } else {
            ranks = vh_and(ranks, vh_first(n));
            vh_store_some(k, unrank_halves(kind, map->lowest, ranks), n);
        }
        *largest = vh_bytes(vh_max(vh_of_bytes(*largest), ranks));
        return;
    }
#endif
    (void)wide;
    vb ranks = vb_fields(vb_load_spread_some(p, w, bytes), w);
    if (n >= W_BYTES) {
        vb_store_wide(k, unrank_bytes(kind, map->lowest, ranks));
    } else {
        ranks = vb_and(ranks, vb_first(n));
        vb_store_wide_some(k, unrank_bytes(kind, map->lowest, ranks), n);
    }
    *largest = vb_max(*largest, ranks);
}

BODY uint32_t unpack_blocks(const enum rank_kind kind, const struct rank_map *map, const bool wide,
                            const uint8_t *p, size_t n, int16_t *k) {
    const size_t block = wide ? W_BYTES / 2 : W_BYTES, step = block / 8 * map->width;
    const uint8_t *const end = p + (n * map->width + 7) / 8;
    vb largest = vb_set1(0);
    for (; n >= block && end - p >= W_REACH; n -= block, k += block, p += step) {
        unpack_block(kind, map, wide, p, k, &largest);
    }
    while (n > 0) {
        const size_t some = n < block ? n : block, left = (size_t)(end - p);
        const size_t bytes = left < step ? left : step;
        unpack_some(kind, map, wide, p, bytes, k, some, &largest);
        k += some;
        n -= some;
        p += bytes;
    }
#ifdef W_PACK_HALVES
    if (wide) return vh_top(vh_of_bytes(largest));
#endif
    return vb_top(largest);
}
#endif

/* ---- kernels --------------------------------------------------------------------------------- */

BODY void pack_kind(const enum rank_kind kind, const struct rank_map *map, const int16_t *k,
                    size_t n, uint8_t *dst) {
#ifdef W_PACK
    if (map->width < 8) {
        pack_blocks(kind, map, false, k, n, dst);
        return;
    }
#endif
#ifdef W_PACK_HALVES
    pack_blocks(kind, map, true, k, n, dst);
#else
    pack_any(kind, map, k, n, dst);
#endif
}

KERNEL void kernel_pack(const struct rank_map *map, const int16_t *k, size_t n, uint8_t *dst) {
    const struct rank_map m = *map; /* which no store of bytes can change */
    if (m.from_lowest) {
        pack_kind(RANK_FROM_LOWEST, &m, k, n, dst);
    } else if (m.zero) {
        pack_kind(RANK_ZIGZAG, &m, k, n, dst);
    } else {
        pack_kind(RANK_WITHOUT_ZERO, &m, k, n, dst);
    }
}

BODY uint32_t unpack_kind(const enum rank_kind kind, const struct rank_map *map, const uint8_t *p,
                          size_t n, int16_t *k) {
#ifdef W_PACK
    if (map->width < 8) return unpack_blocks(kind, map, false, p, n, k);
#endif
#ifdef W_PACK_HALVES
    return unpack_blocks(kind, map, true, p, n, k);
#else
    return unpack_any(kind, map, p, n, k);
#endif
}

KERNEL uint32_t kernel_unpack(const struct rank_map *map, const uint8_t *p, size_t n, int16_t *k) {
    const struct rank_map m = *map;
    if (m.from_lowest) return unpack_kind(RANK_FROM_LOWEST, &m, p, n, k);
    if (m.zero) return unpack_kind(RANK_ZIGZAG, &m, p, n, k);
    return unpack_kind(RANK_WITHOUT_ZERO, &m, p, n, k);
}

KERNEL uint32_t kernel_largest_zigzag(const int16_t *k, size_t n) {
    size_t i = 0;
#ifdef W_PACK_HALVES
    vh most = vh_set1(0);
    for (; n - i >= W_HALVES; i += W_HALVES) {
        most = vh_max(most, rank_halves(RANK_ZIGZAG, 0, vh_load(k + i)));
    }
    if (i < n) most = vh_max(most, rank_halves(RANK_ZIGZAG, 0, vh_load_some(k + i, n - i)));
    return vh_top(most);
#else
    vu most = vu_set1(0); /* of sixteen bits */
    for (; n - i >= W; i += W) {
        most = vu_max31(most, vu_and(token_zigzag(vu_load_i16(k + i)), vu_set1(0xFFFF)));
    }
    if (i < n) {
        const vu rank = token_zigzag(vu_load_i16_some(k + i, n - i));
        most = vu_max31(most, vu_and(rank, vu_set1(0xFFFF)));
    }
    return vu_top31(most);
#endif
}

#endif
