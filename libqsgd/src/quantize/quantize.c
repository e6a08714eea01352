/* Elements of a chunk to indices, bucket by bucket: norm, scale, range reduction, noise, rounding,
 * and the damping of the dither (ENCODER.md sections 4 to 6). The way back is quantize/values.c. */
#include "quantize/quantize.h"

#include <string.h>

#include "base/square_root.h"
#include "quantize/projection.h"
#include "quantize/shape.h"
#include "quantize/topk.h"
#include "quantize/walk.h"
#include "quantize/zeros.h"

/* ---- one run --------------------------------------------------------------------------------- */

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

/* In rotated frames nearest rounding is for rotated buckets: in others it would be a bias. */
static bool takes_nearest(const struct quantizer *q, bool rotated) {
    return q->params.rotation == 0 || rotated;
}

static void bucket_begin(const struct quantizer *q, struct bucket_state *b) {
    const float range = scale_range(b->scale), scale = b->scale * range;
    const struct levels *levels = &q->levels;
    b->range = range;
    b->variance = b->elements = 0;
    b->round.nearest = q->params.rounding == QSGD_ROUND_NEAREST && takes_nearest(q, b->rotated);
    b->round.dithered = quantizer_dithers(q, b->rotated);
    b->round.turned = q->turned && b->round.dithered;
    b->round.key = &q->key;
    b->round.crossed = !levels->zero;
    b->round.table = NULL;
    if (levels_is_table(levels)) {
        b->round.inv16 = 1.0F / scale;
        b->round.table = &q->table;
        return;
    }
    float unit = levels->gap * scale;
    float inv = 1.0F / unit;
    float cap = levels->zero ? (float)levels->largest : (float)levels->largest - 0.5F;
    b->round.inv16 = inv * 65536.0F; /* exact */
    b->round.cap16 = cap * 65536.0F;
}

/* T << 16 | low of an element between signed levels: in binary64, so that cells about 0 keep their
 * precision. One body for all backends. */
static uint64_t position_signed(const struct quantizer *q, float inv, float x) {
    const float *level = q->levels.value;
    float r = x * inv;
    r = r < -1.0F ? -1.0F : r;
    r = r > 1.0F ? 1.0F : r;
    uint32_t j = 0, last = q->levels.count - 2;
    while (j < last && level[j + 1] <= r) j++;
    double w = ((double)r - (double)level[j]) * q->signed_rcp[j] * 0x1p32;
    return ((uint64_t)j << 32) + (w < 0x1p32 ? (uint64_t)w : (uint64_t)1 << 32);
}

/* m of ENCODER.md section 6.2; nothing is complemented. The noise is R(number). */
static uint32_t round_signed(const struct quantizer *q, bool nearest, uint64_t at, uint32_t noise,
                             uint64_t number) {
    const uint32_t t = (uint32_t)(at >> 16), low = (uint32_t)(at & 0xFFFF);
    if (nearest) return (t + 0x8000) >> 16;
    const bool tie = (t & 0xFFFF) == noise;
    const bool up = tie && q->kernels->tie_noise(&q->key, number) < low;
    return ((t + (noise ^ 0xFFFF)) >> 16) + (up ? 1 : 0);
}

/* n elements from `element` on that share bucket and block of noise, and where
 * their indices go, or their tokens if k is NULL. */
struct run {
    const float *x;
    const uint16_t *noise; /* noise[i] belongs to element + i */
    uint64_t element;
    size_t n;
    int16_t *k;
    uint8_t *tokens;
};

/* x: the run's elements times X. */
static void run_signed(const struct quantizer *q, struct bucket_state *b, const struct run *run,
                       const float *x) {
    for (size_t i = 0; i < run->n; i++) {
        float xi;
        memcpy(&xi, x + i, sizeof xi);
        const uint64_t at = position_signed(q, b->round.inv16, xi);
        const uint32_t f = (uint32_t)(at >> 16) & 0xFFFF;
        b->variance += (uint64_t)((f >> 8) * (256 - (f >> 8))) * q->signed_weight[at >> 32];
        const uint32_t m =
            round_signed(q, b->round.nearest, at, run->noise[i], q->origin + run->element + i);
        run->k[i] = (int16_t)((int32_t)m + q->levels.kmin);
    }
}

static void run_topk(const struct bucket_state *b, const struct run *run) {
    uint64_t position = run->element - b->span.first;
    for (size_t i = 0; i < run->n; i++) {
        uint32_t bits;
        memcpy(&bits, run->x + i, sizeof bits);
        uint32_t magnitude = bits & 0x7FFFFFFF;
        bool taken = magnitude > b->cut.bits ||
                     (magnitude == b->cut.bits && position + i <= b->cut.position);
        run->k[i] = (int16_t)(taken ? (bits >> 31 ? -1 : 1) : 0);
    }
}

static void run_idle(const struct quantizer *q, const struct run *run) {
    if (run->k == NULL) memset(run->tokens, (int)levels_zigzag(q->levels.idle), run->n);
    for (size_t i = 0; run->k != NULL && i < run->n; i++) run->k[i] = (int16_t)q->levels.idle;
}

/* block: room for the run's elements times X. */
static void run_round(const struct quantizer *q, struct bucket_state *b, const struct run *run,
                      float *block) {
    b->elements += run->n;
    if (scale_is_idle(b->scale)) {
        run_idle(q, run);
        return;
    }
    if (q->params.rounding == QSGD_ROUND_TOPK) {
        run_topk(b, run);
        return;
    }
    const uint64_t number = q->origin + run->element;
    const float *x = source_in_range(run->x, run->n, b->range, block);
    if (q->levels.kind == QSGD_LEVELS_SIGNED) {
        run_signed(q, b, run, x);
        return;
    }
    if (b->round.table != NULL) {
        b->variance +=
            q->kernels->round_table(&b->round, number, x, run->noise, run->n, run->k, run->tokens);
    } else {
        b->variance += 256 * q->kernels->round_uniform(&b->round, number, x, run->noise, run->n,
                                                       run->k, run->tokens);
    }
}

/* The same of a run from element `at` of the chunk on, some of whose elements are in groups of
 * zeros: these have the idle index, and no part in the damping. */
static void run_with_zeros(const struct quantizer *q, struct bucket_state *b, const struct run *run,
                           float *block, const struct zero_groups *zeros, uint64_t at) {
    const uint64_t stop = at + run->n;
    for (uint64_t from = at, end; from < stop; from = end) {
        bool zero;
        end = zero_run(zeros, from, stop, &zero);
        const size_t i = (size_t)(from - at);
        const struct run part = {run->x + i,
                                 run->noise + i,
                                 run->element + i,
                                 (size_t)(end - from),
                                 run->k == NULL ? NULL : run->k + i,
                                 run->k == NULL ? run->tokens + i : NULL};
        if (zero) {
            run_idle(q, &part);
        } else {
            run_round(q, b, &part, block);
        }
    }
}

/* ---- one chunk ------------------------------------------------------------------------------- */

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

/* What all buckets of a chunk share. */
struct chunk {
    const struct tensor *t;
    const struct chunk_span *span;
    const float *x; /* the chunk's elements */
    const struct scale_array *scales;
    struct quantize_scratch *scratch;
    const struct zero_groups *zeros; /* its groups of zeros */
    bool keeps_zeros;                /* it has others, which are to be exact, too */
};

/* Where the rotated elements of a bucket that is cut go: elements that were copied are rotated
 * where they lie; else two buckets are in use, and take turns in memory that so stays in the first
 * cache.
 */
static float *rotated_at(const struct chunk *c, uint64_t element) {
    const uint64_t bucket = c->t->q.layout.bucket, at = element - c->span->first;
    if (c->x == c->scratch->elements) return c->scratch->elements + at;
    return c->scratch->elements + (at / bucket % 2 * bucket + at % bucket);
}

/* The same scale for all parts of the bucket, none of which is rotated. */
static void parts_share(const struct chunk *c, struct bucket_span part, uint64_t end, float scale) {
    for (;;) {
        scale_open(c->scales, part.bucket, scale, false);
        if (part.end >= end) return;
        layout_next_bucket(&c->t->q.layout, &part);
    }
}

/* Rotates the parts of a bucket that are long enough; false if a scale overflows by that. */
static bool parts_rotate(const struct chunk *c, struct bucket_span part, uint64_t end) {
    const struct quantizer *q = &c->t->q;
    for (;;) {
        const uint64_t len = part.end - part.first;
        const float *x = c->x + (part.first - c->span->first);
        const bool rotated = len >= PART_LEAST;
        double squares;
        if (rotated) {
            float *to = rotated_at(c, part.first);
            rotation_forward(c->scratch->rotation, q->kernels, &q->key, q->origin + part.first,
                             (size_t)len, x, to);
            x = to;
        }
        const float scale = rotated ? scale_of_rotated(c->t, part.bucket, x, len)
                                    : scale_of_short_bucket(c->t, part.bucket, x, len, &squares);
        if (scale != scale) return false;
        scale_open(c->scales, part.bucket, scale, rotated);
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
    if (c->keeps_zeros && zeros_alone(c->zeros, c->x, at, at + len)) return false;
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
        double squares;
        const float stored =
            n == len ? scale : scale_of_short_bucket(c->t, part.bucket, own, n, &squares);
        const double unit = (double)q->params.step * (double)stored;
        const bool nearest = q->params.rounding == QSGD_ROUND_NEAREST;
        const double turned = nearest ? rotated_step(unit / rms) : unit / rms;
        if (!shape_rotates(&shape, own, n, unit, turned)) return false;
        if (part.end - first >= len) return true;
    }
}

/* The scales of all parts of a bucket, the first of which is this one; and its rotation. */
static void parts_open(const struct chunk *c, struct bucket_span part) {
    const struct layout *l = &c->t->q.layout;
    const uint64_t len = layout_whole_len(l, part.first), end = part.first + len;
    const float *x = c->x + (part.first - c->span->first);
    double squares;
    const float scale = scale_of_short_bucket(c->t, part.bucket, x, len, &squares);
    const bool finite = scale == scale;
    if (finite && takes_rotation(c, part, x, len, scale) && parts_rotate(c, part, end)) return;
    parts_share(c, part, end, finite ? scale : float_from_bits(SCALE_NAN_BITS));
}

/* Scale of a bucket, which is stored if it is short, and what follows from it. */
static void bucket_open(const struct chunk *c, struct bucket_span span, struct bucket_state *b) {
    const struct quantizer *q = &c->t->q;
    const struct layout *l = &q->layout;
    const uint64_t bucket = span.bucket;
    b->span = span;
    b->x = l->per_bucket != 0 ? c->x : c->x + (span.first - c->span->first);
    b->rotated = false;
    if (c->t->one_pass) {
        b->scale = scale_of_piece(c->t, c->x, c->span->len);
        scale_open(c->scales, bucket, b->scale, false);
    } else if (l->per_bucket != 0) {
        b->scale = scale_get(c->scales, bucket);
        if (c->t->feedback != NULL && !scale_is_idle(b->scale)) {
            b->scale = c->t->feedback[bucket].quantizing;
        }
        if (c->t->cuts != NULL) b->cut = c->t->cuts[bucket];
    } else if (l->parts != 0) {
        if (span.first % l->bucket == 0) parts_open(c, span);
        b->scale = scale_get(c->scales, bucket);
        b->rotated = scale_rotated(c->scales, bucket);
        const uint64_t first = span.first / l->bucket * l->parts;
        b->beside_rotated = scale_rotated(c->scales, first);
        if (b->rotated) b->x = rotated_at(c, span.first);
    } else {
        double squares;
        b->scale = scale_of_short_bucket(c->t, bucket, b->x, span.end - span.first, &squares);
        scale_open(c->scales, bucket, b->scale, false);
        if (q->params.rounding == QSGD_ROUND_TOPK && !scale_is_idle(b->scale)) {
            b->cut =
                topk_select(l, &c->t->source, bucket, squares, c->scratch->heap, c->scratch->block);
        }
    }
    bucket_begin(q, b);
}

/* A bucket whose indices are all there: its last word on the scale. */
static void bucket_finish(const struct chunk *c, const struct bucket_state *b, int16_t *k) {
    const struct quantizer *q = &c->t->q;
    const bool feedback = c->t->source.residual != NULL; /* which has a scale of its own */
    if (q->params.rescale == 0 || feedback || b->elements == 0 || scale_is_idle(b->scale)) return;
    if (!b->round.nearest) return;
    const uint64_t first = b->span.first, len = b->span.end - first;
    scale_set(c->scales, b->span.bucket,
              projection_rescale(q, first, len, b->x, b->scale, c->scratch,
                                 k + (first - c->span->first)));
}

/* True if this is a further part of a bucket that is not rotated. */
static bool continues(const struct layout *l, const struct bucket_state *b) {
    if (l->parts == 0 || b->span.first % l->bucket == 0) return false;
    return !b->beside_rotated;
}

qsgd_status quantize_chunk(const struct tensor *t, const struct chunk_span *span, const float *x,
                           struct quantize_scratch *scratch, struct chunk_indices *out,
                           uint64_t *bad_bucket) {
    const struct quantizer *q = &t->q;
    const bool marked = zeros_are_marked(q);
    out->zeros.words = NULL;
    out->zeros.log2 = ZERO_GROUP_LOG2;
    if (marked) out->zeros.words = zeros_of_elements(x, span->len, scratch->zeros).words;
    const bool alone = q->params.exact_zeros && marked && zeros_alone(&out->zeros, x, 0, span->len);
    const struct chunk chunk = {t, span, x, &out->scales, scratch, &out->zeros, alone};
    const struct layout *l = &q->layout;
    struct damping damping = {0, 0};
    struct bucket_state both[2] = {{.scale = 0}, {.scale = 0}};
    struct bucket_state *b = &both[0], *ahead = &both[1];
    struct walk w = walk_over(q, scratch, span->first, span->first + span->len,
                              q->params.rounding <= QSGD_ROUND_DITHERED || q->params.rotation != 0);
    bucket_open(&chunk, layout_bucket_at(l, span->first), ahead);
    while (walk_next(&w)) {
        if (w.opens) {
            struct bucket_state *const last = b;
            b = ahead;
            ahead = last;
            if (continues(l, b)) { /* the terms of both are one's */
                b->variance = last->variance;
                b->elements = last->elements;
            } else {
                damping_add(&damping, last);
            }
            bucket_finish(&chunk, last, out->k);
            if (b->scale != b->scale && q->params.nonfinite == QSGD_NONFINITE_RAISE) {
                *bad_bucket = b->span.bucket;
                return QSGD_ERR_NONFINITE;
            }
            /* a bucket early: a norm is long to wait for, and rounding does not need this one */
            struct bucket_span next = b->span;
            if (next.end < w.end) {
                layout_next_bucket(l, &next);
                bucket_open(&chunk, next, ahead);
            }
        }
        const uint64_t start = l->per_bucket != 0 ? span->first : b->span.first;
        const uint64_t at = w.element - span->first;
        const struct run run = {b->x + (w.element - start),
                                walk_noise(&w),
                                w.element,
                                w.n,
                                out->k == NULL ? NULL : out->k + at,
                                out->k == NULL ? out->tokens + at : NULL};
        if (zeros_any(&out->zeros) && !b->rotated) {
            run_with_zeros(q, b, &run, scratch->block, &out->zeros, at);
        } else {
            run_round(q, b, &run, scratch->block);
        }
    }
    damping_add(&damping, b);
    bucket_finish(&chunk, b, out->k);
    out->damping = q->dithered && !alone ? damping_byte(&damping) : 0;
    return QSGD_OK;
}
