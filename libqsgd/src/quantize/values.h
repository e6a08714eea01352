/* Indices of a chunk back to values (FORMAT.md section 8.4). Stage: index -> value. */
#ifndef QSGD_QUANTIZE_VALUES_H
#define QSGD_QUANTIZE_VALUES_H

#include "grid/live.h"
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

/* How the indices of a chunk become values, and where these go. */
struct dequantizer {
    const struct quantizer *q;
    struct scale_array scales;
    struct quantize_scratch *scratch;
    const struct sink *sink; /* residuals need none */
    uint8_t damping;         /* of the chunk's dither, in 1/128 */
    bool turned;             /* indices of dithered buckets are (FORMAT.md section 8.2) */
    struct zero_groups zeros;
    uint64_t first; /* the chunk's first element, from which groups are counted */
};

/* Values of elements [from, to) of the chunk, from its indices; those of elements that are not live
 * are not looked at. */
void values_from_indices(const struct dequantizer *d, const struct chunk_span *span, uint64_t from,
                         uint64_t to, const int16_t *k);

/* The same from the direct tokens of elements [from, to) (tokens[0] is that of `from`), after
 * values_token_levels. */
void values_from_tokens(const struct dequantizer *d, uint64_t from, uint64_t to,
                        const uint8_t *tokens);
void values_token_levels(struct quantizer *q);

/* Values of elements [from, to) none of which is live. */
void values_from_nothing(const struct dequantizer *d, uint64_t from, uint64_t to);

/* left = x - value, for one chunk, of whose first element left[0] is; x as quantize_chunk got it,
 * read anew if it was rotated. Buckets that leave as NaN are left out. */
void residual_of_chunk(const struct dequantizer *d, const struct source *source,
                       const struct chunk_span *span, const float *x, const int16_t *k,
                       float *left);

/* Turns the indices of a chunk, or its direct tokens if k is NULL, and turns them back: those of
 * dithered buckets that are not idle change sign by the noise (FORMAT.md section 8.2). */
void values_turn(const struct quantizer *q, const struct chunk_span *span,
                 const struct scale_array *scales, struct quantize_scratch *scratch, int16_t *k,
                 uint8_t *tokens);

/* n values, at most a block, of one bucket without damping into v; k may be NULL if it is idle. */
void values_of_bucket(const struct quantizer *q, float scale, const int16_t *k, size_t n, float *v);

/* n values, at most a block, of one bucket at scale 1; noise is NULL if it is not dithered: then
 * indices are not turned, nor is there damping. */
void values_at_one(const struct quantizer *q, uint8_t damping, const int16_t *k,
                   const uint16_t *noise, size_t n, float *v);

/* n values to the sink's element `element` and those behind it. */
void values_put(const struct sink *sink, uint64_t element, const float *v, size_t n);

/* sums[i] += v[i] * alpha, both rounded; n float32 at any alignment. */
void values_add_to(const float *restrict v, size_t n, float alpha, uint8_t *restrict sums);

#endif
