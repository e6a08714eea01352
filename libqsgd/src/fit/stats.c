/* Statistics as a value: empty, merged, asked (STATISTICS.md). All sums are integers, so
 * that no order of additions shows. How tensors get in is fit/stats_add.c, how bytes come of them
 * fit/stats_bytes.c. */
#include "fit/stats.h"

#include <string.h>

#include "base/error.h"
#include "base/given.h"
#include "frame/params.h"

uint64_t qsgd_stats_bytes(void) { return sizeof(qsgd_stats); }

static const struct struct_row info_row = STRUCT_ROW(qsgd_stats_info, idle, "info");

qsgd_status qsgd_stats_info_init_sized(qsgd_stats_info *info, size_t struct_size) {
    const qsgd_stats_info none = {.struct_size = sizeof none};
    return struct_init(&info_row, info, struct_size, &none);
}

void stats_clear(qsgd_stats *stats, const qsgd_params *params) {
    memset(stats, 0, sizeof *stats);
    stats->made = STATS_MADE;
    stats->norm = params->norm;
    stats->scale_dtype = params->scale_dtype;
    stats->clip = params->clip + 0.0F; /* -0 becomes +0 */
    stats->bucket = params->bucket;
}

qsgd_status qsgd_stats_init(qsgd_stats *stats, const qsgd_params *params, qsgd_error *error) {
    qsgd_params p;
    if (stats == NULL) return error_parameter(error, QSGD_ERR_NULL, "stats", "stats is NULL");
    qsgd_status status = params_take(params, &p, error);
    if (status != QSGD_OK) return status;
    if (p.norm != QSGD_NORM_MAX && p.norm != QSGD_NORM_L2) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "norm",
                               "statistics are of elements in -1..1: norm must be max or l2");
    }
    if (p.rotation) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "rotation",
                               "statistics are of elements as they are: rotated ones are nearly "
                               "normal (QSGD_MODEL_NORMAL)");
    }
    stats_clear(stats, &p);
    return QSGD_OK;
}

qsgd_status qsgd_stats_inspect(const qsgd_stats *stats, qsgd_stats_info *info, qsgd_error *error) {
    if (stats == NULL || stats->made != STATS_MADE) {
        return error_parameter(error, QSGD_ERR_NULL, "stats", "NULL, or not initialised");
    }
    const qsgd_status status = struct_check(&info_row, info, error);
    if (status != QSGD_OK) return status;
    const qsgd_stats_info all = {
        .struct_size = sizeof all,
        .norm = stats->norm,
        .scale_dtype = stats->scale_dtype,
        .clip = stats->clip,
        .bucket = stats->bucket,
        .elements = stats->elements,
        .buckets = stats->buckets,
        .idle = stats->idle,
        .zeros = stats->zeros,
    };
    struct_give(&info_row, &all, info);
    return QSGD_OK;
}

static void cell_join(struct stats_cell *cell, const struct stats_cell *other) {
    cell->weight += other->weight;
    cell->sum += other->sum;
    cell->square += other->square;
}

static void row_join(qsgd_stats *stats, uint32_t row, const qsgd_stats *from, uint32_t from_row) {
    for (uint32_t i = 0; i < STATS_BINS; i++) stats->bins[row][i] += from->bins[from_row][i];
    for (uint32_t i = 0; i < STATS_CELLS; i++) {
        cell_join(&stats->cells[row][i], &from->cells[from_row][i]);
    }
}

static void row_clear(qsgd_stats *stats, uint32_t row) {
    memset(stats->bins[row], 0, sizeof stats->bins[row]);
    memset(stats->cells[row], 0, sizeof stats->cells[row]);
}

void stats_raise(qsgd_stats *stats, int32_t half) {
    if (half <= stats->top) return;
    const int32_t top = stats->top;
    stats->top = half;
    if (top == 0) return; /* rows are empty */
    for (uint32_t row = STATS_REST; row-- > 0;) {
        const uint32_t to = stats_row(half, top - (int32_t)row);
        row_join(stats, to, stats, row);
        row_clear(stats, row);
    }
}

/* Every counter is read once, just before it is added: so `other` may be *stats itself. */
void stats_join(qsgd_stats *stats, const qsgd_stats *other) {
    stats_raise(stats, other->top);
    stats->elements += other->elements;
    stats->buckets += other->buckets;
    stats->idle += other->idle;
    stats->zeros += other->zeros;
    for (uint32_t h = 0; h < STATS_HALVES; h++) {
        stats->halves[h].elements += other->halves[h].elements;
        stats->halves[h].weight += other->halves[h].weight;
        stats->halves[h].weight2 += other->halves[h].weight2;
    }
    for (uint32_t row = 0; row < STATS_ROWS && other->top != 0; row++) {
        const bool rest = row == STATS_REST;
        if (!rest && (other->top <= (int32_t)row ||
                      other->halves[other->top - (int32_t)row].elements == 0)) {
            continue; /* empty */
        }
        row_join(stats, rest ? STATS_REST : stats_row(stats->top, other->top - (int32_t)row), other,
                 row);
    }
}

qsgd_status qsgd_stats_merge(qsgd_stats *stats, const qsgd_stats *other, qsgd_error *error) {
    if (stats == NULL || other == NULL || stats->made != STATS_MADE || other->made != STATS_MADE) {
        return error_parameter(error, QSGD_ERR_NULL, "other",
                               "statistics are NULL, or qsgd_stats_init has not made them");
    }
    const char *differs = NULL;
    if (stats->clip < other->clip || stats->clip > other->clip) differs = "clip";
    if (stats->scale_dtype != other->scale_dtype) differs = "scale_dtype";
    if (stats->bucket != other->bucket) differs = "bucket";
    if (stats->norm != other->norm) differs = "norm";
    if (differs != NULL) {
        return error_parameter(
            error, QSGD_ERR_COMBINATION, differs,
            "only statistics of one norm, bucket, scale_dtype and clip can be merged");
    }
    if (other->elements > QSGD_STATS_MAX_ELEMENTS - stats->elements) {
        return error_parameter(error, QSGD_ERR_SHAPE, "other",
                               "statistics hold at most 2^41 elements");
    }
    stats_join(stats, other);
    return QSGD_OK;
}
