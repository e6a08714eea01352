/* Calls by one struct each, in the form that test_structs.c tries them: what else they need is
 * `with`. */
#ifndef QSGD_TESTS_STRUCTS_SUPPORT_H
#define QSGD_TESTS_STRUCTS_SUPPORT_H

#include "qsgd_fit.h"
#include "support.h"

#define N 8

/* All that the calls below need beside the struct that is tried. */
static struct {
    float x[N], values[N], scales[1];
    int16_t indices[N];
    uint8_t damping[1], frame[4096], tables[160];
    uint64_t frame_bytes;
    qsgd_quantized quantized;
    qsgd_params params;
    qsgd_memory dst, work, fit_work;
    qsgd_stats *stats;
} with;

/* ---- calls, each by one struct of its own ---------------------------------------------------- */

static qsgd_status by_params_check(void *p, qsgd_error *e) { return qsgd_params_check(p, e); }

static qsgd_status by_encode_sizes(void *p, qsgd_error *e) {
    qsgd_sizes sizes = sizes_new();
    return qsgd_encode_sizes(p, NULL, N, &sizes, e);
}

static qsgd_status by_encode(void *p, qsgd_error *e) {
    uint64_t bytes;
    return qsgd_encode(p, NULL, with.x, N, with.dst, with.work, &bytes, e);
}

static qsgd_status by_encode_alloc(void *p, qsgd_error *e) {
    qsgd_memory frame;
    const qsgd_status status = qsgd_encode_alloc(p, NULL, with.x, N, NULL, &frame, e);
    qsgd_free(NULL, frame.data);
    return status;
}

static qsgd_status by_quantize(void *p, qsgd_error *e) {
    return qsgd_quantize(p, NULL, with.x, &with.quantized, with.work, e);
}

static qsgd_status by_dequantize(void *p, qsgd_error *e) {
    return qsgd_dequantize(p, NULL, &with.quantized, with.values, with.work, e);
}

static qsgd_status by_encode_indices(void *p, qsgd_error *e) {
    uint64_t bytes;
    return qsgd_encode_indices(p, NULL, &with.quantized, with.dst, with.work, &bytes, e);
}

static qsgd_status by_turn_indices(void *p, qsgd_error *e) {
    return qsgd_turn_indices(p, 0, &with.quantized, e);
}

static qsgd_status by_tables_build(void *p, qsgd_error *e) {
    static const double weights[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint64_t bytes;
    return qsgd_shared_tables_build(p, weights, 15, (qsgd_memory){with.tables, 160}, &bytes, e);
}

static qsgd_status by_stats_init(void *p, qsgd_error *e) {
    return qsgd_stats_init(with.stats, p, e);
}

static qsgd_status by_fit_evaluate(void *p, qsgd_error *e) {
    qsgd_fit_options o;
    qsgd_fit fit;
    qsgd_fit_options_init(&o);
    qsgd_fit_init(&fit);
    o.model = QSGD_MODEL_NORMAL;
    o.sigma = 0.1;
    return qsgd_fit_evaluate(NULL, &o, p, &fit, with.fit_work, e);
}

static qsgd_status options_encode_sizes(void *o, qsgd_error *e) {
    qsgd_sizes sizes = sizes_new();
    return qsgd_encode_sizes(&with.params, o, N, &sizes, e);
}

static qsgd_status options_encode(void *o, qsgd_error *e) {
    uint64_t bytes;
    return qsgd_encode(&with.params, o, with.x, N, with.dst, with.work, &bytes, e);
}

static qsgd_status options_encode_alloc(void *o, qsgd_error *e) {
    qsgd_memory frame;
    const qsgd_status status = qsgd_encode_alloc(&with.params, o, with.x, N, NULL, &frame, e);
    qsgd_free(NULL, frame.data);
    return status;
}

static qsgd_status options_quantize(void *o, qsgd_error *e) {
    return qsgd_quantize(&with.params, o, with.x, &with.quantized, with.work, e);
}

static qsgd_status options_dequantize(void *o, qsgd_error *e) {
    return qsgd_dequantize(&with.params, o, &with.quantized, with.values, with.work, e);
}

static qsgd_status options_encode_indices(void *o, qsgd_error *e) {
    uint64_t bytes;
    return qsgd_encode_indices(&with.params, o, &with.quantized, with.dst, with.work, &bytes, e);
}

static qsgd_status options_decode_sizes(void *o, qsgd_error *e) {
    qsgd_sizes sizes = sizes_new();
    return qsgd_decode_sizes(with.frame, with.frame_bytes, o, &sizes, e);
}

static qsgd_status options_decode(void *o, qsgd_error *e) {
    return qsgd_decode(with.frame, with.frame_bytes, o, with.values, N, with.work, e);
}

static qsgd_status options_decode_alloc(void *o, qsgd_error *e) {
    qsgd_memory dst;
    const qsgd_status status =
        qsgd_decode_alloc(with.frame, with.frame_bytes, o, NULL, &dst, NULL, e);
    qsgd_free(NULL, dst.data);
    return status;
}

static qsgd_status options_decode_add(void *o, qsgd_error *e) {
    return qsgd_decode_add(with.frame, with.frame_bytes, o, 1, with.values, N, with.work, e);
}

static qsgd_status options_decode_sum(void *o, qsgd_error *e) {
    const qsgd_weighted_frame frame = {with.frame, with.frame_bytes, 1, 0};
    return qsgd_decode_sum(&frame, 1, o, with.values, N, with.work, e);
}

static qsgd_status options_decode_range(void *o, qsgd_error *e) {
    return qsgd_decode_range(with.frame, with.frame_bytes, o, 2, 4, with.values, with.work, e);
}

static qsgd_status options_decode_indices(void *o, qsgd_error *e) {
    return qsgd_decode_indices(with.frame, with.frame_bytes, o, &with.quantized, with.work, e);
}

static qsgd_status options_encode_like(void *o, qsgd_error *e) {
    uint64_t bytes;
    return qsgd_encode_indices_like(with.frame, with.frame_bytes, o, &with.quantized, with.dst,
                                    with.work, &bytes, e);
}

static qsgd_status options_fit_levels(void *o, qsgd_error *e) {
    qsgd_fit fit;
    qsgd_fit_init(&fit);
    return qsgd_fit_levels(NULL, o, &fit, with.fit_work, e);
}

static qsgd_status options_fit_evaluate(void *o, qsgd_error *e) {
    qsgd_fit fit;
    qsgd_fit_init(&fit);
    return qsgd_fit_evaluate(NULL, o, &with.params, &fit, with.fit_work, e);
}

/* ---- calls that write a struct --------------------------------------------------------------- */

static qsgd_status sizes_of_encode(void *s, qsgd_error *e) {
    return qsgd_encode_sizes(&with.params, NULL, N, s, e);
}

static qsgd_status sizes_of_decode(void *s, qsgd_error *e) {
    return qsgd_decode_sizes(with.frame, with.frame_bytes, NULL, s, e);
}

static qsgd_status sizes_of_stats(void *s, qsgd_error *e) {
    return qsgd_stats_sizes(with.stats, QSGD_FLOAT32, N, s, e);
}

static qsgd_status info_of_inspect(void *i, qsgd_error *e) {
    return qsgd_inspect(with.frame, with.frame_bytes, i, e);
}

static qsgd_status info_of_decode_alloc(void *i, qsgd_error *e) {
    qsgd_memory dst;
    const qsgd_status status =
        qsgd_decode_alloc(with.frame, with.frame_bytes, NULL, NULL, &dst, i, e);
    qsgd_free(NULL, dst.data);
    return status;
}

static qsgd_status params_of_inspect(void *p, qsgd_error *e) {
    static float level_table[QSGD_MAX_LEVEL_TABLE];
    return qsgd_inspect_params(with.frame, with.frame_bytes, p, level_table, e);
}

static qsgd_status info_of_stats(void *i, qsgd_error *e) {
    return qsgd_stats_inspect(with.stats, i, e);
}

static qsgd_status fit_of_levels(void *f, qsgd_error *e) {
    qsgd_fit_options o;
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    o.method = QSGD_FIT_NONE;
    o.start = QSGD_START_UNIFORM;
    o.sigma = 0.1;
    return qsgd_fit_levels(NULL, &o, f, with.fit_work, e);
}

static qsgd_status fit_of_evaluate(void *f, qsgd_error *e) {
    qsgd_fit_options o;
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    o.sigma = 0.1;
    return qsgd_fit_evaluate(NULL, &o, &with.params, f, with.fit_work, e);
}

/* ---- the structs ----------------------------------------------------------------------------- */

static void init_params(void *p) { *(qsgd_params *)p = with.params; }

static void init_fit_options(void *p) {
    qsgd_fit_options *o = p;
    qsgd_fit_options_init(o);
    o->model = QSGD_MODEL_NORMAL;
    o->method = QSGD_FIT_NONE;
    o->start = QSGD_START_UNIFORM;
    o->sigma = 0.1;
}

#endif
