/* Elements of a chunk to indices. Stages: elements -> norm -> scale -> rounding. */
#ifndef QSGD_QUANTIZE_QUANTIZE_H
#define QSGD_QUANTIZE_QUANTIZE_H

#include "grid/scales.h"
#include "quantize/quantizer.h"
#include "quantize/source.h"
#include "quantize/topk.h"

/* Quantizes one chunk of x (its elements as float32) to indices k, or to tokens if k is NULL.
 * Rotated frames overwrite scratch->elements, which may be x. Scales of buckets within the chunk
 * are computed and stored; longer buckets' are read. Returns QSGD_OK, or QSGD_ERR_NONFINITE with
 * *bad_bucket if params.nonfinite is RAISE. */
qsgd_status quantize_chunk(const struct quantizer *q, const struct source *source,
                           const struct chunk_span *span, const float *x,
                           const struct scale_array *scales, const struct topk_cut *cuts,
                           struct quantize_scratch *scratch, int16_t *k, uint8_t *tokens,
                           uint8_t *alpha, uint64_t *bad_bucket);

#endif
