/* Runs of elements of one bucket to indices, or to direct tokens: range reduction, noise, rounding
 * (ENCODER.md section 6). Stage: elements, scale -> indices. */
#ifndef QSGD_QUANTIZE_ROUNDING_H
#define QSGD_QUANTIZE_ROUNDING_H

#include "grid/live.h"
#include "quantize/quantizer.h"
#include "quantize/topk.h"

/* What a bucket's elements need, kept while its runs pass. */
struct bucket_state {
    struct bucket_span span;
    const float *x; /* its elements, as far as they are in the chunk; rotated, if they are to be */
    float scale;
    float range; /* X */
    bool rotated;
    bool beside_rotated; /* other parts of its bucket are, at least */
    struct round_bucket round;
    struct topk_cut cut;
    uint64_t variance; /* Q */
    uint64_t elements;
};

/* Sets what follows from b->scale and b->rotated. */
void bucket_begin(const struct quantizer *q, struct bucket_state *b);

/* n elements from `element` on that share bucket and block of noise, and where
 * their indices go, or their tokens if k is NULL. */
struct run {
    const float *x;
    const uint16_t *noise; /* noise[i] belongs to element + i; of no use to nearest rounding */
    uint64_t element;
    size_t n;
    int16_t *k;
    uint8_t *tokens;
};

/* Rounds a run; block: room for its elements times X. */
void run_round(const struct quantizer *q, struct bucket_state *b, const struct run *run,
               float *block);

/* The same of a run from element `at` of the chunk on, some of whose elements are in groups of
 * zeros: these have the idle index, and no part in the damping. */
void run_round_with_zeros(const struct quantizer *q, struct bucket_state *b, const struct run *run,
                          float *block, const struct zero_groups *zeros, uint64_t at);

#endif
