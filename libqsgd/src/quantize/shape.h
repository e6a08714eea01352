/* Whether a bucket's elements are such that a rotation spreads them well, and gains by it
 * (ENCODER.md section 4.1). Stage: elements -> rotation. */
#ifndef QSGD_QUANTIZE_SHAPE_H
#define QSGD_QUANTIZE_SHAPE_H

#include "grid/layout.h"
#include "kernels/kernels.h"

/* Sums over blocks of PART_LEAST elements. */
struct shape {
    double squares, magnitudes, elements;
    double roots; /* of each block's squares times its length */
};

/* Of n elements. */
struct shape shape_measure(const struct kernels *kernels, const float *x, uint64_t n);

/* True if blocks have much the same energy. */
bool shape_is_even(const struct shape *s, uint64_t n);

/* True if the elements x of a part of n = 2^z, whose step would be `unit` dithered and `turned`
 * root mean squares rotated, are neither quiet nor loud beside that, nor sparse, flat, uneven, of
 * one sign, or of few values. */
bool shape_rotates(const struct kernels *kernels, const struct shape *s, const float *x, uint64_t n,
                   double unit, double turned);

#endif
