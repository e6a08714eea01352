/* Indices of a chunk back to values, and from there to the caller's type, sum or residual
 * (FORMAT.md section 8.4). Stage: index -> value; the inverse of quantize/quantize.c. */
#include "quantize/values.h"

#include <float.h>
#include <string.h>

#include "base/dtype.h"
#include "base/fpenv.h"
#include "quantize/walk.h"

static void value_bucket_of(const struct quantizer *q, float scale, uint8_t damping, bool turned,
                            struct value_bucket *b) {
    const struct levels *levels = &q->levels;
    const float in_range = scale * scale_range(scale);
    *b = (struct value_bucket){.damping = damping,
                               .turned = turned,
                               .of_token = q->of_token,
                               .tokens = 2 * (unsigned)levels->largest + 1};
    if (!levels_is_table(levels)) {
        b->unit = levels->gap * in_range;
        b->half = levels->zero ? 0.0F : 0.5F;
        return;
    }
    b->unit = in_range;
    b->dither_unit = levels->gap * in_range;
    b->table = q->level_of - levels->kmin;
}

void values_token_levels(struct quantizer *q) {
    const struct levels *levels = &q->levels;
    for (uint32_t t = 0; t < 32; t++) {
        const int32_t k = levels_unzigzag(t);
        const float half = k < 0 ? -0.5F : 0.5F;
        q->of_token[t] = levels->zero ? (float)k : (float)k - half; /* 0 - 0 may be -0 */
        if (!levels_is_table(levels)) continue;
        q->of_token[t] = levels_has(levels, k) ? q->level_of[k - levels->kmin] : 0;
    }
}

/* Undoes the range reduction; only for buckets with X != 1. */
static void unscale(float *v, size_t n, float range) {
    const float back = 1.0F / range;
    for (size_t i = 0; i < n; i++) {
        float y = v[i] * back;
        if (y > FLT_MAX) y = FLT_MAX;
        if (y < -FLT_MAX) y = -FLT_MAX;
        v[i] = y;
    }
}

void values_add_to(const float *restrict v, size_t n, float alpha, uint8_t *restrict sums) {
    for (size_t i = 0; i < n; i++) {
        const float product = v[i] * alpha; /* rounded on its own, wherever C allows more */
        float sum;
        memcpy(&sum, sums + 4 * i, sizeof sum);
        sum = sum + product;
        memcpy(sums + 4 * i, &sum, sizeof sum);
    }
}

void values_put(const struct sink *sink, uint64_t element, const float *v, size_t n) {
    uint8_t *to = sink->data + (element - sink->origin) * dtype_bytes(sink->dtype);
    if (sink->add) {
        values_add_to(v, n, sink->alpha, to);
    } else {
        dtype_from_float(sink->dtype, v, n, to);
    }
}

/* What elements from `first` on are known by: indices, or direct tokens if k is NULL. */
struct symbols {
    const int16_t *k;
    const uint8_t *tokens;
    uint64_t first;
};

/* The same from the walk's run on. */
static struct symbols symbols_of(const struct symbols *s, const struct walk *w) {
    const uint64_t i = w->element - s->first;
    return (struct symbols){s->k == NULL ? NULL : s->k + i, s->k == NULL ? s->tokens + i : NULL,
                            w->element};
}

static void put_values(const struct kernels *kernels, const struct value_bucket *b,
                       struct symbols s, const uint16_t *noise, size_t n, float *out) {
    if (s.k != NULL) {
        kernels->values(b, s.k, noise, n, out);
    } else {
        kernels->token_values(b, s.tokens, noise, n, out);
    }
}

static void add_values(const struct kernels *kernels, const struct value_bucket *b,
                       struct symbols s, const uint16_t *noise, size_t n, float alpha, float *out) {
    if (s.k != NULL) {
        kernels->values_add(b, s.k, noise, n, alpha, out);
    } else {
        kernels->token_values_add(b, s.tokens, noise, n, alpha, out);
    }
}

static void fill_idle(float scale, size_t n, float *v) {
    const float idle = scale == 0 ? 0.0F : float_from_bits(SCALE_NAN_BITS);
    for (size_t i = 0; i < n; i++) v[i] = idle;
}

/* What a bucket of the walk is decoded by. */
struct unit {
    float scale;
    bool rotated;
};

static struct unit unit_of(const struct dequantizer *d, const struct walk *w) {
    const uint64_t bucket = w->bucket.bucket;
    return (struct unit){scale_get(&d->scales, bucket), scale_rotated(&d->scales, bucket)};
}

static void unit_bucket(const struct dequantizer *d, struct unit u, struct value_bucket *b) {
    const bool dithers = quantizer_dithers(d->q, u.rotated);
    value_bucket_of(d->q, u.scale, dithers ? d->damping : (uint8_t)0, d->turned && dithers, b);
}

/* As far as the bucket's values depend on it. */
static const uint16_t *noise_of_run(const struct value_bucket *b, const struct walk *w) {
    return walk_noise(w, b->damping != 0 || b->turned);
}

/* Values of the walk's run into v, before X is undone. */
static void run_values_in_range(const struct dequantizer *d, const struct symbols *s,
                                const struct walk *w, struct unit u, float *v) {
    if (scale_is_idle(u.scale)) {
        fill_idle(u.scale, w->n, v);
        return;
    }
    struct value_bucket b;
    unit_bucket(d, u, &b);
    put_values(d->q->kernels, &b, symbols_of(s, w), noise_of_run(&b, w), w->n, v);
}

static void undo_range(float scale, size_t n, float *v) {
    if (!scale_is_idle(scale) && scale_range(scale) != 1.0F) unscale(v, n, scale_range(scale));
}

void values_of_bucket(const struct quantizer *q, float scale, const int16_t *k, size_t n,
                      float *v) {
    if (scale_is_idle(scale)) {
        fill_idle(scale, n, v);
        return;
    }
    struct value_bucket b;
    value_bucket_of(q, scale, 0, q->turned, &b);
    q->kernels->values(&b, k, NULL, n, v);
    undo_range(scale, n, v);
}

void values_at_one(const struct quantizer *q, uint8_t damping, const int16_t *k,
                   const uint16_t *noise, size_t n, float *v) {
    struct value_bucket b;
    const bool dithers = noise != NULL;
    value_bucket_of(q, 1, dithers ? damping : (uint8_t)0, q->turned && dithers, &b);
    q->kernels->values(&b, k, noise, n, v);
}

/* True if a bucket's values may go to the sink as the kernels make them. */
static bool goes_straight(const struct sink *sink, float scale) {
    return sink->dtype == QSGD_FLOAT32 && !scale_is_idle(scale) && scale_range(scale) == 1;
}

static inline void run_to_sink(const struct dequantizer *d, const struct symbols *s,
                               const struct walk *w, struct unit u) {
    const struct sink *sink = d->sink;
    float *block = d->scratch->block;
    if (!goes_straight(sink, u.scale)) {
        run_values_in_range(d, s, w, u, block);
        undo_range(u.scale, w->n, block);
        values_put(sink, w->element, block, w->n);
        return;
    }
    struct value_bucket b;
    uint8_t *to = sink->data + (w->element - sink->origin) * sizeof(float);
    float *floats = (float *)(void *)to; /* any alignment; kernels allow it */
    unit_bucket(d, u, &b);
    b.stream = sink->stream;
    const uint16_t *const noise = noise_of_run(&b, w);
    if (sink->add) {
        add_values(d->q->kernels, &b, symbols_of(s, w), noise, w->n, sink->alpha, floats);
    } else {
        put_values(d->q->kernels, &b, symbols_of(s, w), noise, w->n, floats);
    }
}

/* Elements from `at` of the chunk on that are in a group of zeros, or an outlier. */
static void put_exact(const struct dequantizer *d, uint64_t at, size_t n, float *v) {
    memset(v, 0, n * sizeof *v);
    outliers_put(d->zeros.outliers, at, n, v);
}

/* The same of a run some of whose elements are in groups of zeros. */
static void run_with_zeros(const struct dequantizer *d, const struct symbols *s,
                           const struct walk *w, struct unit u) {
    const uint64_t first = w->element - d->first, stop = first + w->n;
    struct walk part = *w;
    for (uint64_t from = first, end; from < stop; from = end) {
        bool zero;
        end = zero_run(&d->zeros, from, stop, &zero);
        part.element = d->first + from;
        part.n = (size_t)(end - from);
        if (zero && u.scale == u.scale) { /* NaN has the last word */
            put_exact(d, from, part.n, d->scratch->block);
            values_put(d->sink, part.element, d->scratch->block, part.n);
        } else {
            run_to_sink(d, s, &part, u);
        }
    }
}

/* ---- rotated buckets ------------------------------------------------------------------------- */

/* A run of a rotated bucket into its memory; true if it was the bucket's last one. */
static bool run_rotated(const struct dequantizer *d, const struct symbols *s, const struct walk *w,
                        struct unit u) {
    float *v = d->scratch->rotation->bucket + (w->element - w->bucket.first);
    run_values_in_range(d, s, w, u, v);
    return w->element + w->n >= w->bucket.end;
}

/* Groups of zeros in values, which dither or rotation made something of. */
static void clear_zeros(const struct dequantizer *d, uint64_t element, size_t len, float *v) {
    const uint64_t first = element - d->first, stop = first + len;
    for (uint64_t from = first, end; from < stop; from = end) {
        bool zero;
        end = zero_run(&d->zeros, from, stop, &zero);
        if (zero) put_exact(d, from, (size_t)(end - from), v + (from - first));
    }
}

/* Turns the bucket back: in its memory, which is returned. */
static const float *turn_back(const struct dequantizer *d, struct bucket_span span, float scale) {
    const struct quantizer *q = d->q;
    const size_t len = (size_t)(span.end - span.first);
    float *v = d->scratch->rotation->bucket;
    if (!scale_is_idle(scale)) {
        rotation_inverse(d->scratch->rotation, q->kernels, &q->key, q->origin + span.first, len,
                         &(struct rotation_out){.to = v});
        undo_range(scale, len, v);
    }
    if (scale == scale) clear_zeros(d, span.first, len, v);
    return v;
}

static void bucket_to_sink(const struct dequantizer *d, struct bucket_span span, float scale) {
    const struct quantizer *q = d->q;
    const struct sink *sink = d->sink;
    const uint64_t from = span.first > sink->from ? span.first : sink->from;
    const uint64_t to = min_u64(span.end, sink->to);
    if (from == span.first && to == span.end && goes_straight(sink, scale) &&
        !zeros_any(&d->zeros)) {
        uint8_t *at = sink->data + (span.first - sink->origin) * sizeof(float);
        const struct rotation_out out = {(float *)(void *)at, sink->add, sink->alpha, sink->stream};
        rotation_inverse(d->scratch->rotation, q->kernels, &q->key, q->origin + span.first,
                         (size_t)(span.end - span.first), &out);
        return;
    }
    const float *v = turn_back(d, span, scale);
    if (from < to) values_put(sink, from, v + (from - span.first), (size_t)(to - from));
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void runs_to_sink(const struct dequantizer *d, const struct symbols *s, uint64_t from,
                         uint64_t to) {
    struct walk w = walk_over(d->q, d->scratch, from, to, d->damping != 0 || d->turned);
    struct unit u = {0, false};
    while (walk_next(&w)) {
        if (w.opens) u = unit_of(d, &w);
        if (!u.rotated && zeros_any(&d->zeros)) {
            run_with_zeros(d, s, &w, u);
        } else if (!u.rotated) {
            run_to_sink(d, s, &w, u);
        } else if (run_rotated(d, s, &w, u)) {
            bucket_to_sink(d, w.bucket, u.scale);
        }
    }
}

void values_from_indices(const struct dequantizer *d, const struct chunk_span *span, uint64_t from,
                         uint64_t to, const int16_t *k) {
    runs_to_sink(d, &(struct symbols){.k = k, .first = span->first}, from, to);
}

void values_from_tokens(const struct dequantizer *d, uint64_t from, uint64_t to,
                        const uint8_t *tokens) {
    runs_to_sink(d, &(struct symbols){.tokens = tokens, .first = from}, from, to);
}

void values_from_nothing(const struct dequantizer *d, uint64_t from, uint64_t to) {
    const struct layout *l = &d->q->layout;
    for (uint64_t i = from, n; i < to; i += n) {
        const struct bucket_span span = layout_bucket_at(l, i);
        const float scale = scale_get(&d->scales, span.bucket);
        n = min_u64(min_u64(span.end, to) - i, quantize_block(l));
        fill_idle(scale == scale ? 0 : scale, (size_t)n, d->scratch->block);
        if (scale == scale)
            outliers_put(d->zeros.outliers, i - d->first, (size_t)n, d->scratch->block);
        values_put(d->sink, i, d->scratch->block, (size_t)n);
    }
}

/* ---- residuals, which encoders keep -----------------------------------------------------------
 */

#if QSGD_ENCODER

static void store_residual(const float *x, const float *v, size_t n, float *residual) {
    for (size_t i = 0; i < n; i++) {
        const float left = x[i] - v[i];
        memcpy(residual + i, &left, sizeof left);
    }
}

/* Of rotated frames, whose elements are read anew: where they were, values are turned back. */
static void residual_anew(const struct dequantizer *d, const struct source *source, uint64_t first,
                          uint64_t len, const float *v, float *left) {
    const struct layout *l = &d->q->layout;
    for (uint64_t i = 0, n; i < len; i += n) {
        float x[QUANTIZE_SMALL_BLOCK];
        n = min_u64(min_u64(quantize_block(l), QUANTIZE_SMALL_BLOCK), len - i);
        store_residual(source_read(source, first + i, n, x), v + i, (size_t)n, left + i);
    }
}

void residual_of_chunk(const struct dequantizer *d, const struct source *source,
                       const struct chunk_span *span, const float *x, const int16_t *k,
                       float *left) {
    const struct symbols s = {.k = k, .first = span->first};
    struct walk w = walk_over(d->q, d->scratch, span->first, span->first + span->len,
                              d->damping != 0 || d->turned);
    struct unit u = {0, false};
    float *block = d->scratch->block;
    while (walk_next(&w)) {
        if (w.opens) u = unit_of(d, &w);
        if (u.scale != u.scale) continue; /* a bucket that leaves as NaN keeps what it had */
        if (u.rotated) {
            if (!run_rotated(d, &s, &w, u)) continue;
            const struct bucket_span b = w.bucket;
            residual_anew(d, source, b.first, b.end - b.first, turn_back(d, b, u.scale),
                          left + (b.first - span->first));
            continue;
        }
        run_values_in_range(d, &s, &w, u, block);
        undo_range(u.scale, w.n, block);
        if (zeros_any(&d->zeros)) clear_zeros(d, w.element, w.n, block);
        const uint64_t at = w.element - span->first;
        if (d->q->params.rotation != 0) {
            residual_anew(d, source, w.element, w.n, block, left + at);
        } else {
            store_residual(x + at, block, w.n, left + at);
        }
    }
}

#endif /* QSGD_ENCODER */

/* ---- turned indices (FORMAT.md section 8.2) -------------------------------------------------- */

void values_turn(const struct quantizer *q, const struct chunk_span *span,
                 const struct scale_array *scales, struct quantize_scratch *scratch, int16_t *k,
                 uint8_t *tokens) {
    struct walk w = walk_over(q, scratch, span->first, span->first + span->len, true);
    fpenv env = fpenv_enter(); /* scales are compared, and may be NaN */
    for (bool still = true; walk_next(&w);) {
        const size_t at = (size_t)(w.element - span->first);
        const uint64_t bucket = w.bucket.bucket;
        if (w.opens) {
            still = scale_is_idle(scale_get(scales, bucket)) ||
                    !quantizer_dithers(q, scale_rotated(scales, bucket));
        }
        if (still) continue;
        if (k != NULL) {
            q->kernels->turn(walk_noise(&w, true), w.n, k + at);
        } else {
            q->kernels->turn_tokens(walk_noise(&w, true), w.n, tokens + at);
        }
    }
    fpenv_leave(env);
}
