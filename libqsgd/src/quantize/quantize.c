/* Elements of a chunk to indices, bucket by bucket: norm, scale, rotation, rounding, and the
 * damping of the dither (ENCODER.md sections 4 to 6). The way back is quantize/values.c. */
#include "quantize/quantize.h"

#include <string.h>

#include "base/square_root.h"
#include "quantize/outliers.h"
#include "quantize/projection.h"
#include "quantize/rounding.h"
#include "quantize/shape.h"
#include "quantize/topk.h"
#include "quantize/walk.h"
#include "quantize/zeros.h"

/* Terms of the damping (ENCODER.md section 6.3). */
struct damping {
    double num, den;
};

static void damping_add(struct damping *d, const struct bucket_state *b) {
    if (scale_is_idle(b->scale) || !b->round.dithered) return;
    double w = (double)b->scale * (double)b->scale;
    d->num = d->num + w * (double)b->variance;
    d->den = d->den + w * (double)b->elements;
}

static uint8_t damping_byte(const struct damping *d) {
    if (!(d->den > 0)) return 0;
    double a = d->num * (3.0 * 0x1p-16) / d->den + 0.5;
    return a >= 255 ? 255 : (uint8_t)a;
}

/* Expected squared error of the elements that count for the damping: of each p (1 - p) (1 - alpha)
 * + alpha^2 / 12 gaps squared, p the chance of rounding up (ENCODER.md section 10.3). */
static double expected_error(const struct quantizer *q, const struct damping *d, uint8_t damping) {
    const double alpha = (double)damping * 0x1p-7, gap = (double)q->levels.gap;
    const double rounding = d->num * 0x1p-24 * (1 - alpha);
    const double dither = d->den * (alpha * alpha) / 12;
    return gap * gap * (rounding + dither);
}

/* What all buckets of a chunk share. */
struct chunk {
    const struct tensor *t;
    const struct chunk_span *span;
    struct chunk_indices *out; /* and the chunk's elements */
    struct quantize_scratch *scratch;
    uint64_t zeros_known; /* groups of zeros that start before this element are in out->zeros */
    bool keeps_zeros;     /* there are other zeros, which are to be exact, too */
    uint32_t largest;     /* |x|, as bits, of what was opened */
    struct damping damping;
};

/* Groups of zeros are looked for where elements are read anyway. */
static void find_zeros(struct chunk *c, uint64_t to) {
    if (to <= c->zeros_known) return;
    c->zeros_known =
        zeros_find(c->out->x, c->span->len, c->zeros_known, to, c->scratch->zeros, &c->out->zeros);
}

static void note_largest(struct chunk *c, uint32_t max_bits) {
    if (max_bits > c->largest) c->largest = max_bits;
}

/* Where the rotated elements of a bucket that is cut go: elements that were copied are rotated
 * where they lie; else two buckets are in use, and take turns in memory that so stays in the first
 * cache.
 */
static float *rotated_at(const struct chunk *c, uint64_t element) {
    const uint64_t bucket = c->t->q.layout.bucket, at = element - c->span->first;
    if (c->out->x == c->scratch->elements) return c->scratch->elements + at;
    return c->scratch->elements + (at / bucket % 2 * bucket + at % bucket);
}

/* The same scale for all parts of the bucket, none of which is rotated. */
static void parts_share(const struct chunk *c, struct bucket_span part, uint64_t end, float scale) {
    for (;;) {
        scale_open(&c->out->scales, part.bucket, scale, false);
        if (part.end >= end) return;
        layout_next_bucket(&c->t->q.layout, &part);
    }
}

/* Rotates the parts of a bucket that are long enough; false if a scale overflows by that. */
static bool parts_rotate(const struct chunk *c, struct bucket_span part, uint64_t end) {
    const struct quantizer *q = &c->t->q;
    for (;;) {
        const uint64_t len = part.end - part.first;
        const float *x = c->out->x + (part.first - c->span->first);
        const bool rotated = len >= PART_LEAST;
        struct bucket_sums sums;
        if (rotated) {
            float *to = rotated_at(c, part.first);
            rotation_forward(c->scratch->rotation, q->kernels, &q->key, q->origin + part.first,
                             (size_t)len, x, to);
            x = to;
        }
        const float scale = rotated ? scale_of_rotated(c->t, part.bucket, x, len)
                                    : scale_of_short_bucket(c->t, part.bucket, x, len, &sums);
        if (scale != scale) return false;
        scale_open(&c->out->scales, part.bucket, scale, rotated);
        if (part.end >= end) return true;
        layout_next_bucket(&q->layout, &part);
    }
}

/* True if the bucket of elements x[len] is rotated, whose first part starts there, and whose scale
 * is `scale` if it is not (ENCODER.md 4.1). */
static bool takes_rotation(const struct chunk *c, struct bucket_span part, const float *x,
                           uint64_t len, float scale) {
    const struct quantizer *q = &c->t->q;
    if (len < PART_LEAST) return false;
    const uint64_t at = part.first - c->span->first;
    if (c->keeps_zeros && zeros_alone(&c->out->zeros, c->out->x, at, at + len)) return false;
    if (q->levels.kind != QSGD_LEVELS_OPEN || c->t->source.given != NULL) return true;
    if (len > PART_LEAST && len < 2 * PART_LEAST) return false;
    const struct shape whole = shape_measure(q->kernels, x, len);
    if (!shape_is_even(&whole, len)) return false;
    for (uint64_t first = part.first;; layout_next_bucket(&q->layout, &part)) {
        const uint64_t n = part.end - part.first;
        const float *own = x + (part.first - first);
        if (n < PART_LEAST) return true;
        const struct shape shape = n == len ? whole : shape_measure(q->kernels, own, n);
        const double rms = square_root(shape.squares / (double)n);
        struct bucket_sums sums;
        const float stored =
            n == len ? scale : scale_of_short_bucket(c->t, part.bucket, own, n, &sums);
        const double unit = (double)q->params.step * (double)stored;
        const bool nearest = q->params.rounding == QSGD_ROUND_NEAREST;
        const double turned = nearest ? rotated_step(unit / rms) : unit / rms;
        if (!shape_rotates(q->kernels, &shape, own, n, unit, turned)) return false;
        if (part.end - first >= len) return true;
    }
}

/* The scales of all parts of a bucket, the first of which is this one; and its rotation. */
static void parts_open(struct chunk *c, struct bucket_span part) {
    const struct layout *l = &c->t->q.layout;
    const uint64_t len = layout_whole_len(l, part.first), end = part.first + len;
    const float *x = c->out->x + (part.first - c->span->first);
    struct bucket_sums sums;
    const float scale = scale_of_short_bucket(c->t, part.bucket, x, len, &sums);
    note_largest(c, sums.max_bits);
    find_zeros(c, end - c->span->first); /* before elements are rotated where they lie */
    const bool finite = scale == scale;
    if (finite && takes_rotation(c, part, x, len, scale) && parts_rotate(c, part, end)) return;
    parts_share(c, part, end, finite ? scale : float_from_bits(SCALE_NAN_BITS));
}

/* Scale of the bucket b->span, which is stored if it is short, and what follows from it. */
static void bucket_open(struct chunk *c, struct bucket_state *b) {
    const struct quantizer *q = &c->t->q;
    const struct layout *l = &q->layout;
    const struct bucket_span *const span = &b->span;
    const uint64_t bucket = span->bucket;
    b->x = l->per_bucket != 0 ? c->out->x : c->out->x + (span->first - c->span->first);
    b->rotated = false;
    if (c->t->one_pass) {
        uint32_t largest;
        b->scale = scale_of_piece(c->t, c->out->x, c->span->len, &largest);
        note_largest(c, largest);
        scale_open(&c->out->scales, bucket, b->scale, false);
    } else if (l->per_bucket != 0) {
        b->scale = scale_get(&c->out->scales, bucket);
        if (c->t->feedback != NULL && !scale_is_idle(b->scale)) {
            b->scale = c->t->feedback[bucket].quantizing;
        }
        if (c->t->cuts != NULL) b->cut = c->t->cuts[bucket];
    } else if (l->parts != 0) {
        if (span->first % l->bucket == 0) parts_open(c, *span);
        b->scale = scale_get(&c->out->scales, bucket);
        b->rotated = scale_rotated(&c->out->scales, bucket);
        const uint64_t first = span->first / l->bucket * l->parts;
        b->beside_rotated = scale_rotated(&c->out->scales, first);
        if (b->rotated) b->x = rotated_at(c, span->first);
    } else {
        struct bucket_sums sums;
        b->scale = scale_of_short_bucket(c->t, bucket, b->x, span->end - span->first, &sums);
        note_largest(c, sums.max_bits);
        scale_open(&c->out->scales, bucket, b->scale, false);
        if (q->params.rounding == QSGD_ROUND_TOPK && !scale_is_idle(b->scale)) {
            b->cut = topk_select(l, &c->t->source, bucket, sums.sum, c->scratch->heap,
                                 c->scratch->block);
        }
    }
    bucket_begin(q, b);
}

/* A bucket whose indices are all there: its last word on the scale. */
static void bucket_finish(const struct chunk *c, const struct bucket_state *b) {
    const struct quantizer *q = &c->t->q;
    const bool feedback = c->t->source.residual != NULL; /* which has a scale of its own */
    if (q->params.rescale == 0 || feedback || b->elements == 0 || scale_is_idle(b->scale)) return;
    if (!b->round.nearest) return;
    const uint64_t first = b->span.first, len = b->span.end - first;
    scale_set(&c->out->scales, b->span.bucket,
              projection_rescale(q, first, len, b->x, b->scale, c->scratch,
                                 c->out->k + (first - c->span->first)));
}

/* True if this is a further part of a bucket that is not rotated. */
static bool continues(const struct layout *l, const struct bucket_state *b) {
    if (l->parts == 0 || b->span.first % l->bucket == 0) return false;
    return !b->beside_rotated;
}

/* Buckets at hand and ahead: a norm is long to wait for, and rounding does not need the next one's.
 */
struct two_buckets {
    struct bucket_state *b, *ahead, both[2];
};

/* From one bucket to the next, until `end`. False if this one cannot be sent. */
static bool bucket_next(struct chunk *c, struct two_buckets *two, uint64_t end) {
    const struct layout *l = &c->t->q.layout;
    struct bucket_state *const last = two->b, *const b = two->ahead;
    two->b = b;
    two->ahead = last;
    if (continues(l, b)) { /* the terms of both are one's */
        b->variance = last->variance;
        b->elements = last->elements;
    } else {
        damping_add(&c->damping, last);
    }
    bucket_finish(c, last);
    if (b->scale != b->scale && c->t->q.params.nonfinite == QSGD_NONFINITE_RAISE) return false;
    if (b->span.end < end) {
        last->span = b->span;
        layout_next_bucket(l, &last->span);
        bucket_open(c, last);
    }
    return true;
}

/* The run that the walk is at. */
static void run_quantize(struct chunk *c, struct bucket_state *b, const struct walk *w) {
    const struct quantizer *q = &c->t->q;
    const uint64_t start = q->layout.per_bucket != 0 ? c->span->first : b->span.first;
    const uint64_t at = w->element - c->span->first;
    const struct run run = {b->x + (w->element - start),
                            walk_noise(w, !b->round.nearest),
                            w->element,
                            w->n,
                            c->out->k == NULL ? NULL : c->out->k + at,
                            c->out->k == NULL ? c->out->tokens + at : NULL};
    find_zeros(c, at + w->n);
    if (zeros_any(&c->out->zeros) && !b->rotated) {
        run_round_with_zeros(q, b, &run, c->scratch->block, &c->out->zeros, at);
    } else {
        run_round(q, b, &run, c->scratch->block);
    }
}

/* Before the first bucket. */
static void chunk_begin(struct chunk *c) {
    const struct quantizer *q = &c->t->q;
    const uint64_t len = c->span->len;
    const bool marked = zeros_are_marked(q);
    c->largest = 0;
    c->keeps_zeros = false;
    c->damping = (struct damping){0, 0};
    c->out->zeros.words = NULL;
    c->out->zeros.log2 = ZERO_GROUP_LOG2;
    c->zeros_known = len;
    if (!marked) return;
    c->zeros_known = 0;
    memset(c->scratch->zeros, 0, (size_t)zero_words(len) * sizeof *c->scratch->zeros);
    if (!q->params.exact_zeros) return;
    find_zeros(c, len);
    c->keeps_zeros = zeros_alone(&c->out->zeros, c->out->x, 0, len);
}

/* The same as quantize_chunk for elements c->out->x as they are. */
static qsgd_status quantize_elements(struct chunk *c, uint64_t *bad_bucket) {
    const struct quantizer *q = &c->t->q;
    const uint64_t first = c->span->first;
    struct two_buckets two = {.both = {{.scale = 0}, {.scale = 0}}};
    struct walk w = walk_over(q, c->scratch, first, first + c->span->len,
                              q->params.rounding <= QSGD_ROUND_DITHERED || q->params.rotation != 0);
    /* zeros are then looked for in what rounding has fetched ahead */
    if (zeros_are_marked(q)) w.most = QUANTIZE_SMALL_BLOCK;
    two.b = &two.both[0];
    two.ahead = &two.both[1];
    chunk_begin(c);
    two.ahead->span = layout_bucket_at(&q->layout, first);
    bucket_open(c, two.ahead);
    while (walk_next(&w)) {
        if (w.opens && !bucket_next(c, &two, w.end)) {
            *bad_bucket = two.b->span.bucket;
            return QSGD_ERR_NONFINITE;
        }
        run_quantize(c, two.b, &w);
    }
    damping_add(&c->damping, two.b);
    bucket_finish(c, two.b);
    c->out->damping = q->dithered && !c->keeps_zeros ? damping_byte(&c->damping) : 0;
    if (q->measured) c->out->error = expected_error(q, &c->damping, c->out->damping);
    return QSGD_OK;
}

qsgd_status quantize_chunk(const struct tensor *t, const struct chunk_span *span,
                           struct quantize_scratch *scratch, struct chunk_indices *out,
                           uint64_t *bad_bucket) {
    const struct quantizer *q = &t->q;
    const struct source *source = &t->source;
    struct chunk c = {.t = t, .span = span, .out = out, .scratch = scratch};
    bool some = outliers_are_sought(q, source);
    const bool known = some && tensor_knows_outliers(t, span, &some);
    /* Nearly no chunk has any, and its scales tell: elements are not read for them alone, but where
     * they are copied, and may then be rotated in place. */
    const bool later = some && !known && !source_converts(source);
    out->zeros.outliers = NULL;
    if (some && !later) {
        out->x =
            outliers_read_without(q, source, span->first, span->len, scratch, scratch->outliers);
        out->zeros.outliers = outliers_some(scratch->outliers);
    } else {
        out->x = source_read(source, span->first, span->len, scratch->elements);
    }
    const qsgd_status status = quantize_elements(&c, bad_bucket);
    if (!later) return status;
    if (status == QSGD_OK && !outliers_suspected(q, out->x, span->len, c.largest)) return status;
    out->x = outliers_read_without(q, source, span->first, span->len, scratch, scratch->outliers);
    if (scratch->outliers->count == 0) return status;
    out->zeros.outliers = scratch->outliers;
    return quantize_elements(&c, bad_bucket);
}
