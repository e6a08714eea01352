/* What a chunk loses: its expected squared error beside its energy (ENCODER.md section 10.3). */
#ifndef QSGD_QUANTIZE_MEASURE_H
#define QSGD_QUANTIZE_MEASURE_H

#include "quantize/quantize.h"

struct chunk_loss {
    double error, energy;
    double share; /* as which errors of buckets are to each other, about, at some step */
};

/* Energy and share of a chunk's elements as they are given, outliers and all, before it is
 * quantized: sums of squares, blocks of ENCODER.md section 5.1 that are not finite counting as 0.
 * No error yet. */
struct chunk_loss measure_given(const struct tensor *t, const struct chunk_span *span,
                                struct quantize_scratch *scratch);

/* The error of a quantized chunk, if t->q.measured; c as quantize_chunk left it. */
double measure_error(const struct tensor *t, const struct chunk_span *span,
                     struct quantize_scratch *scratch, const struct chunk_indices *c);

/* The sum of squares of what is left of n elements. */
double measure_squares(const struct quantizer *q, const float *x, uint64_t n);

#endif
