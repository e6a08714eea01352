/* Indices of a chunk back to values (FORMAT.md section 7). Stage: index -> value. */
#ifndef QSGD_QUANTIZE_VALUES_H
#define QSGD_QUANTIZE_VALUES_H

#include "grid/scales.h"
#include "quantize/quantizer.h"

/* Where values go: stored as dtype, or multiplied by alpha and added to float32. */
struct sink {
    uint8_t *data; /* of element `origin` */
    uint64_t origin;
    uint32_t dtype;
    bool add;
    float alpha;
    uint64_t from, to; /* rotated frames: elements outside come with their buckets, and are left */
    bool stream;       /* the output is so long that it would only pass through the caches */
};

/* n <= QUANTIZE_BLOCK values of one bucket into v. */
void values_of_run(const struct quantizer *q, float scale, uint8_t alpha, const int16_t *k,
                   const uint16_t *noise, size_t n, float *v);

/* Values of elements [from, to) of the chunk, from its indices, scales and damping. */
void values_of_chunk(const struct quantizer *q, const struct chunk_span *span, uint64_t from,
                     uint64_t to, const int16_t *k, const struct scale_array *scales, uint8_t alpha,
                     struct quantize_scratch *scratch, const struct sink *sink);

/* The same from the direct tokens of elements [from, to) (tokens[0] is that of `from`), after
 * values_token_levels. */
void values_of_tokens(const struct quantizer *q, uint64_t from, uint64_t to, const uint8_t *tokens,
                      const struct scale_array *scales, uint8_t alpha,
                      struct quantize_scratch *scratch, const struct sink *sink);
void values_token_levels(struct quantizer *q);

/* sums[i] += v[i] * alpha, both rounded; n float32 at any alignment. */
void values_add_to(const float *restrict v, size_t n, float alpha, uint8_t *restrict sums);

/* Indices of a chunk as frames code them, and back: where they are turned, those of buckets that
 * are not idle change sign by the noise (FORMAT.md section 6.6). */
void values_turn(const struct quantizer *q, const struct chunk_span *span,
                 const struct scale_array *scales, struct quantize_scratch *scratch, int16_t *k);

/* residual = x - value, for one chunk; x as source_read gives it, not rotated. */
void residual_of_chunk(const struct quantizer *q, const struct chunk_span *span, const float *x,
                       const int16_t *k, const struct scale_array *scales, uint8_t alpha,
                       struct quantize_scratch *scratch, float *residual);

#endif
