/* Elements of any float type as float32 and back (FORMAT.md section 8.6). Stage: tensor. */
#ifndef QSGD_BASE_DTYPE_H
#define QSGD_BASE_DTYPE_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qsgd.h"

/* Bytes of an element; 0 for an unknown type. */
size_t dtype_bytes(uint32_t dtype);

static inline bool dtype_is_float(uint32_t dtype) { return dtype <= 3; }

/* True if frames of that code hold the elements themselves, of which nothing is lost: no quantizer,
 * no buckets, no noise. */
static inline bool code_is_exact(int32_t code) {
    return code == QSGD_CODE_RAW || code == QSGD_CODE_LOSSLESS;
}

/* n elements of a float type from src (any alignment) to float32, rounded to nearest even. */
void dtype_to_float(uint32_t dtype, const void *src, size_t n, float *out);

/* Where n doubles, at any alignment, are finite and became infinite floats x: the largest float. */
void dtype_saturate(const void *doubles, size_t n, float *x);

/* n float32 to elements of a float type at dst (any alignment), rounded to nearest even; finite
 * ones stay finite. */
void dtype_from_float(uint32_t dtype, const float *x, size_t n, void *dst);

/* Copies n elements between native order and the frame's little-endian. */
void dtype_swap_copy(uint32_t dtype, const void *src, size_t n, void *dst);

#endif
