/* One tensor into statistics: bucket by bucket, its scale, then r = x / scale to bins and cells
 * (STATISTICS.md). What is new is gathered in the workspace and joined at the end, so that
 * an error leaves the statistics as they were. */
#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "base/sizes.h"
#include "fit/stats_bytes.h"
#include "frame/params.h"
#include "quantize/bucket_scales.h"
#include "quantize/zeros.h"

struct stats_add {
    struct tensor t; /* scales: of buckets longer than a chunk */
    struct quantize_scratch scratch;
    float *block; /* STATS_BLOCK elements */
    qsgd_stats *fresh;
    uint32_t (*counts)[STATS_COPIES][STATS_BINS]; /* by row */
    uint64_t held[STATS_ROWS]; /* what a counter of a row holds, at most; 0: the row is empty */
};

static void add_carve(struct stats_add *a, struct memory *memory) {
    const bool copies = source_converts(&a->t.source);
    quantize_scratch_carve(&a->scratch, memory, &a->t.q,
                           copies ? QUANTIZE_COPIES : QUANTIZE_IN_PLACE);
    a->block = memory_take(memory, STATS_BLOCK * sizeof(float));
    tensor_carve(&a->t, memory, NULL);
    a->fresh = memory_take(memory, sizeof *a->fresh);
    a->counts = memory_take(memory, STATS_ROWS * sizeof *a->counts);
}

/* Parameters of the quantizer whose scales these are. */
static qsgd_params params_of(const qsgd_stats *stats) {
    qsgd_params params;
    qsgd_params_init(&params);
    params.norm = stats->norm;
    params.scale_dtype = stats->scale_dtype;
    params.clip = stats->clip;
    params.bucket = stats->bucket;
    params_resolve(&params);
    return params;
}

static void add_prepare(struct stats_add *a, const qsgd_stats *stats, uint32_t dtype,
                        const void *src, uint64_t n) {
    const qsgd_params params = params_of(stats);
    memset(a->held, 0, sizeof a->held);
    a->t.source = (struct source){.data = src, .dtype = dtype};
    quantizer_init(&a->t.q, &params, n, (struct noise_start){0, 0}, false);
}

/* ---- counters ------------------------------------------------------------------------------- */

static void row_empty(struct stats_add *a, uint32_t row) {
    if (a->held[row] == 0) return;
    for (uint32_t c = 0; c < STATS_COPIES; c++) {
        for (uint32_t i = 0; i < STATS_BINS; i++) {
            a->fresh->bins[row][i] += a->counts[row][c][i];
        }
    }
    a->held[row] = 0;
}

static void counts_empty(struct stats_add *a) {
    for (uint32_t row = 0; row < STATS_ROWS; row++) row_empty(a, row);
}

/* Makes room in a row's counters for n more elements of that weight. */
static void row_prepare(struct stats_add *a, uint32_t row, size_t n, uint32_t weight) {
    const uint64_t most = (n / STATS_COPIES + 32) * weight; /* in one copy */
    if (a->held[row] + most > UINT32_MAX) row_empty(a, row);
    if (a->held[row] == 0) memset(a->counts[row], 0, sizeof a->counts[row]);
    a->held[row] += most;
}

/* ---- one bucket ----------------------------------------------------------------------------- */

/* A bucket while its elements pass: pieces of chunks, in order. */
struct open_bucket {
    float scale, range, inv;
    uint32_t row, weight;
    uint64_t elements;
    double sums[2]; /* of r and of r^2 */
};

static void bucket_open(struct stats_add *a, struct open_bucket *b, float scale, uint64_t len) {
    *b = (struct open_bucket){.scale = scale, .elements = len};
    a->fresh->elements += len;
    a->fresh->buckets++;
    if (scale_is_idle(scale)) {
        a->fresh->idle += len;
        return;
    }
    b->range = scale_range(scale);
    b->inv = 1.0F / (scale * b->range);
    const uint32_t bits = float_bits(scale), exponent = bits >> 23;
    const uint32_t significand = (bits & 0x7FFFFF) | (exponent == 0 ? 0 : 0x800000);
    const int32_t half =
        2 * (exponent == 0 ? 1 : (int32_t)exponent) + (significand >= STATS_SQRT2 ? 1 : 0);
    const unsigned drop = 24 - STATS_WEIGHT_BITS;
    uint64_t weight = (significand + (1U << (drop - 1))) >> drop;
    weight += weight == 0; /* of scales below 2^-133 */
    struct stats_half *h = &a->fresh->halves[half];
    h->elements += len;
    h->weight += len * weight;
    h->weight2 += len * weight * weight;
    if (half > a->fresh->top) {
        counts_empty(a);
        stats_raise(a->fresh, half);
    }
    b->row = stats_row(a->fresh->top, half);
    b->weight = (uint32_t)(weight * weight);
}

static void bucket_count(struct stats_add *a, struct open_bucket *b, const float *x, uint64_t len) {
    if (scale_is_idle(b->scale)) return;
    for (uint64_t i = 0; i < len; i += STATS_BLOCK) {
        const size_t n = (size_t)min_u64(STATS_BLOCK, len - i);
        const float *block = source_in_range(x + i, n, b->range, a->block);
        a->fresh->zeros += zeros_count(x + i, n);
        row_prepare(a, b->row, n, b->weight);
        a->t.q.kernels->stats_count(block, n, b->inv, b->weight, a->counts[b->row], b->sums);
    }
}

static uint32_t cell_of(double mean, double variance) {
    const float v = (float)variance;
    const int32_t below = 127 - (int32_t)(float_bits(v > 0 ? v : 0) >> 23); /* 0: 1 <= v < 2 */
    const uint32_t octave = below < 0                  ? 0
                            : below >= STATS_VARIANCES ? STATS_VARIANCES - 1
                                                       : (uint32_t)below;
    const bool large = mean * mean * 16 >= variance;
    return octave * STATS_MEANS + (large ? (mean < 0 ? 1 : 2) : 0);
}

static void bucket_close(struct stats_add *a, const struct open_bucket *b) {
    if (scale_is_idle(b->scale)) return;
    const double n = (double)b->elements, mean = b->sums[0] / n, square = b->sums[1] / n;
    const double sum = (b->sums[0] * b->weight) * STATS_UNIT;
    struct stats_cell *cell = &a->fresh->cells[b->row][cell_of(mean, square - mean * mean)];
    cell->weight += b->elements * b->weight;
    cell->sum += (int64_t)(sum < 0 ? sum - 0.5 : sum + 0.5);
    cell->square += (uint64_t)((b->sums[1] * b->weight) * STATS_UNIT + 0.5);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void big_scales(struct stats_add *a) {
    for (uint64_t i = 0; i < big_scales_blocks(&a->t.q.layout); i++) {
        big_scales_block(&a->t, i, &a->scratch);
    }
    if (a->t.q.layout.per_bucket == 0) return;
    big_scales_store(&a->t, &a->scratch);
}

/* The scale of a bucket that starts at x. */
static float scale_of(const struct stats_add *a, uint64_t bucket, const float *x) {
    struct bucket_sums sums;
    if (a->t.q.layout.per_bucket != 0) return scale_get(&a->t.scales, bucket);
    return scale_of_short_bucket(&a->t, bucket, x, layout_bucket_len(&a->t.q.layout, bucket),
                                 &sums);
}

/* Elements of one chunk. UINT64_MAX, or the first bucket that is not finite. */
static uint64_t add_chunk(struct stats_add *a, uint64_t index, struct open_bucket *b) {
    const struct layout *l = &a->t.q.layout;
    const struct chunk_span span = layout_chunk(l, index);
    const uint64_t end = span.first + span.len;
    const float *x = source_read(&a->t.source, span.first, span.len, a->scratch.elements);
    float ahead = scale_of(a, span.first / l->bucket, x);
    for (uint64_t i = span.first, next; i < end; i = next) {
        const uint64_t bucket = i / l->bucket, start = bucket * l->bucket;
        const uint64_t len = layout_bucket_len(l, bucket);
        const float *piece = x + (i - span.first);
        const float scale = ahead;
        next = min_u64(end, start + len);
        /* a bucket early: a norm is long to wait for, and counting does not need this one */
        if (next < end) ahead = scale_of(a, bucket + 1, piece + (next - i));
        if (i == start) {
            if (scale != scale) return bucket;
            bucket_open(a, b, scale, len);
        }
        bucket_count(a, b, piece, next - i);
        if (next == start + len) bucket_close(a, b);
    }
    return UINT64_MAX;
}

static uint64_t add_all(struct stats_add *a) {
    fpenv env = fpenv_enter();
    struct open_bucket b;
    uint64_t bad = UINT64_MAX;
    big_scales(a);
    for (uint64_t i = 0; i < a->t.q.layout.chunks && bad == UINT64_MAX; i++) {
        bad = add_chunk(a, i, &b);
    }
    counts_empty(a);
    fpenv_leave(env);
    return bad;
}

static qsgd_status add_check(const qsgd_stats *stats, uint32_t dtype, uint64_t n,
                             qsgd_error *error) {
    if (stats == NULL || stats->made != STATS_MADE) {
        return error_parameter(error, QSGD_ERR_NULL, "stats",
                               "stats is NULL, or qsgd_stats_init has not made it");
    }
    if (!dtype_is_float(dtype)) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dtype", "src must be of a float type");
    }
    if (n > QSGD_STATS_MAX_ELEMENTS - stats->elements || n > SIZE_MAX / 32) {
        return error_parameter(error, QSGD_ERR_SHAPE, "n", "statistics hold at most 2^41 elements");
    }
    return QSGD_OK;
}

static uint64_t add_bytes(struct stats_add *a) {
    struct memory memory = {NULL, 0};
    add_carve(a, &memory);
    return memory.used;
}

qsgd_status qsgd_stats_sizes(const qsgd_stats *stats, uint32_t dtype, uint64_t n, qsgd_sizes *sizes,
                             qsgd_error *error) {
    struct stats_add a;
    qsgd_status status = add_check(stats, dtype, n, error);
    if (status != QSGD_OK) return status;
    add_prepare(&a, stats, dtype, NULL, n);
    const struct layout *l = &a.t.q.layout;
    return sizes_give(&(qsgd_sizes){.dtype = dtype,
                                    .elements = n,
                                    .buckets = l->buckets,
                                    .chunks = l->chunks,
                                    .dst_bytes = STATS_SAVED_BYTES,
                                    .workspace_bytes = add_bytes(&a)},
                      sizes, error);
}

qsgd_status qsgd_stats_add(qsgd_stats *stats, uint32_t dtype, const void *src, uint64_t n,
                           qsgd_memory workspace, qsgd_error *error) {
    struct stats_add a;
    struct memory memory;
    qsgd_status status = add_check(stats, dtype, n, error);
    if (status != QSGD_OK) return status;
    if (src == NULL && n > 0) return memory_missing("src", error);
    const struct region buffers[] = {
        {"src", src, n * dtype_bytes(dtype), false},
        {"workspace", workspace.data, workspace.bytes, true},
        {"stats", stats, sizeof *stats, true},
    };
    status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status != QSGD_OK) return status;
    add_prepare(&a, stats, dtype, src, n);
    status = memory_open(&memory, workspace, add_bytes(&a), error);
    if (status != QSGD_OK) return status;
    add_carve(&a, &memory);
    stats_clear(a.fresh, &a.t.q.params);
    const uint64_t bad = add_all(&a);
    if (bad != UINT64_MAX) {
        return error_element(error, QSGD_ERR_NONFINITE,
                             source_first_nonfinite(&a.t.source, &a.t.q.layout, bad), bad,
                             "NaN, Inf, or a bucket whose scale overflows");
    }
    stats_join(stats, a.fresh);
    return QSGD_OK;
}
