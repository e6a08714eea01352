/* Indices of a chunk back to values, and from there to the caller's type, sum or residual
 * (FORMAT.md section 7). Stage: index -> value; the inverse of quantize/quantize.c. */
#include "quantize/values.h"

#include <float.h>
#include <string.h>

#include "base/dtype.h"
#include "base/fpenv.h"

static void value_bucket_of(const struct quantizer *q, float scale, uint8_t alpha,
                            struct value_bucket *b) {
    const struct levels *levels = &q->levels;
    const float in_range = scale * scale_range(scale);
    *b = (struct value_bucket){.damping = alpha,
                               .turned = q->turned,
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

/* What elements are known by: indices, or direct tokens if k is NULL. */
struct symbols {
    const int16_t *k;
    const uint8_t *tokens;
};

static struct symbols symbols_from(const struct symbols *s, uint64_t i) {
    return (struct symbols){s->k == NULL ? NULL : s->k + i, s->k == NULL ? s->tokens + i : NULL};
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

/* n values of one bucket into v; in_range: before X is undone. */
static void run_values_in_range(const struct quantizer *q, float scale, uint8_t alpha,
                                struct symbols s, const uint16_t *noise, size_t n, float *v) {
    if (scale_is_idle(scale)) {
        float idle = scale == 0 ? 0.0F : scale_from_bits(SCALE_NAN_BITS);
        for (size_t i = 0; i < n; i++) v[i] = idle;
        return;
    }
    struct value_bucket b;
    value_bucket_of(q, scale, alpha, &b);
    put_values(q->kernels, &b, s, noise, n, v);
}

static void undo_range(float scale, size_t n, float *v) {
    if (!scale_is_idle(scale) && scale_range(scale) != 1.0F) unscale(v, n, scale_range(scale));
}

/* n <= QUANTIZE_BLOCK values of one bucket into v. */
static void run_values(const struct quantizer *q, float scale, uint8_t alpha, struct symbols s,
                       const uint16_t *noise, size_t n, float *v) {
    run_values_in_range(q, scale, alpha, s, noise, n, v);
    undo_range(scale, n, v);
}

void values_of_run(const struct quantizer *q, float scale, uint8_t alpha, const int16_t *k,
                   const uint16_t *noise, size_t n, float *v) {
    run_values(q, scale, alpha, (struct symbols){.k = k}, noise, n, v);
}

static void run_to_sink(const struct quantizer *q, float scale, uint8_t alpha, struct symbols s,
                        const uint16_t *noise, uint64_t element, size_t n, float *block,
                        const struct sink *sink) {
    uint8_t *to = sink->data + (element - sink->origin) * dtype_bytes(sink->dtype);
    float *floats = (float *)(void *)to; /* any alignment; kernels allow it */
    bool direct = sink->dtype == QSGD_FLOAT32 && !scale_is_idle(scale) && scale_range(scale) == 1;
    if (direct) {
        struct value_bucket b;
        value_bucket_of(q, scale, alpha, &b);
        b.stream = sink->stream;
        if (sink->add) {
            add_values(q->kernels, &b, s, noise, n, sink->alpha, floats);
        } else {
            put_values(q->kernels, &b, s, noise, n, floats);
        }
        return;
    }
    run_values(q, scale, alpha, s, noise, n, block);
    if (sink->add) {
        values_add_to(block, n, sink->alpha, to);
    } else {
        dtype_from_float(sink->dtype, block, n, to);
    }
}

/* Walks runs that share bucket and noise block. */
typedef void (*run_function)(void *context, const struct quantizer *q, float scale,
                             const uint16_t *noise, uint64_t element, size_t n);

static void walk(const struct quantizer *q, uint64_t from, uint64_t to,
                 const struct scale_array *scales, uint8_t alpha,
                 const struct quantize_scratch *scratch, run_function run, void *context) {
    const struct layout *l = &q->layout;
    const bool noisy = alpha != 0 || q->turned;
    uint16_t *noise = scratch->noise;
    uint64_t block = 0, block_end = 0;
    uint64_t bucket = from / l->bucket, bucket_end = 0; /* bucket: the next one */
    float scale = 0;
    for (uint64_t i = from; i < to;) {
        if (i >= block_end) {
            block = i - i % NOISE_TILE;
            block_end = min_u64(block + QUANTIZE_BLOCK, to);
            const bool there = scratch->noise_from == block && block_end <= scratch->noise_to;
            if (noisy && !there) kernels_noise(q->kernels, &q->key, block, block_end, noise);
        }
        if (i >= bucket_end) {
            scale = scale_get(scales, bucket++);
            bucket_end = bucket * l->bucket;
        }
        uint64_t stop = min_u64(block_end, bucket_end);
        run(context, q, scale, noise + (i - block), i, (size_t)(stop - i));
        i = stop;
    }
}

struct value_run {
    struct symbols symbols; /* of element `first` on */
    uint64_t first;
    uint8_t alpha;
    float *block;
    struct rotation *rotation;
    const struct sink *sink;
    const float *x;
    float *residual;
};

/* n values from `element` on to the sink, as far as it wants them. */
static void put_floats(const float *v, uint64_t element, size_t n, const struct sink *sink) {
    const uint64_t from = element > sink->from ? element : sink->from;
    const uint64_t to = min_u64(element + n, sink->to);
    if (from >= to) return;
    uint8_t *at = sink->data + (from - sink->origin) * dtype_bytes(sink->dtype);
    v += from - element;
    if (sink->add) {
        values_add_to(v, (size_t)(to - from), sink->alpha, at);
    } else {
        dtype_from_float(sink->dtype, v, (size_t)(to - from), at);
    }
}

/* A run of a rotated bucket into r->rotation->bucket. Returns the bucket's length if it was the
 * last one, else 0. */
static size_t run_rotated(const struct value_run *r, const struct quantizer *q, float scale,
                          const uint16_t *noise, uint64_t element, size_t n) {
    const uint64_t bucket = element / q->layout.bucket, start = bucket * q->layout.bucket;
    const size_t len = (size_t)layout_bucket_len(&q->layout, bucket);
    run_values_in_range(q, scale, r->alpha, symbols_from(&r->symbols, element - r->first), noise, n,
                        r->rotation->bucket + (element - start));
    return element + n < start + len ? 0 : len;
}

/* Turns the bucket back in place. */
static void turn_back(struct rotation *rotation, const struct quantizer *q, float scale,
                      uint64_t start, size_t len) {
    float *v = rotation->bucket;
    if (scale_is_idle(scale)) return;
    rotation_inverse(rotation, q->kernels, &q->key, start, len, &(struct rotation_out){.to = v});
    undo_range(scale, len, v);
}

static void bucket_to_sink(struct rotation *rotation, const struct quantizer *q, float scale,
                           uint64_t start, size_t len, const struct sink *sink) {
    const bool whole = start >= sink->from && start + len <= sink->to;
    if (whole && sink->dtype == QSGD_FLOAT32 && !scale_is_idle(scale) && scale_range(scale) == 1) {
        uint8_t *to = sink->data + (start - sink->origin) * sizeof(float);
        const struct rotation_out out = {(float *)(void *)to, sink->add, sink->alpha, sink->stream};
        rotation_inverse(rotation, q->kernels, &q->key, start, len, &out);
        return;
    }
    turn_back(rotation, q, scale, start, len);
    put_floats(rotation->bucket, start, len, sink);
}

static void run_decode(void *context, const struct quantizer *q, float scale, const uint16_t *noise,
                       uint64_t element, size_t n) {
    const struct value_run *r = context;
    if (q->params.rotation != 0) {
        const size_t len = run_rotated(r, q, scale, noise, element, n);
        if (len > 0) bucket_to_sink(r->rotation, q, scale, element + n - len, len, r->sink);
        return;
    }
    run_to_sink(q, scale, r->alpha, symbols_from(&r->symbols, element - r->first), noise, element,
                n, r->block, r->sink);
}

static void run_residual(void *context, const struct quantizer *q, float scale,
                         const uint16_t *noise, uint64_t element, size_t n) {
    const struct value_run *r = context;
    const float *v = r->block;
    if (q->params.rotation != 0) {
        const size_t len = run_rotated(r, q, scale, noise, element, n);
        v = r->rotation->bucket;
        element = element + n - len;
        n = len;
        if (len > 0) turn_back(r->rotation, q, scale, element, len);
    } else {
        run_values(q, scale, r->alpha, symbols_from(&r->symbols, element - r->first), noise, n,
                   r->block);
    }
    const float *x = r->x + (element - r->first);
    for (size_t i = 0; i < n; i++) {
        float left = x[i] - v[i];
        memcpy(r->residual + element + i, &left, sizeof left);
    }
}

void values_of_chunk(const struct quantizer *q, const struct chunk_span *span, uint64_t from,
                     uint64_t to, const int16_t *k, const struct scale_array *scales, uint8_t alpha,
                     struct quantize_scratch *scratch, const struct sink *sink) {
    struct value_run run = {.symbols = {.k = k},
                            .first = span->first,
                            .alpha = alpha,
                            .block = scratch->block,
                            .rotation = scratch->rotation,
                            .sink = sink};
    walk(q, from, to, scales, alpha, scratch, run_decode, &run);
}

void values_of_tokens(const struct quantizer *q, uint64_t from, uint64_t to, const uint8_t *tokens,
                      const struct scale_array *scales, uint8_t alpha,
                      struct quantize_scratch *scratch, const struct sink *sink) {
    struct value_run run = {.symbols = {.tokens = tokens},
                            .first = from,
                            .alpha = alpha,
                            .block = scratch->block,
                            .rotation = scratch->rotation,
                            .sink = sink};
    walk(q, from, to, scales, alpha, scratch, run_decode, &run);
}

void residual_of_chunk(const struct quantizer *q, const struct chunk_span *span, const float *x,
                       const int16_t *k, const struct scale_array *scales, uint8_t alpha,
                       struct quantize_scratch *scratch, float *residual) {
    struct value_run run = {.symbols = {.k = k},
                            .first = span->first,
                            .alpha = alpha,
                            .block = scratch->block,
                            .rotation = scratch->rotation,
                            .x = x,
                            .residual = residual};
    walk(q, span->first, span->first + span->len, scales, alpha, scratch, run_residual, &run);
}

/* ---- turned indices (FORMAT.md section 6.6) -------------------------------------------------- */

struct turn_run {
    int16_t *k; /* of element `first` on */
    uint64_t first;
};

static void run_turn(void *context, const struct quantizer *q, float scale, const uint16_t *noise,
                     uint64_t element, size_t n) {
    const struct turn_run *r = context;
    int16_t *k = r->k + (element - r->first);
    (void)q;
    for (size_t i = 0; i < n && !scale_is_idle(scale); i++) {
        if (noise[i] >> 15 != 0) k[i] = (int16_t)-k[i];
    }
}

void values_turn(const struct quantizer *q, const struct chunk_span *span,
                 const struct scale_array *scales, struct quantize_scratch *scratch, int16_t *k) {
    struct turn_run run = {k, span->first};
    if (!q->turned) return;
    fpenv env = fpenv_enter(); /* scales are compared, and may be NaN */
    walk(q, span->first, span->first + span->len, scales, 0, scratch, run_turn, &run);
    fpenv_leave(env);
}
