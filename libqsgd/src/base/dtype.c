/* Element types: conversion to and from float32 in integer arithmetic, and byte order. */
#include "base/dtype.h"

#include <float.h>
#include <string.h>

#include "base/bits.h"
#include "qsgd.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
enum { BIG_ENDIAN_HOST = 1 };
#else
enum { BIG_ENDIAN_HOST = 0 };
#endif

size_t dtype_bytes(uint32_t dtype) {
    static const uint8_t bytes[] = {
        [QSGD_FLOAT32] = 4, [QSGD_FLOAT64] = 8,   [QSGD_FLOAT16] = 2,     [QSGD_BFLOAT16] = 2,
        [QSGD_INT8] = 1,    [QSGD_UINT8] = 1,     [QSGD_INT16] = 2,       [QSGD_UINT16] = 2,
        [QSGD_INT32] = 4,   [QSGD_UINT32] = 4,    [QSGD_INT64] = 8,       [QSGD_UINT64] = 8,
        [QSGD_BOOL] = 1,    [QSGD_COMPLEX64] = 8, [QSGD_COMPLEX128] = 16,
    };
    return dtype < sizeof bytes ? bytes[dtype] : 0;
}

/* binary16: 5 exponent bits, bias 15; subnormals are multiples of 2^-24. */
static float float_from_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31) return float_from_bits(sign | 0x7F800000 | mantissa << 13);
    if (exponent != 0) return float_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float value = (float)mantissa * 0x1p-24F;
    return float_from_bits(sign | float_bits(value));
}

/* Of the numbers that are finite here and would be infinite there, the largest: what is far too
 * large is still a gradient, and Inf is not. */
static uint16_t half_from_float(float f) {
    uint32_t u = float_bits(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x1FF));
    if (magnitude == 0x7F800000) return (uint16_t)(sign | 0x7C00);
    if (magnitude >= 0x477FF000) return (uint16_t)(sign | 0x7BFF); /* >= 65520 would be Inf */
    if (magnitude < 0x38800000) { /* below 2^-14: to a multiple of 2^-24 */
        /* adding 2^-1 (ulp 2^-24) rounds to nearest even; the low bits are the half's */
        return (uint16_t)(sign |
                          (float_bits(float_from_bits(magnitude) + 0.5F) - float_bits(0.5F)));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | ((magnitude + 0xFFF + odd - (112U << 23)) >> 13));
}

static uint16_t bfloat_from_float(float f) {
    uint32_t u = float_bits(f);
    const uint32_t magnitude = u & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return (uint16_t)(u >> 16 | 0x40);          /* NaN stays NaN */
    if (magnitude >= 0x7F7F8000 && magnitude < 0x7F800000) u &= 0xFFFF0000; /* would be Inf */
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

void dtype_to_float(uint32_t dtype, const void *src, size_t n, float *out) {
    const uint8_t *p = src;
    if (dtype == QSGD_FLOAT32) {
        memcpy(out, src, n * 4);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (dtype == QSGD_FLOAT64) {
            double d;
            memcpy(&d, p + 8 * i, 8);
            out[i] = (float)d;
        } else {
            uint16_t h;
            memcpy(&h, p + 2 * i, 2);
            out[i] =
                dtype == QSGD_FLOAT16 ? float_from_half(h) : float_from_bits((uint32_t)h << 16);
        }
    }
}

void dtype_saturate(const void *doubles, size_t n, float *x) {
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, (const uint8_t *)doubles + 8 * i, 8);
        if (d > FLT_MAX && d <= DBL_MAX) x[i] = FLT_MAX;
        if (d < -FLT_MAX && d >= -DBL_MAX) x[i] = -FLT_MAX;
    }
}

void dtype_from_float(uint32_t dtype, const float *x, size_t n, void *dst) {
    uint8_t *p = dst;
    if (dtype == QSGD_FLOAT32) {
        memcpy(dst, x, n * 4);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (dtype == QSGD_FLOAT64) {
            double d = (double)x[i];
            memcpy(p + 8 * i, &d, 8);
        } else {
            uint16_t h = dtype == QSGD_FLOAT16 ? half_from_float(x[i]) : bfloat_from_float(x[i]);
            memcpy(p + 2 * i, &h, 2);
        }
    }
}

void dtype_swap_copy(uint32_t dtype, const void *src, size_t n, void *dst) {
    size_t item = dtype_bytes(dtype);
    if (dtype == QSGD_COMPLEX64 || dtype == QSGD_COMPLEX128) { /* real, imaginary */
        item /= 2;
        n *= 2;
    }
    if (!BIG_ENDIAN_HOST || item == 1) {
        if (n > 0) memcpy(dst, src, n * item);
        return;
    }
    const uint8_t *from = src;
    uint8_t *to = dst;
    for (size_t i = 0; i < n; i++, from += item, to += item) {
        for (size_t b = 0; b < item; b++) to[b] = from[item - 1 - b];
    }
}
