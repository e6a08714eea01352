/* A program that uses the public headers as C99 and as C++11 alike (check_headers.cmake compiles
 * it): typedefs are plain names that no function hides, and the macros work on all structs. */
#include FIRST
#ifndef ALONE
#include "qsgd.h"
#include "qsgd_fit.h"
#include "qsgd_stages.h"

qsgd_status use_structs(const void *bytes, uint64_t n);
qsgd_status use_fitting(qsgd_stats *stats);
const char *use_enums(int32_t *sum);

static qsgd_status run_all(void *context, qsgd_task task, void *job, uint64_t count) {
    uint64_t i;
    (void)context;
    for (i = 0; i < count; i++) task(job, i, 0);
    return QSGD_OK;
}

qsgd_status use_structs(const void *bytes, uint64_t n) {
    qsgd_params params;
    qsgd_encode_options encode;
    qsgd_decode_options decode;
    qsgd_frame_info info;
    qsgd_sizes sizes;
    qsgd_error error;
    qsgd_memory memory;
    qsgd_bytes shared;
    qsgd_allocator allocator;
    qsgd_weighted_frame weighted;
    qsgd_quantized quantized;
    float level_table[QSGD_MAX_LEVEL_TABLE];
    memory.data = NULL;
    memory.bytes = 0;
    shared.data = NULL;
    shared.bytes = 0;
    allocator.allocate = NULL;
    allocator.release = NULL;
    allocator.context = NULL;
    weighted.frame = bytes;
    weighted.bytes = n;
    weighted.alpha = 1;
    weighted.reserved = 0;
    quantized.indices = NULL;
    quantized.scales = NULL;
    quantized.damping = NULL;
    quantized.n = 0;
    if (qsgd_params_init(&params) != QSGD_OK || qsgd_error_init(&error) != QSGD_OK ||
        qsgd_encode_options_init(&encode) != QSGD_OK ||
        qsgd_decode_options_init(&decode) != QSGD_OK || qsgd_sizes_init(&sizes) != QSGD_OK ||
        qsgd_frame_info_init(&info) != QSGD_OK) {
        return error.status;
    }
    params.norm = QSGD_NORM_L2;
    params.code = QSGD_CODE_RICE_SPARSE;
    params.scale_dtype = QSGD_FLOAT32;
    encode.ndim = QSGD_FLAT;
    encode.runner = run_all;
    decode.dtype = QSGD_DTYPE_OF_FRAME;
    decode.flags = QSGD_DECODE_ATOMIC;
    decode.shared_tables = &shared;
    qsgd_free(&allocator, memory.data);
    (void)weighted;
    (void)quantized;
    (void)qsgd_inspect(bytes, n, &info, &error);
    return qsgd_inspect_params(bytes, n, &params, level_table, &error);
}

qsgd_status use_fitting(qsgd_stats *stats) {
    qsgd_stats_info info;
    qsgd_fit_options options;
    qsgd_fit fit;
    qsgd_memory workspace = {NULL, 0};
    qsgd_status status = qsgd_stats_info_init(&info);
    if (status == QSGD_OK) status = qsgd_fit_options_init(&options);
    if (status == QSGD_OK) status = qsgd_fit_init(&fit);
    if (status == QSGD_OK) status = qsgd_stats_inspect(stats, &info, NULL);
    options.method = QSGD_FIT_AMQ;
    return status == QSGD_OK ? qsgd_fit_levels(stats, &options, &fit, workspace, NULL) : status;
}

const char *use_enums(int32_t *sum) {
    const enum qsgd_status_code status = QSGD_ERR_RUNNER;
    const qsgd_dtype dtype = QSGD_BFLOAT16;
    const qsgd_norm norm = QSGD_NORM_BALANCED;
    const qsgd_levels levels = QSGD_LEVELS_OPEN;
    const qsgd_rounding rounding = QSGD_ROUND_TOPK;
    const qsgd_code code = QSGD_CODE_AUTO;
    const qsgd_nonfinite nonfinite = QSGD_NONFINITE_RAISE;
    const qsgd_classes classes = QSGD_CLASSES_ON;
    const qsgd_elias elias = QSGD_ELIAS_OMEGA;
    const qsgd_fit_method method = QSGD_FIT_NONE;
    const qsgd_fit_weight weight = QSGD_WEIGHT_NORM;
    const qsgd_fit_model model = QSGD_MODEL_NORMAL;
    const qsgd_fit_start start = QSGD_START_QUANTILE;
    *sum = (int32_t)dtype + (int32_t)norm + (int32_t)levels + (int32_t)rounding + (int32_t)code;
    *sum += (int32_t)nonfinite + (int32_t)classes + (int32_t)elias + (int32_t)method;
    *sum += (int32_t)weight + (int32_t)model + (int32_t)start;
    return qsgd_status_message(status);
}
#endif
