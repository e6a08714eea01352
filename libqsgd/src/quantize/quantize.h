/* Elements of a chunk to indices. Stages: elements -> norm -> scale -> rounding. */
#ifndef QSGD_QUANTIZE_QUANTIZE_H
#define QSGD_QUANTIZE_QUANTIZE_H

#include "grid/layout.h"
#include "grid/live.h"
#include "quantize/bucket_scales.h"
#include "quantize/quantizer.h"

/* What a chunk comes to: indices, or direct tokens if k is NULL; the scales of its buckets; its
 * damping, for dithered frames; and its groups of zeros. */
struct chunk_indices {
    int16_t *k;
    uint8_t *tokens;
    struct scale_array scales;
    uint8_t damping;
    double error;   /* expected, squared, if q->measured and quantizer_knows_error */
    const float *x; /* its elements as float32, without outliers, as far as they are not rotated */
    struct zero_groups zeros; /* of its elements, where these are marked (zeros_are_marked); given:
                                 outliers, which x holds no more */
};

/* Where scales of a chunk's buckets go: of short ones, and of one pass, to `scales`; longer ones'
 * are there. */
static inline struct scale_array chunk_scales_of(const struct tensor *t,
                                                 const struct chunk_span *span, float *scales) {
    const bool there = t->q.layout.per_bucket != 0 && !t->one_pass;
    return there ? t->scales : scales_at(scales, span->bucket);
}

/* Quantizes one chunk to `out`, whose memory is given. Rotated frames overwrite scratch->elements,
 * which may be out->x. Scales of buckets within the chunk are
 * computed and stored in out->scales; longer buckets' are read there. Returns QSGD_OK, or
 * QSGD_ERR_NONFINITE with *bad_bucket if params.nonfinite is RAISE. */
qsgd_status quantize_chunk(const struct tensor *t, const struct chunk_span *span,
                           struct quantize_scratch *scratch, struct chunk_indices *out,
                           uint64_t *bad_bucket);

#endif
