/* qsgd_fit_levels: from statistics to a table of levels, and what it costs. Stage: statistics ->
 * levels. */
#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "base/given.h"
#include "base/memory.h"
#include "base/ranges.h"
#include "fit/fit_descent.h"
#include "fit/fit_entropy.h"
#include "fit/fit_table.h"
#include "fit/normal.h"
#include "frame/params.h"
#include "grid/levels.h"

static const struct struct_row options_row = STRUCT_ROW(qsgd_fit_options, sigma, "options");
static const struct struct_row fit_row = STRUCT_ROW(qsgd_fit, probability, "fit");

static const qsgd_fit_options defaults = {
    .struct_size = sizeof(qsgd_fit_options), .s = 7, .symmetric = 1, .zero = 1};

qsgd_status qsgd_fit_options_init_sized(qsgd_fit_options *options, size_t struct_size) {
    return struct_init(&options_row, options, struct_size, &defaults);
}

qsgd_status qsgd_fit_init_sized(qsgd_fit *fit, size_t struct_size) {
    const qsgd_fit none = {.struct_size = sizeof none};
    return struct_init(&fit_row, fit, struct_size, &none);
}

struct fit_memory {
    struct fit_models *models;
    struct fit_table *table, *best, *measure;
};

static void fit_carve(struct fit_memory *w, struct memory *memory) {
    w->models = memory_take(memory, sizeof *w->models);
    w->table = memory_take(memory, sizeof *w->table);
    w->best = memory_take(memory, sizeof *w->best);
    w->measure = memory_take(memory, sizeof *w->measure);
}

static uint64_t fit_bytes(void) {
    struct fit_memory w;
    struct memory memory = {NULL, 0};
    fit_carve(&w, &memory);
    return memory.used;
}

uint64_t qsgd_fit_workspace_bytes(void) { return fit_bytes() + MEMORY_SLACK; }

/* ---- checks ---------------------------------------------------------------------------------- */

#define PARAM(name, reason) error_parameter(error, QSGD_ERR_PARAM, name, reason)
#define COMBINATION(name, reason) error_parameter(error, QSGD_ERR_COMBINATION, name, reason)

static bool is_finite(double x) { return x - x == 0; }

#define RANGE(field, least, most, reason)                                                          \
    {#field, offsetof(qsgd_fit_options, field), least, most, least, reason}

static const struct range ranges[] = {
    RANGE(method, 0, 3, "must be one of QSGD_FIT_* (0..3)"),
    RANGE(weight, 0, 2, "must be QSGD_WEIGHT_* (0..2)"),
    RANGE(model, 0, 2, "must be one of QSGD_MODEL_* (0..2)"),
    RANGE(start, 0, 3, "must be one of QSGD_START_* (0..3)"),
    RANGE(s, 1, 127, "s must lie in 1..127"),
    RANGE(symmetric, 0, 1, "must be 0 or 1"),
    RANGE(zero, 0, 1, "zero must be 0 or 1"),
};

static qsgd_status check_options(const qsgd_fit_options *o, qsgd_error *error) {
    const qsgd_status status = ranges_check(o, ranges, sizeof ranges / sizeof *ranges, error);
    if (status != QSGD_OK) return status;
    if (!(o->bits >= 0 && o->bits <= 8))
        return PARAM("bits", "bits must lie in 0..8 (0: no target)");
    if (o->method == QSGD_FIT_AMQ && !o->symmetric) {
        return COMBINATION("symmetric", "AMQ's levels are mirrored");
    }
    if (o->method == QSGD_FIT_AMQ && o->start == QSGD_START_QUANTILE) {
        return COMBINATION("start", "AMQ's levels are powers: it has no start at quantiles");
    }
    if (o->bits > 0 && (o->method != QSGD_FIT_ALQ || !o->symmetric)) {
        return COMBINATION("bits", "a target in bits is for mirrored ALQ tables");
    }
    if (o->model == QSGD_MODEL_NORMAL) {
        if (!(o->mean >= -1 && o->mean <= 1)) return PARAM("mean", "mean must lie in -1..1");
        if (!(o->sigma >= 0x1p-20) || !is_finite(o->sigma)) {
            return PARAM("sigma", "sigma must be finite and at least 2^-20");
        }
    }
    return QSGD_OK;
}

static qsgd_status prepare(const qsgd_stats *stats, const qsgd_fit_options *given,
                           qsgd_fit_options *o, const qsgd_fit *fit, qsgd_error *error) {
    qsgd_status status = QSGD_OK;
    *o = defaults;
    if (given != NULL) status = struct_take(&options_row, given, o, error);
    if (status == QSGD_OK) status = check_options(o, error);
    if (status == QSGD_OK) status = struct_check(&fit_row, fit, error);
    if (status != QSGD_OK) return status;
    if (o->model != QSGD_MODEL_NORMAL && (stats == NULL || stats->made != STATS_MADE)) {
        return error_parameter(error, QSGD_ERR_NULL, "stats", "NULL, or not initialised");
    }
    return QSGD_OK;
}

/* Carves the caller's workspace. options and params may be NULL. */
static qsgd_status fit_open(struct fit_memory *w, const qsgd_stats *stats,
                            const qsgd_fit_options *options, const qsgd_params *params,
                            const qsgd_fit *fit, qsgd_memory workspace, qsgd_error *error) {
    struct memory memory = {NULL, 0};
    const struct region buffers[] = {
        {"stats", stats, sizeof *stats, false},
        {"options", options, options == NULL ? 0 : options->struct_size, false},
        {"params", params, params == NULL ? 0 : params->struct_size, false},
        {"workspace", workspace.data, workspace.bytes, true},
        {"fit", fit, fit->struct_size, true},
    };
    qsgd_status status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status == QSGD_OK && params != NULL) { /* levels may be those of *fit itself */
        const uint64_t bytes = params->level_table_len * sizeof *params->level_table;
        const struct region levels[] = {{"workspace", workspace.data, workspace.bytes, true},
                                        {"level_table", params->level_table, bytes, false}};
        status = regions_apart(levels, sizeof levels / sizeof *levels, error);
    }
    if (status == QSGD_OK) status = memory_open(&memory, workspace, fit_bytes(), error);
    if (status == QSGD_OK) fit_carve(w, &memory);
    return status;
}

static qsgd_status build_models(struct fit_memory *w, const qsgd_stats *stats,
                                const qsgd_fit_options *o, qsgd_error *error) {
    if (fit_models_build(w->models, stats, o)) return QSGD_OK;
    return PARAM("stats", "the statistics hold no element that is not zero");
}

/* ---- descents from several starts ------------------------------------------------------------ */

static void table_shape(const struct fit_memory *w, const qsgd_fit_options *o,
                        struct fit_table *t) {
    t->model = o->symmetric ? &w->models->cost_half : &w->models->cost;
    t->central = o->symmetric && !o->zero;
    t->count = o->symmetric ? o->s + (o->zero ? 1U : 0U) : 2 * o->s + (o->zero ? 1U : 0U);
    t->pinned = !o->symmetric && o->zero ? o->s : UINT32_MAX;
}

enum { START_THIRD_POWER = QSGD_START_QUANTILE + 1 };

static void table_start(struct fit_table *t, int start) {
    switch (start) {
    case QSGD_START_UNIFORM: fit_start_uniform(t); break;
    case QSGD_START_EXPONENTIAL: fit_start_exponential(t); break;
    default: fit_start_quantile(t, start == START_THIRD_POWER); break;
    }
}

#define NO_ERROR 0x1p1000

/* Keeps w->table if it is better. */
static void keep_best(struct fit_memory *w, uint32_t sweeps, double p, double *error,
                      qsgd_fit *fit) {
    const double now = fit_table_error(w->table);
    if (now >= *error) return;
    *error = now;
    *w->best = *w->table;
    fit->sweeps = sweeps;
    fit->p = p;
}

static void descend_alq(struct fit_memory *w, const qsgd_fit_options *o, double *error,
                        qsgd_fit *fit) {
    for (int start = QSGD_START_UNIFORM; start <= START_THIRD_POWER; start++) {
        if (o->start != QSGD_START_BEST && o->start != start) continue;
        uint32_t sweeps = 0;
        table_shape(w, o, w->table);
        table_start(w->table, start);
        if (o->method == QSGD_FIT_ALQ) sweeps = fit_alq(w->table, o->sweeps);
        if (o->method == QSGD_FIT_ALQ_GRADIENT) sweeps = fit_alq_gradient(w->table, o->sweeps);
        keep_best(w, sweeps, 0, error, fit);
    }
}

static void descend_amq(struct fit_memory *w, const qsgd_fit_options *o, double *error,
                        qsgd_fit *fit) {
    for (int tenth = 1; tenth <= 9; tenth++) {
        if (o->start == QSGD_START_EXPONENTIAL && tenth != 5) continue;
        double p = tenth / 10.0;
        table_shape(w, o, w->table);
        fit_start_uniform(w->table); /* the ends */
        const uint32_t sweeps = fit_amq(w->table, &p, o->sweeps);
        keep_best(w, sweeps, p, error, fit);
    }
}

/* A target in bits: s is the most levels. Tables start from even levels, and from ALQ's, of as few
 * levels as have that entropy, and some more. */
static void descend_entropy(struct fit_memory *w, const qsgd_fit_options *given, double *error,
                            qsgd_fit *fit) {
    for (int even = 0; even < 2; even++) {
        qsgd_fit_options o = *given;
        uint32_t least = 0;
        for (o.s = 1; o.s <= given->s && (least == 0 || o.s <= least + 2 + least / 2); o.s++) {
            table_shape(w, &o, w->table);
            table_start(w->table, even ? QSGD_START_UNIFORM : START_THIRD_POWER);
            const uint32_t sweeps = even ? 0 : fit_alq(w->table, o.sweeps);
            if (fit_entropy(w->table, &w->models->count_half) < o.bits) continue;
            if (least == 0) least = o.s;
            if (o.s > least + 2 && o.s != least + 2 + least / 2) continue;
            if (!fit_to_entropy(w->table, &w->models->count_half, o.bits)) continue;
            keep_best(w, sweeps, 0, error, fit);
        }
    }
}

/* ---- results --------------------------------------------------------------------------------- */

/* How far a float32 level stays from its neighbour: a gap in any table. */
static float space_beside(float level) {
    return (level < 0 ? -level : level) * 0x1p-22F + 0x1p-100F;
}

/* Levels as float32, in order and apart. A pinned level is 0, and stays that. */
static void round_levels(const struct fit_table *t, float *to) {
    const uint32_t first = t->model->bins == STATS_MAGNITUDES && !t->central ? 1 : 0;
    const uint32_t n = t->count - first;
    for (uint32_t j = 0; j < n; j++) {
        to[j] = (float)t->level[first + j];
        if (j != t->pinned && (j > 0 || first > 0 || t->central)) {
            const float least = j > 0 ? to[j - 1] : 0;
            if (to[j] - least < space_beside(least)) to[j] = least + space_beside(least);
        }
    }
    to[n - 1] = 1;
    for (uint32_t j = n - 1; j-- > 0;) {
        const float gap = space_beside(to[j + 1]);
        const float least = t->pinned < n && j < t->pinned ? gap / 2 : 0;
        if (to[j + 1] - to[j] <= least) to[j] = to[j + 1] - gap;
    }
}

/* All levels of a set, ascending, as doubles; returns how many. */
static uint32_t all_levels(const struct levels *levels, double *to) {
    uint32_t n = 0;
    for (int32_t k = levels->kmin; k <= levels->kmax; k++) {
        if (!levels_has(levels, k)) continue;
        const int32_t size = k < 0 ? -k : k;
        float level;
        if (levels->kind == QSGD_LEVELS_SIGNED) {
            level = levels->value[k - levels->kmin];
        } else if (levels->kind == QSGD_LEVELS_UNIFORM) {
            level = ((float)size - (levels->zero ? 0.0F : 0.5F)) * levels->gap;
        } else {
            level = size == 0 ? 0 : levels->value[size];
        }
        to[n++] = k < 0 && levels->kind != QSGD_LEVELS_SIGNED ? -(double)level : (double)level;
    }
    return n;
}

/* Error, probabilities and entropy of a set of levels, into *fit. */
static void measure(struct fit_memory *w, const struct levels *levels, qsgd_fit *fit) {
    struct fit_table *t = w->measure;
    *t = (struct fit_table){.model = &w->models->cost, .pinned = UINT32_MAX};
    t->count = all_levels(levels, t->level);
    fit_table_ready(t);
    fit->variance = fit_table_error(t);
    fit->error = fit->variance / w->models->square;
    t->model = &w->models->count;
    fit_table_ready(t);
    fit->indices = t->count;
    fit->entropy = 0;
    for (uint32_t j = 0; j < t->count; j++) {
        const double p = fit_table_probability(t, j);
        fit->probability[j] = p;
        if (p > 0) fit->entropy -= p * log2_of(p);
    }
}

static void finish(struct fit_memory *w, const qsgd_fit_options *o, qsgd_fit *fit) {
    qsgd_params params;
    struct levels levels;
    qsgd_params_init(&params);
    round_levels(w->best, fit->level_table);
    fit->levels = o->symmetric ? QSGD_LEVELS_TABLE : QSGD_LEVELS_SIGNED;
    fit->zero = o->symmetric ? o->zero : 1;
    fit->level_table_len = w->best->count - (o->symmetric && o->zero ? 1 : 0);
    params.levels = fit->levels;
    params.zero = fit->zero;
    params.level_table = fit->level_table;
    params.level_table_len = fit->level_table_len;
    levels_build(&levels, &params);
    measure(w, &levels, fit);
}

static qsgd_status fit_in(struct fit_memory *w, const qsgd_stats *stats, const qsgd_fit_options *o,
                          qsgd_fit *fit, qsgd_error *error) {
    double least = NO_ERROR;
    qsgd_status status = build_models(w, stats, o, error);
    if (status != QSGD_OK) return status;
    qsgd_fit result = {.struct_size = sizeof result};
    if (o->bits > 0) {
        descend_entropy(w, o, &least, &result);
        if (least == NO_ERROR) {
            return PARAM("bits", "no table of at most s levels has indices of that entropy");
        }
    } else if (o->method == QSGD_FIT_AMQ) {
        descend_amq(w, o, &least, &result);
    } else {
        descend_alq(w, o, &least, &result);
    }
    finish(w, o, &result);
    *fit = result;
    return QSGD_OK;
}

qsgd_status qsgd_fit_levels(const qsgd_stats *stats, const qsgd_fit_options *options, qsgd_fit *fit,
                            qsgd_memory workspace, qsgd_error *error) {
    qsgd_fit_options o;
    qsgd_fit result = {.struct_size = sizeof result};
    struct fit_memory w;
    qsgd_status status = prepare(stats, options, &o, fit, error);
    if (status == QSGD_OK) status = fit_open(&w, stats, options, NULL, fit, workspace, error);
    if (status != QSGD_OK) return status;
    fpenv env = fpenv_enter();
    status = fit_in(&w, stats, &o, &result, error);
    fpenv_leave(env);
    if (status == QSGD_OK) struct_give(&fit_row, &result, fit);
    return status;
}

qsgd_status qsgd_fit_evaluate(const qsgd_stats *stats, const qsgd_fit_options *options,
                              const qsgd_params *params, qsgd_fit *fit, qsgd_memory workspace,
                              qsgd_error *error) {
    qsgd_fit_options o;
    qsgd_params p;
    struct fit_memory w;
    struct levels levels;
    qsgd_status status = prepare(stats, options, &o, fit, error);
    if (status == QSGD_OK) status = params_take(params, &p, error);
    if (status != QSGD_OK) return status;
    if (p.levels == QSGD_LEVELS_OPEN || (p.levels == QSGD_LEVELS_UNIFORM && p.s > 127)) {
        return COMBINATION("levels", "only tables of at most 127 positive levels are evaluated");
    }
    status = fit_open(&w, stats, options, params, fit, workspace, error);
    if (status != QSGD_OK) return status;
    fpenv env = fpenv_enter();
    qsgd_fit result = {.struct_size = sizeof result};
    status = build_models(&w, stats, &o, error);
    if (status == QSGD_OK) {
        levels_build(&levels, &p);
        result.levels = p.levels;
        result.zero = p.zero;
        if (p.levels == QSGD_LEVELS_TABLE || p.levels == QSGD_LEVELS_SIGNED) {
            result.level_table_len = p.level_table_len;
            memcpy(result.level_table, p.level_table, p.level_table_len * sizeof *p.level_table);
        }
        measure(&w, &levels, &result);
        struct_give(&fit_row, &result, fit);
    }
    fpenv_leave(env);
    return status;
}
