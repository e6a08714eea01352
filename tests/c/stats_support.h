/* What the tests of statistics and of fitted levels share. */
#ifndef QSGD_TESTS_STATS_SUPPORT_H
#define QSGD_TESTS_STATS_SUPPORT_H

#include "qsgd_fit.h"
#include "support.h"

#define N 70000

static float x[N];

static inline struct qsgd_stats *new_stats(int32_t norm, uint64_t bucket) {
    struct qsgd_params params;
    qsgd_params_init(&params);
    params.norm = norm;
    params.bucket = bucket;
    struct qsgd_stats *stats = malloc((size_t)qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params, NULL) == QSGD_OK);
    return stats;
}

static inline qsgd_status add(struct qsgd_stats *stats, const float *from, uint64_t n,
                              struct qsgd_error *error) {
    const uint64_t bytes = qsgd_stats_workspace(stats, QSGD_FLOAT32, n);
    void *workspace = aligned_bytes(bytes);
    const qsgd_status status =
        qsgd_stats_add(stats, QSGD_FLOAT32, from, n, workspace, bytes, error);
    free(workspace);
    return status;
}

/* The statistics' bytes, and how many. */
static inline uint8_t *saved(const struct qsgd_stats *stats, uint64_t *size) {
    uint8_t *bytes = malloc((size_t)qsgd_stats_save_bound());
    CHECK(qsgd_stats_save(stats, bytes, qsgd_stats_save_bound(), size) == QSGD_OK);
    return bytes;
}

static inline bool equal(const struct qsgd_stats *a, const struct qsgd_stats *b) {
    uint64_t size_a, size_b;
    uint8_t *bytes_a = saved(a, &size_a), *bytes_b = saved(b, &size_b);
    const bool same = size_a == size_b && memcmp(bytes_a, bytes_b, (size_t)size_a) == 0;
    free(bytes_a);
    free(bytes_b);
    return same;
}

static inline qsgd_status fit(const struct qsgd_stats *stats,
                              const struct qsgd_fit_options *options, struct qsgd_fit *result,
                              struct qsgd_error *error) {
    void *workspace = aligned_bytes(qsgd_fit_workspace());
    result->struct_size = sizeof *result;
    const qsgd_status status =
        qsgd_fit_levels(stats, options, result, workspace, qsgd_fit_workspace(), error);
    free(workspace);
    return status;
}

#endif
