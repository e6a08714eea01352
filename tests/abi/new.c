/* A program of a later version, built with headers that longer.py made, against the library of this
 * one: whatever it does not ask for by a new field works.
 *
 * new VERSION: and it makes sure that it really runs against that version. */
#include <qsgd_fit.h>
#include <qsgd_stages.h>
#include <stdlib.h>
#include <string.h>

#include "../c/check.h"

enum { N = 2000 };

static uint8_t slot[16384], scratch[1 << 21];
static const qsgd_memory dst = {slot, sizeof slot}, workspace = {scratch, sizeof scratch};
static float x[N], y[N];

/* True if all that this version of the library does not know of a struct is zero. */
#define TAIL_IS_ZERO(s)                                                                            \
    ((s).later_number == 0 && (s).later_pointer == NULL && (s).later_array[0] == 0 &&              \
     (s).later_array[2] == 0)

static void test_what_is_zero_is_taken(void) {
    qsgd_params params;
    qsgd_encode_options encode;
    qsgd_decode_options decode;
    qsgd_frame_info info;
    qsgd_sizes sizes;
    qsgd_error error;
    memset(&params, 0xFF, sizeof params);
    memset(&info, 0xFF, sizeof info);
    memset(&error, 0xFF, sizeof error);
    CHECK(qsgd_params_init(&params) == QSGD_OK && TAIL_IS_ZERO(params));
    CHECK(qsgd_encode_options_init(&encode) == QSGD_OK && TAIL_IS_ZERO(encode));
    CHECK(qsgd_decode_options_init(&decode) == QSGD_OK && TAIL_IS_ZERO(decode));
    CHECK(qsgd_frame_info_init(&info) == QSGD_OK && TAIL_IS_ZERO(info));
    CHECK(qsgd_sizes_init(&sizes) == QSGD_OK && TAIL_IS_ZERO(sizes));
    CHECK(qsgd_error_init(&error) == QSGD_OK && TAIL_IS_ZERO(error));
    CHECK(params.struct_size == sizeof params && params.s == 7);

    uint64_t bytes = 0;
    CHECK(qsgd_encode_sizes(&params, &encode, N, &sizes, &error) == QSGD_OK);
    CHECK(sizes.elements == N && TAIL_IS_ZERO(sizes));
    CHECK(qsgd_encode(&params, &encode, x, N, dst, workspace, &bytes, &error) == QSGD_OK);
    CHECK(qsgd_inspect(slot, bytes, &info, &error) == QSGD_OK);
    CHECK(info.elements == N && info.struct_size == sizeof info && TAIL_IS_ZERO(info));
    CHECK(qsgd_decode(slot, bytes, &decode, y, N, workspace, &error) == QSGD_OK);
    CHECK(qsgd_decode(slot, bytes - 1, &decode, y, N, workspace, &error) == QSGD_ERR_NEED_MORE);
    CHECK(error.status == QSGD_ERR_NEED_MORE && TAIL_IS_ZERO(error));
}

static void test_what_is_not_zero_is_refused(void) {
    qsgd_params params;
    qsgd_encode_options encode;
    qsgd_decode_options decode;
    qsgd_error error;
    uint64_t bytes = 0;
    qsgd_params_init(&params);
    qsgd_encode_options_init(&encode);
    qsgd_decode_options_init(&decode);
    qsgd_error_init(&error);
    CHECK(qsgd_encode(&params, &encode, x, N, dst, workspace, &bytes, &error) == QSGD_OK);
    params.later_number = 1;
    CHECK(qsgd_encode(&params, &encode, x, N, dst, workspace, &bytes, &error) ==
          QSGD_ERR_STRUCT_SIZE);
    CHECK(strcmp(error.parameter, "params") == 0);
    params.later_number = 0;
    encode.later_pointer = x;
    CHECK(qsgd_encode(&params, &encode, x, N, dst, workspace, &bytes, &error) ==
          QSGD_ERR_STRUCT_SIZE);
    CHECK(strcmp(error.parameter, "options") == 0);
    decode.later_array[2] = 1;
    CHECK(qsgd_decode(slot, bytes, &decode, y, N, workspace, &error) == QSGD_ERR_STRUCT_SIZE);
    decode.later_array[2] = 0;
    CHECK(qsgd_decode(slot, bytes, &decode, y, N, workspace, &error) == QSGD_OK);
}

static void test_fit(void) {
    qsgd_params params;
    qsgd_fit_options options;
    qsgd_fit fit;
    qsgd_stats_info info;
    qsgd_params_init(&params);
    params.norm = QSGD_NORM_MAX;
    CHECK(qsgd_fit_options_init(&options) == QSGD_OK && TAIL_IS_ZERO(options));
    CHECK(qsgd_fit_init(&fit) == QSGD_OK && TAIL_IS_ZERO(fit));
    CHECK(qsgd_stats_info_init(&info) == QSGD_OK && TAIL_IS_ZERO(info));
    CHECK(sizeof scratch >= qsgd_fit_workspace_bytes());
    qsgd_stats *stats = malloc(qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params, NULL) == QSGD_OK);
    CHECK(qsgd_stats_add(stats, QSGD_FLOAT32, x, N, workspace, NULL) == QSGD_OK);
    CHECK(qsgd_stats_inspect(stats, &info, NULL) == QSGD_OK && info.elements == N);
    CHECK(qsgd_fit_levels(stats, &options, &fit, workspace, NULL) == QSGD_OK);
    CHECK(fit.level_table_len == 7 && TAIL_IS_ZERO(fit));
    options.later_number = 1;
    CHECK(qsgd_fit_levels(stats, &options, &fit, workspace, NULL) == QSGD_ERR_STRUCT_SIZE);
    free(stats);
}

int main(int argc, char **argv) {
    CHECK(argc == 2 && qsgd_version() == (uint32_t)atoi(argv[1]));
    for (int i = 0; i < N; i++) x[i] = (float)(i * 37 % 101 - 50) / 64;
    test_what_is_zero_is_taken();
    test_what_is_not_zero_is_refused();
    test_fit();
    return check_result();
}
