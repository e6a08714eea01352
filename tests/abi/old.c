/* A program of version 0.1: built with the headers in 0.1/, and run against a library whose structs
 * are longer. Every struct lies on the stack between canaries, which nobody may touch.
 *
 * old VERSION: and it makes sure that it really runs against that version. */
#include <stdlib.h>
#include <string.h>

#include "../c/check.h"
#include "0.1/qsgd_fit.h"
#include "0.1/qsgd_stages.h"

enum { N = 2000, BEFORE = 64, AFTER = 256, CANARY = 0xA5 };

#define GUARDED(type)                                                                              \
    struct {                                                                                       \
        uint8_t before[BEFORE];                                                                    \
        type it;                                                                                   \
        uint8_t after[AFTER];                                                                      \
    }

/* Fills all of a guarded struct with the canary, of which its _init then takes the middle. */
#define GUARD(guarded) memset(&(guarded), CANARY, sizeof(guarded))

static void check_canary(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) CHECK(bytes[i] == CANARY);
}

#define CHECK_GUARD(guarded)                                                                       \
    (check_canary((guarded).before, BEFORE), check_canary((guarded).after, AFTER))

static void fill(float *x) {
    for (int i = 0; i < N; i++) x[i] = (float)(i * 37 % 101 - 50) / 64;
}

static void test_one_call_for_one_frame(void) {
    GUARDED(qsgd_params) params;
    GUARDED(qsgd_encode_options) encode;
    GUARDED(qsgd_decode_options) decode;
    GUARDED(qsgd_frame_info) info;
    GUARDED(qsgd_error) error;
    GUARD(params), GUARD(encode), GUARD(decode), GUARD(info), GUARD(error);
    CHECK(qsgd_params_init(&params.it) == QSGD_OK);
    CHECK(qsgd_encode_options_init(&encode.it) == QSGD_OK);
    CHECK(qsgd_decode_options_init(&decode.it) == QSGD_OK);
    CHECK(qsgd_frame_info_init(&info.it) == QSGD_OK);
    CHECK(qsgd_error_init(&error.it) == QSGD_OK);
    CHECK(params.it.s == 7 && params.it.bucket == 512 && params.it.code == QSGD_CODE_RANS);
    CHECK(decode.it.max_elements == UINT64_MAX && encode.it.workers == 1);

    float x[N];
    fill(x);
    qsgd_memory frame, y;
    params.it.seed = 42;
    encode.it.nonce = 7;
    CHECK(qsgd_encode_alloc(&params.it, &encode.it, x, N, NULL, &frame, &error.it) == QSGD_OK);
    CHECK(qsgd_decode_alloc(frame.data, frame.bytes, &decode.it, NULL, &y, &info.it, &error.it) ==
          QSGD_OK);
    CHECK(info.it.elements == N && info.it.nonce == 0 && y.bytes == sizeof x);
    CHECK(qsgd_inspect_params(frame.data, frame.bytes, &params.it, NULL, &error.it) == QSGD_OK);
    CHECK(params.it.struct_size == sizeof params.it && params.it.s == 7);
    ((uint8_t *)frame.data)[frame.bytes - 1] ^= 1;
    CHECK(qsgd_decode(frame.data, frame.bytes, &decode.it, x, N, y, &error.it) != QSGD_OK);
    CHECK(error.it.struct_size == sizeof error.it && error.it.reason != NULL);
    params.it.s = 0;
    CHECK(qsgd_params_check(&params.it, &error.it) == QSGD_ERR_PARAM);
    CHECK(strcmp(error.it.parameter, "s") == 0);
    qsgd_free(NULL, frame.data);
    qsgd_free(NULL, y.data);
    CHECK_GUARD(params), CHECK_GUARD(encode), CHECK_GUARD(decode), CHECK_GUARD(info);
    CHECK_GUARD(error);
}

static void test_buffers_of_ones_own(void) {
    GUARDED(qsgd_params) params;
    GUARDED(qsgd_sizes) sizes;
    GUARD(params), GUARD(sizes);
    CHECK(qsgd_params_init(&params.it) == QSGD_OK);
    CHECK(qsgd_sizes_init(&sizes.it) == QSGD_OK);
    float x[N], y[N];
    int16_t indices[N];
    float scales[4];
    fill(x);
    CHECK(qsgd_encode_sizes(&params.it, NULL, N, &sizes.it, NULL) == QSGD_OK);
    CHECK(sizes.it.elements == N && sizes.it.buckets == 4 && sizes.it.chunks == 1);
    CHECK(sizes.it.workspace_bytes <= QSGD_SMALL_WORKSPACE);
    qsgd_memory dst = {malloc(sizes.it.dst_bytes), sizes.it.dst_bytes};
    qsgd_memory workspace = {malloc(QSGD_SMALL_WORKSPACE), QSGD_SMALL_WORKSPACE};
    uint64_t bytes = 0;
    CHECK(qsgd_encode(&params.it, NULL, x, N, dst, workspace, &bytes, NULL) == QSGD_OK);
    CHECK(qsgd_decode_sizes(dst.data, bytes, NULL, &sizes.it, NULL) == QSGD_OK);
    CHECK(sizes.it.elements == N && sizes.it.dst_bytes == sizeof x);
    CHECK(qsgd_decode(dst.data, bytes, NULL, y, N, workspace, NULL) == QSGD_OK);
    const qsgd_quantized quantized = {indices, scales, NULL, N};
    CHECK(qsgd_decode_indices(dst.data, bytes, NULL, &quantized, workspace, NULL) == QSGD_OK);
    float z[N];
    CHECK(qsgd_dequantize(&params.it, NULL, &quantized, z, workspace, NULL) == QSGD_OK);
    CHECK(memcmp(y, z, sizeof y) == 0);
    const qsgd_weighted_frame weighted = {dst.data, bytes, 1, 0};
    CHECK(qsgd_decode_sum(&weighted, 1, NULL, z, N, workspace, NULL) == QSGD_OK);
    CHECK(memcmp(y, z, sizeof y) == 0);
    free(dst.data);
    free(workspace.data);
    CHECK_GUARD(params), CHECK_GUARD(sizes);
}

static void test_fit(void) {
    GUARDED(qsgd_params) params;
    GUARDED(qsgd_sizes) sizes;
    GUARDED(qsgd_stats_info) info;
    GUARDED(qsgd_fit_options) options;
    GUARDED(qsgd_fit) fit;
    GUARD(params), GUARD(sizes), GUARD(info), GUARD(options), GUARD(fit);
    CHECK(qsgd_params_init(&params.it) == QSGD_OK);
    CHECK(qsgd_sizes_init(&sizes.it) == QSGD_OK);
    CHECK(qsgd_stats_info_init(&info.it) == QSGD_OK);
    CHECK(qsgd_fit_options_init(&options.it) == QSGD_OK);
    CHECK(qsgd_fit_init(&fit.it) == QSGD_OK);
    float x[N];
    fill(x);
    qsgd_stats *stats = malloc(qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params.it, NULL) == QSGD_OK);
    CHECK(qsgd_stats_sizes(stats, QSGD_FLOAT32, N, &sizes.it, NULL) == QSGD_OK);
    uint64_t bytes = sizes.it.workspace_bytes;
    if (bytes < qsgd_fit_workspace_bytes()) bytes = qsgd_fit_workspace_bytes();
    const qsgd_memory workspace = {malloc(bytes), bytes};
    CHECK(qsgd_stats_add(stats, QSGD_FLOAT32, x, N, workspace, NULL) == QSGD_OK);
    CHECK(qsgd_stats_inspect(stats, &info.it, NULL) == QSGD_OK && info.it.elements == N);
    options.it.s = 3;
    CHECK(qsgd_fit_levels(stats, &options.it, &fit.it, workspace, NULL) == QSGD_OK);
    CHECK(fit.it.level_table_len == 3 && fit.it.struct_size == sizeof fit.it);
    free(stats);
    free(workspace.data);
    CHECK_GUARD(params), CHECK_GUARD(sizes), CHECK_GUARD(info), CHECK_GUARD(options);
    CHECK_GUARD(fit);
}

int main(int argc, char **argv) {
    CHECK(argc == 2 && qsgd_version() == (uint32_t)atoi(argv[1]));
    test_one_call_for_one_frame();
    test_buffers_of_ones_own();
    test_fit();
    return check_result();
}
