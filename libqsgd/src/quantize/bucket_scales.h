/* Scales of buckets: from elements by way of norms to stored numbers (ENCODER.md section 5). Stage:
 * elements -> norm -> scale. */
#ifndef QSGD_QUANTIZE_BUCKET_SCALES_H
#define QSGD_QUANTIZE_BUCKET_SCALES_H

#include "grid/scales.h"
#include "quantize/quantizer.h"
#include "quantize/source.h"
#include "quantize/topk.h"

/* What a norm needs of a bucket. */
struct bucket_sums {
    uint32_t max_bits; /* of |x| */
    double sum;        /* of squares or of magnitudes */
    bool spiked;       /* a block that may have outliers, which were taken out first */
};

#define FEEDBACK_NOWHERE UINT64_MAX

/* Error feedback in buckets longer than a chunk (quantize/feedback.h): what a chunk comes to
 * before it is coded, */
struct feedback_sums {
    double products, squares; /* <e, h>, <h, h> */
    uint32_t largest;         /* |e|, as bits, if all h are 0 */
    uint64_t largest_at;      /* its element, or FEEDBACK_NOWHERE */
};

/* and what a bucket comes to. */
struct feedback_bucket {
    float quantizing; /* the scale that its indices are of: what is stored is another */
    uint64_t forced;  /* the element that is sent although its index is 0, or FEEDBACK_NOWHERE */
};

/* A tensor on its way to indices: how, from where, and what its buckets have come to. */
struct tensor {
    struct quantizer q;
    struct source source;
    struct scale_array scales;    /* of buckets longer than a chunk, or where a caller wants all */
    struct bucket_sums *partials; /* per block of buckets longer than a chunk */
    struct bucket_sums *totals;   /* per block of the tensor, for balanced scales */
    struct topk_cut *cuts;        /* per such bucket, for top-k; else NULL */
    struct feedback_sums *feedback_sums; /* per chunk of such buckets, if there is a residual */
    struct feedback_bucket *feedback;    /* per such bucket; else NULL */
    bool one_pass; /* chunks of such buckets have each a scale of its own, by the reference */
};

/* Takes all of these arrays, and scales of long buckets, from the memory, or only counts them. */
void tensor_carve(struct tensor *t, struct memory *memory, const float *residual);

/* True if blocks of the chunk were asked for their outliers before chunks started; *any: some may
 * be the chunk's. */
bool tensor_knows_outliers(const struct tensor *t, const struct chunk_span *span, bool *any);

/* The stored scale of a bucket of at most a chunk, of elements x[len], and what it is of. */
float scale_of_short_bucket(const struct tensor *t, uint64_t bucket, const float *x, uint64_t len,
                            struct bucket_sums *sums);

/* The same of a rotated one. */
float scale_of_rotated(const struct tensor *t, uint64_t bucket, const float *x, uint64_t len);

/* The step, in root mean squares, of nearest rounding of normal elements that leaves what dithered
 * steps u leave (ENCODER.md section 5.2). */
double rotated_step(double u);

/* The stored scale of a chunk of a longer bucket, if t->one_pass, and its largest magnitude. */
float scale_of_piece(const struct tensor *t, const float *x, uint64_t len, uint32_t *max_bits);

/* Buckets longer than a chunk get their scales before chunks start, unless t->one_pass: task
 * `block` of big_scales_blocks sums one block into t->partials[block]; then big_scales_store stores
 * the scales (and cuts). */
uint64_t big_scales_blocks(const struct layout *l);
void big_scales_block(const struct tensor *t, uint64_t block, struct quantize_scratch *scratch);
void big_scales_store(const struct tensor *t, struct quantize_scratch *scratch);

/* True if no chunk needs to know of others for its scale: there is a reference, and neither scales
 * nor a residual. */
bool tensor_one_pass(const struct tensor *t);

/* QSGD_NORM_BALANCED wants the sum of squares of the tensor first, if there is no reference: task
 * `block` of tensor_total_blocks sums one block into t->totals[block], then tensor_total_store
 * takes them. */
uint64_t tensor_total_blocks(const struct quantizer *q);
void tensor_total_block(const struct tensor *t, uint64_t block, struct quantize_scratch *scratch);
void tensor_total_store(struct tensor *t);

/* The root mean square of a tensor that is one bucket: from the sums of its blocks, or, where a
 * chunk holds it, of its elements. */
double tensor_rms(const struct tensor *t, struct quantize_scratch *scratch);

#endif
