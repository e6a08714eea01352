/* Every call that takes a runner, in one form, with its outputs in one place; and runners that are
 * wrong in one respect at one place. */
#ifndef QSGD_TESTS_RUNNERS_SUPPORT_H
#define QSGD_TESTS_RUNNERS_SUPPORT_H

#include "counting.h"
#include "support.h"

#define MOST_ELEMENTS (1 << 17)
#define OUT_BYTES (8 * MOST_ELEMENTS + 100000)

/* Arguments of the calls, all of one tensor. */
struct world {
    qsgd_params params;
    qsgd_encode_options encode;
    qsgd_decode_options decode;
    const float *x;
    uint64_t n;
    struct bytes frame;
    qsgd_sizes sizes;
    qsgd_memory work, decode_work, sum_work;
    qsgd_weighted_frame two[2]; /* of a sum */
    qsgd_quantized quantized;   /* of the tensor */
    uint8_t *out;               /* of the last call; bytes that it did not write are STALE */
    uint64_t out_bytes;
    struct counting counting;
};

#define STALE 0xC3

static inline void world_open(struct world *w, const qsgd_params *params, const float *x,
                              uint64_t n) {
    memset(w, 0, sizeof *w);
    w->params = *params;
    w->x = x;
    w->n = n;
    qsgd_encode_options_init(&w->encode);
    qsgd_decode_options_init(&w->decode);
    w->encode.workers = w->decode.workers = 4;
    w->encode.nonce = 5;
    w->frame = encode_frame(params, &w->encode, x, n);
    w->encode.residual = malloc((size_t)n * sizeof(float)); /* so that there is room for one */
    w->sizes = encode_sizes(params, &w->encode, n);
    w->work = odd_memory(w->sizes.workspace_bytes);
    w->decode_work = decode_workspace(w->frame.p, w->frame.n, &w->decode);
    w->two[0] = (qsgd_weighted_frame){w->frame.p, w->frame.n, 0.5F, 0};
    w->two[1] = (qsgd_weighted_frame){w->frame.p, w->frame.n, 2, 0};
    w->decode.dtype = QSGD_BFLOAT16;
    qsgd_sizes sums = sizes_new();
    CHECK(qsgd_decode_sum_sizes(w->two, 2, &w->decode, n, &sums, NULL) == QSGD_OK);
    w->sum_work = odd_memory(sums.workspace_bytes);
    w->decode.dtype = QSGD_DTYPE_OF_FRAME;
    w->out = malloc(OUT_BYTES);
    w->quantized = (qsgd_quantized){malloc((size_t)n * sizeof(int16_t) + 1),
                                    malloc((size_t)w->sizes.buckets * sizeof(float) + 1),
                                    malloc((size_t)w->sizes.chunks + 1), n};
    if (params->code != QSGD_CODE_RAW) {
        CHECK(qsgd_decode_indices(w->frame.p, w->frame.n, &w->decode, &w->quantized, w->decode_work,
                                  NULL) == QSGD_OK);
    }
    w->counting = counting_new();
}

static inline void world_close(struct world *w) {
    free(w->frame.p);
    free(w->encode.residual);
    odd_free(w->work);
    odd_free(w->decode_work);
    odd_free(w->sum_work);
    free(w->out);
    free(w->quantized.indices);
    free(w->quantized.scales);
    free(w->quantized.damping);
}

typedef qsgd_status (*world_call)(struct world *w, qsgd_error *error);

/* ---- forward --------------------------------------------------------------------------------- */

/* The frame, and the residual behind it. */
static inline qsgd_status run_encode(struct world *w, qsgd_error *error) {
    const qsgd_memory dst = odd_memory(w->sizes.dst_bytes);
    for (uint64_t i = 0; i < w->n; i++) w->encode.residual[i] = w->x[w->n - 1 - i] * 0.25F;
    const qsgd_status status =
        qsgd_encode(&w->params, &w->encode, w->x, w->n, dst, w->work, &w->out_bytes, error);
    if (status == QSGD_OK) {
        memcpy(w->out, dst.data, (size_t)w->out_bytes);
        memcpy(w->out + w->out_bytes, w->encode.residual, (size_t)w->n * sizeof(float));
        w->out_bytes += w->n * sizeof(float);
    }
    odd_free(dst);
    return status;
}

static inline qsgd_status run_encode_alloc(struct world *w, qsgd_error *error) {
    const qsgd_allocator allocator = counting_allocator(&w->counting);
    qsgd_encode_options o = w->encode;
    qsgd_memory frame = {w, 7};
    o.residual = NULL;
    const qsgd_status status =
        qsgd_encode_alloc(&w->params, &o, w->x, w->n, &allocator, &frame, error);
    if (status == QSGD_OK) {
        w->out_bytes = frame.bytes;
        memcpy(w->out, frame.data, (size_t)frame.bytes);
        qsgd_free(&allocator, frame.data);
    } else {
        CHECK(frame.data == NULL && frame.bytes == 0);
    }
    CHECK(w->counting.live == 0);
    return status;
}

/* Indices, scales and damping one behind the other. */
static inline qsgd_quantized quantized_out(struct world *w) {
    const uint64_t indices = w->sizes.buckets * sizeof(float);
    const uint64_t damping = indices + w->n * sizeof(int16_t);
    w->out_bytes = damping + w->sizes.chunks;
    return (qsgd_quantized){(void *)(w->out + indices), (void *)w->out, w->out + damping, w->n};
}

static inline qsgd_status run_quantize(struct world *w, qsgd_error *error) {
    const qsgd_quantized out = quantized_out(w);
    return qsgd_quantize(&w->params, &w->encode, w->x, &out, w->work, error);
}

static inline qsgd_status run_dequantize(struct world *w, qsgd_error *error) {
    w->out_bytes = w->n * sizeof(float);
    return qsgd_dequantize(&w->params, &w->encode, &w->quantized, w->out, w->work, error);
}

static inline qsgd_status run_encode_indices(struct world *w, qsgd_error *error) {
    const qsgd_memory dst = {w->out, w->sizes.dst_bytes};
    qsgd_encode_options o = w->encode;
    o.residual = NULL;
    return qsgd_encode_indices(&w->params, &o, &w->quantized, dst, w->work, &w->out_bytes, error);
}

/* ---- back ------------------------------------------------------------------------------------ */

static inline qsgd_status run_decode(struct world *w, qsgd_error *error) {
    w->out_bytes = w->n * sizeof(float);
    return qsgd_decode(w->frame.p, w->frame.n, &w->decode, w->out, w->n, w->decode_work, error);
}

static inline qsgd_status run_decode_atomic(struct world *w, qsgd_error *error) {
    w->decode.flags = QSGD_DECODE_ATOMIC;
    const qsgd_status status = run_decode(w, error);
    w->decode.flags = 0;
    return status;
}

static inline qsgd_status run_decode_alloc(struct world *w, qsgd_error *error) {
    const qsgd_allocator allocator = counting_allocator(&w->counting);
    qsgd_memory dst = {w, 7};
    const qsgd_status status =
        qsgd_decode_alloc(w->frame.p, w->frame.n, &w->decode, &allocator, &dst, NULL, error);
    if (status == QSGD_OK) {
        w->out_bytes = dst.bytes;
        if (dst.bytes > 0) memcpy(w->out, dst.data, (size_t)dst.bytes);
        qsgd_free(&allocator, dst.data);
    } else {
        CHECK(dst.data == NULL && dst.bytes == 0);
    }
    CHECK(w->counting.live == 0);
    return status;
}

static inline qsgd_status run_decode_add(struct world *w, qsgd_error *error) {
    memset(w->out, 0, (size_t)w->n * sizeof(float));
    w->out_bytes = w->n * sizeof(float);
    return qsgd_decode_add(w->frame.p, w->frame.n, &w->decode, 0.5F, (void *)w->out, w->n,
                           w->decode_work, error);
}

static inline qsgd_status run_decode_sum(struct world *w, qsgd_error *error) {
    w->out_bytes = w->n * sizeof(float);
    return qsgd_decode_sum(w->two, 2, &w->decode, (void *)w->out, w->n, w->decode_work, error);
}

/* In bfloat16, and in a workspace for both frames. */
static inline qsgd_status run_decode_sum_to(struct world *w, qsgd_error *error) {
    w->out_bytes = w->n * sizeof(uint16_t);
    w->decode.dtype = QSGD_BFLOAT16;
    const qsgd_status status =
        qsgd_decode_sum_to(w->two, 2, &w->decode, 3, w->out, w->n, w->sum_work, error);
    w->decode.dtype = QSGD_DTYPE_OF_FRAME;
    return status;
}

static inline qsgd_status run_decode_range(struct world *w, qsgd_error *error) {
    const uint64_t start = w->n / 20, stop = w->n - w->n / 20;
    w->out_bytes = (stop - start) * sizeof(float);
    return qsgd_decode_range(w->frame.p, w->frame.n, &w->decode, start, stop, w->out,
                             w->decode_work, error);
}

static inline qsgd_status run_decode_indices(struct world *w, qsgd_error *error) {
    const qsgd_quantized out = quantized_out(w);
    return qsgd_decode_indices(w->frame.p, w->frame.n, &w->decode, &out, w->decode_work, error);
}

static inline qsgd_status run_encode_like(struct world *w, qsgd_error *error) {
    const qsgd_memory dst = {w->out, w->frame.n};
    return qsgd_encode_indices_like(w->frame.p, w->frame.n, &w->decode, &w->quantized, dst,
                                    w->decode_work, &w->out_bytes, error);
}

static const struct {
    const char *name;
    world_call run;
    bool raw;  /* raw frames have it, too */
    bool asks; /* a runner; the others run on the caller's thread */
} world_calls[] = {
    {"encode", run_encode, true, true},
    {"encode_alloc", run_encode_alloc, true, true},
    {"quantize", run_quantize, false, true},
    {"dequantize", run_dequantize, false, true},
    {"encode_indices", run_encode_indices, false, false},
    {"decode", run_decode, true, true},
    {"decode_atomic", run_decode_atomic, true, true},
    {"decode_alloc", run_decode_alloc, true, true},
    {"decode_add", run_decode_add, true, true},
    {"decode_sum", run_decode_sum, true, true},
    {"decode_sum_to", run_decode_sum_to, true, true},
    {"decode_range", run_decode_range, true, true},
    {"decode_indices", run_decode_indices, false, true},
    {"encode_indices_like", run_encode_like, false, false},
};
#define WORLD_CALLS (sizeof world_calls / sizeof *world_calls)

#endif
