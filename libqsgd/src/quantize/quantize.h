/* Elements of a chunk to indices. Stages: elements -> norm -> scale -> rounding. */
#ifndef QSGD_QUANTIZE_QUANTIZE_H
#define QSGD_QUANTIZE_QUANTIZE_H

#include "grid/layout.h"
#include "quantize/bucket_scales.h"
#include "quantize/quantizer.h"

/* What a chunk comes to: indices, or direct tokens if k is NULL; and its damping, for dithered
 * frames. */
struct chunk_indices {
    int16_t *k;
    uint8_t *tokens;
    uint8_t damping;
};

/* Quantizes one chunk of x (its elements as float32) to `out`, whose memory is given. Rotated
 * frames overwrite scratch->elements, which may be x. Scales of buckets within the chunk are
 * computed and stored; longer buckets' are read. Returns QSGD_OK, or QSGD_ERR_NONFINITE with
 * *bad_bucket if params.nonfinite is RAISE. */
qsgd_status quantize_chunk(const struct tensor *t, const struct chunk_span *span, const float *x,
                           struct quantize_scratch *scratch, struct chunk_indices *out,
                           uint64_t *bad_bucket);

#endif
