/* Scales of buckets as numbers; how a chunk stores them: grid/chunk_scales.h, how they are
 * computed: quantize/bucket_scales.c. */
#ifndef QSGD_GRID_SCALES_H
#define QSGD_GRID_SCALES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "qsgd.h"

/* How scales are stored: all bits of a float32, or its upper 16. */
enum { SCALES_FLOAT32 = 0, SCALES_BFLOAT16 = 1 };

static inline int scale_kind(uint32_t scale_dtype) {
    return scale_dtype == QSGD_FLOAT32 ? SCALES_FLOAT32 : SCALES_BFLOAT16;
}

static inline uint32_t scale_dtype_of(unsigned kind) {
    return kind == SCALES_FLOAT32 ? QSGD_FLOAT32 : QSGD_BFLOAT16;
}

/* Scales of buckets from `first` on, as native floats at any alignment. In rotated frames the sign
 * bit says that the bucket is rotated. */
struct scale_array {
    uint8_t *bytes;
    uint64_t first;
};

static inline struct scale_array scales_at(const float *scales, uint64_t first) {
    return (struct scale_array){(uint8_t *)(uintptr_t)scales, first};
}

static inline uint32_t scale_bits(const struct scale_array *a, uint64_t bucket) {
    uint32_t bits;
    memcpy(&bits, a->bytes + 4 * (bucket - a->first), 4);
    return bits;
}

#define SCALE_ROTATED 0x80000000U

static inline float scale_get(const struct scale_array *a, uint64_t bucket) {
    return float_from_bits(scale_bits(a, bucket) & ~SCALE_ROTATED);
}

static inline bool scale_rotated(const struct scale_array *a, uint64_t bucket) {
    return (scale_bits(a, bucket) & SCALE_ROTATED) != 0;
}

/* Keeps the sign bit. */
static inline void scale_set(const struct scale_array *a, uint64_t bucket, float scale) {
    const uint32_t bits = float_bits(scale) | (scale_bits(a, bucket) & SCALE_ROTATED);
    memcpy(a->bytes + 4 * (bucket - a->first), &bits, 4);
}

static inline void scale_open(const struct scale_array *a, uint64_t bucket, float scale,
                              bool rotated) {
    const uint32_t bits = float_bits(scale) | (rotated ? SCALE_ROTATED : 0);
    memcpy(a->bytes + 4 * (bucket - a->first), &bits, 4);
}

#define SCALE_NAN_BITS 0x7FC00000U
#define SCALE_INF_BITS 0x7F800000U

/* True for what a frame can hold: finite with sign bit 0, or the NaN. */
static inline bool scale_is_valid(float scale) {
    uint32_t bits = float_bits(scale);
    return bits < SCALE_INF_BITS || bits == SCALE_NAN_BITS;
}

/* Idle buckets have scale 0 or NaN. By bits: whatever the caller's floating-point mode, subnormal
 * scales are none. */
static inline bool scale_is_idle(float scale) {
    return float_bits(scale) - 1 >= SCALE_INF_BITS - 1;
}

/* Powers of two that bring a scale into range (FORMAT.md section 8.4, X), and their inverses. */
static inline float scale_range(float scale) {
    if (scale < 0x1p-63F) return 0x1p96F;
    return scale > 0x1p63F ? 0x1p-64F : 1.0F;
}

#endif
