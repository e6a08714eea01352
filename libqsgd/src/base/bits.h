/* Bounds-safe bit streams, both orders (FORMAT.md section 2), and byte-wise little-endian integers.
 *
 * Writers never pass `end`: they go on counting and say so (`bits_full`), so that a code that does
 * not fit is noticed once, at its end. Readers never pass `end`: beyond it they see zero bits and
 * remember that they did (`bits_overrun`). */
#ifndef QSGD_BASE_BITS_H
#define QSGD_BASE_BITS_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Kernel bodies call them on devices, too. gcc inlines what is for any CPU into what is for a newer
 * one only if it must. */
#if defined(__CUDACC__)
#define BITS static inline __host__ __device__
#else
#define BITS static inline __attribute__((always_inline))
#endif

BITS uint16_t load_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

BITS uint32_t load_le32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Whole words by one load or store each: compilers do not always see through bytes. */
#if defined(__CUDA_ARCH__)
BITS uint64_t swapped(uint64_t v) {
    const uint32_t low = __byte_perm((uint32_t)v, 0, 0x0123);
    return (uint64_t)low << 32 | __byte_perm((uint32_t)(v >> 32), 0, 0x0123);
}
#define WORD_LE(v) (v)
#define WORD_BE(v) swapped(v)
#elif __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define WORD_LE(v) (v)
#define WORD_BE(v) __builtin_bswap64(v)
#else
#define WORD_LE(v) __builtin_bswap64(v)
#define WORD_BE(v) (v)
#endif

BITS uint64_t load_le64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return WORD_LE(v);
}

BITS uint64_t load_be64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return WORD_BE(v);
}

BITS void store_le64(uint8_t *p, uint64_t v) {
    v = WORD_LE(v);
    memcpy(p, &v, 8);
}

BITS void store_be64(uint8_t *p, uint64_t v) {
    v = WORD_BE(v);
    memcpy(p, &v, 8);
}

BITS void store_le16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* n numbers, one behind the other. */
BITS void store_le16s(uint8_t *p, const uint16_t *v, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n > 0) memcpy(p, v, 2 * n);
#else
    for (size_t i = 0; i < n; i++) store_le16(p + 2 * i, v[i]);
#endif
}

BITS void store_le32(uint8_t *p, uint32_t v) {
    store_le16(p, (uint16_t)v);
    store_le16(p + 2, (uint16_t)(v >> 16));
}

BITS uint32_t float_bits(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

BITS float float_from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

#if defined(__CUDA_ARCH__)
/* Position of the highest set bit, and of the lowest; v > 0. */
BITS unsigned floor_log2(uint64_t v) { return 63U - (unsigned)__clzll((long long)v); }
BITS unsigned lowest_bit(uint64_t v) { return (unsigned)__ffsll((long long)v) - 1U; }
BITS unsigned count_bits(uint64_t v) { return (unsigned)__popcll(v); }
#else
BITS unsigned floor_log2(uint64_t v) { return 63U - (unsigned)__builtin_clzll(v); }
BITS unsigned lowest_bit(uint64_t v) { return (unsigned)__builtin_ctzll(v); }
BITS unsigned count_bits(uint64_t v) { return (unsigned)__builtin_popcountll(v); }
#endif

/* ---- LSB-first ------------------------------------------------------------------------------ */

struct lsb_writer {
    uint8_t *p, *end;
    uint64_t acc;  /* bits not yet stored, lowest first */
    unsigned held; /* bits in acc, < 8 between calls */
    bool full;
};

BITS void lsb_write_init(struct lsb_writer *w, uint8_t *p, uint8_t *end) {
    const struct lsb_writer start = {p, end, 0, 0, false};
    *w = start;
}

/* count <= 56; bits of value above count must be 0. */
BITS void lsb_write(struct lsb_writer *w, uint64_t value, unsigned count) {
    w->acc |= value << w->held;
    w->held += count;
    if (w->end - w->p >= 8) {
        store_le64(w->p, w->acc);
        w->p += w->held >> 3;
        w->acc >>= w->held & ~7U;
        w->held &= 7;
        return;
    }
    for (; w->held >= 8; w->held -= 8, w->acc >>= 8) {
        if (w->p == w->end) {
            w->full = true;
        } else {
            *w->p++ = (uint8_t)w->acc;
        }
    }
}

/* Pads with zero bits; returns the byte after the stream, or NULL if it did not fit. */
BITS uint8_t *lsb_write_end(struct lsb_writer *w) {
    if (w->held > 0) lsb_write(w, 0, 8 - w->held);
    return w->full ? NULL : w->p;
}

struct bit_reader {
    const uint8_t *p, *end; /* next byte not yet in acc */
    uint64_t acc;           /* LSB-first: next bit lowest; MSB-first: next bit highest */
    unsigned held;          /* valid bits in acc; may include zero bits past the end */
    unsigned past;          /* bits in acc that lie past the end */
    bool overrun;           /* bits past the end were consumed */
};

BITS void bit_read_init(struct bit_reader *r, const uint8_t *p, const uint8_t *end) {
    const struct bit_reader start = {p, end, 0, 0, 0, false};
    *r = start;
}

/* After this, held >= 56. */
BITS void lsb_refill(struct bit_reader *r) {
    if (r->end - r->p >= 8) {
        r->acc |= load_le64(r->p) << r->held;
        r->p += (63 - r->held) >> 3;
        r->held |= 56;
        return;
    }
    while (r->held < 56) {
        if (r->p < r->end) {
            r->acc |= (uint64_t)*r->p++ << r->held;
        } else {
            r->past += 8;
        }
        r->held += 8;
    }
}

/* count <= 56, and at most `held` bits since the last refill. */
BITS uint64_t lsb_take(struct bit_reader *r, unsigned count) {
    uint64_t value = r->acc & (((uint64_t)1 << count) - 1);
    r->acc >>= count;
    r->held -= count;
    if (r->past > r->held) {
        r->overrun = true;
        r->past = r->held;
    }
    return value;
}

BITS uint64_t lsb_read(struct bit_reader *r, unsigned count) {
    lsb_refill(r);
    return lsb_take(r, count);
}

/* True if the stream is intact and only zero bits, fewer than 8, are left before `end`. */
BITS bool lsb_read_end(struct bit_reader *r) {
    lsb_refill(r);
    unsigned left = r->held - r->past;
    return !r->overrun && r->p == r->end && left < 8 && r->acc == 0;
}

/* ---- MSB-first ------------------------------------------------------------------------------ */

struct msb_writer {
    uint8_t *p, *end;
    uint64_t acc;  /* bits not yet stored, right-aligned */
    unsigned held; /* < 8 between calls */
    bool full;
};

BITS void msb_write_init(struct msb_writer *w, uint8_t *p, uint8_t *end) {
    const struct msb_writer start = {p, end, 0, 0, false};
    *w = start;
}

/* count <= 56; bits of value above count must be 0. */
BITS void msb_write(struct msb_writer *w, uint64_t value, unsigned count) {
    w->acc = w->acc << count | value;
    w->held += count;
    if (w->end - w->p >= 8 && w->held > 0) { /* bits of acc above `held` were stored before */
        store_be64(w->p, w->acc << (64 - w->held));
        w->p += w->held >> 3;
        w->held &= 7;
        return;
    }
    while (w->held >= 8) {
        w->held -= 8;
        if (w->p == w->end) {
            w->full = true;
        } else {
            *w->p++ = (uint8_t)(w->acc >> w->held);
        }
    }
}

BITS uint8_t *msb_write_end(struct msb_writer *w) {
    if (w->held > 0) msb_write(w, 0, 8 - w->held);
    return w->full ? NULL : w->p;
}

/* After this, held >= 56. */
BITS void msb_refill(struct bit_reader *r) {
    if (r->end - r->p >= 8) {
        r->acc |= load_be64(r->p) >> r->held;
        r->p += (63 - r->held) >> 3;
        r->held |= 56;
        return;
    }
    while (r->held < 56) {
        if (r->p < r->end) {
            r->acc |= (uint64_t)*r->p++ << (56 - r->held);
        } else {
            r->past += 8;
        }
        r->held += 8;
    }
}

/* 1 <= count <= 56, and at most `held` bits since the last refill. */
BITS uint64_t msb_take(struct bit_reader *r, unsigned count) {
    uint64_t value = r->acc >> (64 - count);
    r->acc <<= count;
    r->held -= count;
    if (r->past > r->held) {
        r->overrun = true;
        r->past = r->held;
    }
    return value;
}

BITS uint64_t msb_read(struct bit_reader *r, unsigned count) {
    if (count == 0) return 0;
    msb_refill(r);
    return msb_take(r, count);
}

BITS bool msb_read_end(struct bit_reader *r) {
    msb_refill(r);
    unsigned left = r->held - r->past;
    return !r->overrun && r->p == r->end && left < 8 && r->acc == 0;
}

/* ---- varint --------------------------------------------------------------------------------- */

#define VARINT_MAX_BYTES 9

BITS size_t varint_write(uint8_t *p, uint64_t v) {
    size_t n = 0;
    for (; v >= 128; v >>= 7) p[n++] = (uint8_t)(v | 128);
    p[n++] = (uint8_t)v;
    return n;
}

/* Bytes that it writes. */
BITS uint64_t varint_bytes(uint64_t v) {
    uint64_t n = 1;
    for (; v >= 128; v >>= 7) n++;
    return n;
}

/* Returns bytes read, or 0 if the varint is cut short, too long or not the shortest form. */
BITS size_t varint_read(const uint8_t *p, const uint8_t *end, uint64_t *v) {
    uint64_t value = 0;
    for (size_t n = 0; n < VARINT_MAX_BYTES && p + n < end; n++) {
        value |= (uint64_t)(p[n] & 127) << (7 * n);
        if (p[n] < 128) {
            if (p[n] == 0 && n > 0) return 0;
            *v = value;
            return n + 1;
        }
    }
    return 0;
}

#endif
