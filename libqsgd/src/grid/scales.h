/* Scales of buckets as they are stored (FORMAT.md section 6). How they are computed:
 * quantize/bucket_scales.c. */
#ifndef QSGD_GRID_SCALES_H
#define QSGD_GRID_SCALES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "qsgd.h"

/* Where stored scales lie: in a frame, or in a caller's array of native floats. */
enum { SCALES_FLOAT32 = 0, SCALES_BFLOAT16 = 1, SCALES_NATIVE = 2 };

struct scale_array {
    uint8_t *bytes;
    int kind;
};

/* How a frame names the type of its scales. */
static inline int scale_kind(uint32_t scale_dtype) {
    return scale_dtype == QSGD_FLOAT32 ? SCALES_FLOAT32 : SCALES_BFLOAT16;
}

static inline uint32_t scale_dtype_of(unsigned kind) {
    return kind == SCALES_FLOAT32 ? QSGD_FLOAT32 : QSGD_BFLOAT16;
}

static inline size_t scale_bytes(int kind) { return kind == SCALES_BFLOAT16 ? 2 : 4; }

static inline float scale_get(const struct scale_array *a, uint64_t i) {
    if (a->kind == SCALES_BFLOAT16)
        return float_from_bits((uint32_t)load_le16(a->bytes + 2 * i) << 16);
    if (a->kind == SCALES_FLOAT32) return float_from_bits(load_le32(a->bytes + 4 * i));
    float f;
    memcpy(&f, a->bytes + 4 * i, 4);
    return f;
}

/* `scale` must be exact in the array's kind. */
static inline void scale_set(const struct scale_array *a, uint64_t i, float scale) {
    if (a->kind == SCALES_BFLOAT16) {
        store_le16(a->bytes + 2 * i, (uint16_t)(float_bits(scale) >> 16));
    } else if (a->kind == SCALES_FLOAT32) {
        store_le32(a->bytes + 4 * i, float_bits(scale));
    } else {
        memcpy(a->bytes + 4 * i, &scale, 4);
    }
}

/* A caller's array of n native floats, at any alignment. */
static inline struct scale_array scales_native(const float *scales) {
    return (struct scale_array){(uint8_t *)(uintptr_t)scales, SCALES_NATIVE};
}

/* Scales that are exact in both kinds. */
static inline void scales_copy(const struct scale_array *from, const struct scale_array *to,
                               uint64_t n) {
    for (uint64_t i = 0; i < n; i++) scale_set(to, i, scale_get(from, i));
}

#define SCALE_NAN_BITS 0x7FC00000U
#define SCALE_INF_BITS 0x7F800000U

/* True for what FORMAT.md section 6 allows: finite with sign bit 0, or the NaN. */
static inline bool scale_is_valid(float scale) {
    uint32_t bits = float_bits(scale);
    return bits < SCALE_INF_BITS || bits == SCALE_NAN_BITS;
}

/* Idle buckets have scale 0 or NaN. */
static inline bool scale_is_idle(float scale) { return !(scale > 0); }

/* Powers of two that bring a scale into range (FORMAT.md section 8.4, X), and their inverses. */
static inline float scale_range(float scale) {
    if (scale < 0x1p-63F) return 0x1p96F;
    return scale > 0x1p63F ? 0x1p-64F : 1.0F;
}

#endif
