#include "quantize/measure.h"

#include <string.h>

#include "base/square_root.h"
#include "quantize/values.h"

static double block_squares(const struct quantizer *q, const float *x, uint64_t n) {
    double sum;
    const uint32_t largest = q->kernels->sum_squares(x, (size_t)n, &sum);
    return largest >= SCALE_INF_BITS ? 0 : sum;
}

double measure_squares(const struct quantizer *q, const float *x, uint64_t n) {
    double sum = 0;
    for (uint64_t i = 0; i < n; i += NORM_BLOCK) {
        sum += block_squares(q, x + i, min_u64(NORM_BLOCK, n - i));
    }
    return sum;
}

/* What a bucket's squared step is as: its own energy, the root of that, or nothing of its own. */
static double share_of(const qsgd_params *p, double energy, double len) {
    if (p->reference > 0 && p->norm == QSGD_NORM_RMS) return len;
    if (p->bucket == 0) return len;
    return p->norm == QSGD_NORM_BALANCED ? square_root(energy * len) : energy;
}

/* Bucket by bucket, or all of a chunk that is one. */
struct chunk_loss measure_given(const struct tensor *t, const struct chunk_span *span,
                                struct quantize_scratch *scratch) {
    const struct layout *l = &t->q.layout;
    const bool within = l->per_bucket == 0 && t->q.params.bucket != 0;
    const uint64_t piece = within ? min_u64(t->q.params.bucket, span->len) : span->len;
    struct chunk_loss all = {0, 0, 0};
    for (uint64_t from = 0; from < span->len; from += piece) {
        const uint64_t len = min_u64(piece, span->len - from);
        double energy = 0;
        for (uint64_t i = 0, n; i < len; i += n) {
            n = min_u64(NORM_BLOCK, len - i);
            const uint64_t first = span->first + from + i;
            energy += block_squares(&t->q, source_read(&t->source, first, n, scratch->elements), n);
        }
        all.energy += energy;
        all.share += share_of(&t->q.params, energy, (double)len);
    }
    return all;
}

/* The error of what decodes. */
static double error_left(const struct tensor *t, const struct chunk_span *span,
                         struct quantize_scratch *scratch, const struct chunk_indices *c) {
    const struct dequantizer d = {.q = &t->q,
                                  .scales = c->scales,
                                  .scratch = scratch,
                                  .damping = c->damping,
                                  .turned = t->q.turned,
                                  .zeros = c->zeros,
                                  .first = span->first};
    outliers_put(c->zeros.outliers, 0, (size_t)span->len, scratch->elements); /* they are exact */
    memset(scratch->left, 0, (size_t)span->len * sizeof *scratch->left);
    residual_of_chunk(&d, &t->source, span, c->x, c->k, scratch->left);
    return measure_squares(&t->q, scratch->left, span->len);
}

double measure_error(const struct tensor *t, const struct chunk_span *span,
                     struct quantize_scratch *scratch, const struct chunk_indices *c) {
    return quantizer_knows_error(&t->q) ? c->error : error_left(t, span, scratch, c);
}
