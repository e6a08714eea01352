/* What the tests of statistics and of fitted levels share. */
#ifndef QSGD_TESTS_STATS_SUPPORT_H
#define QSGD_TESTS_STATS_SUPPORT_H

#include "qsgd_fit.h"
#include "support.h"

#define N 70000

static float x[N];

static inline qsgd_stats *new_stats(int32_t norm, uint64_t bucket) {
    qsgd_params params = params_qsgd();
    params.norm = norm;
    params.bucket = bucket;
    qsgd_stats *stats = malloc((size_t)qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params, NULL) == QSGD_OK);
    return stats;
}

static inline qsgd_sizes stats_sizes(const qsgd_stats *stats, uint64_t n) {
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_stats_sizes(stats, QSGD_FLOAT32, n, &sizes, NULL) == QSGD_OK);
    return sizes;
}

static inline qsgd_status add(qsgd_stats *stats, const float *from, uint64_t n, qsgd_error *error) {
    qsgd_memory workspace = odd_memory(stats_sizes(stats, n).workspace_bytes);
    const qsgd_status status = qsgd_stats_add(stats, QSGD_FLOAT32, from, n, workspace, error);
    odd_free(workspace);
    return status;
}

/* The statistics' bytes, and how many. */
static inline uint8_t *saved(const qsgd_stats *stats, uint64_t *size) {
    const qsgd_memory bytes = odd_memory(stats_sizes(stats, 0).dst_bytes);
    CHECK(qsgd_stats_save(stats, bytes, size, NULL) == QSGD_OK);
    uint8_t *copy = malloc((size_t)*size);
    memcpy(copy, bytes.data, (size_t)*size);
    odd_free(bytes);
    return copy;
}

static inline bool equal(const qsgd_stats *a, const qsgd_stats *b) {
    uint64_t size_a, size_b;
    uint8_t *bytes_a = saved(a, &size_a), *bytes_b = saved(b, &size_b);
    const bool same = size_a == size_b && memcmp(bytes_a, bytes_b, (size_t)size_a) == 0;
    free(bytes_a);
    free(bytes_b);
    return same;
}

static inline qsgd_status fit(const qsgd_stats *stats, const qsgd_fit_options *options,
                              qsgd_fit *result, qsgd_error *error) {
    qsgd_memory workspace = odd_memory(qsgd_fit_workspace_bytes());
    qsgd_fit_init(result);
    const qsgd_status status = qsgd_fit_levels(stats, options, result, workspace, error);
    odd_free(workspace);
    return status;
}

#endif
