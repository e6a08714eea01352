/* Error, gradient and probabilities of a table under a model, and where descents start. Closed
 * forms in the moments of the model (papers: ALQ's cell variance and level probabilities). */
#include "fit/fit_table.h"

#include "base/square_root.h"
#include "fit/normal.h"

void fit_table_set(struct fit_table *t, uint32_t j, double level) {
    t->level[j] = level;
    t->below[j] = fit_below(t->model, level);
}

void fit_table_ready(struct fit_table *t) {
    for (uint32_t j = 0; j < t->count; j++) fit_table_set(t, j, t->level[j]);
}

double fit_cell_error(double c, double d, const struct fit_moments *in) {
    return (c + d) * in->m[1] - in->m[2] - c * d * in->m[0];
}

/* A central cell, from -l to l, is folded: its first moment is multiplied by c + d = 0. */
double fit_table_error(const struct fit_table *t) {
    double sum = t->central ? fit_cell_error(-t->level[0], t->level[0], &t->below[0]) : 0;
    for (uint32_t j = 0; j + 1 < t->count; j++) {
        const struct fit_moments in = fit_between(&t->below[j], &t->below[j + 1]);
        sum += fit_cell_error(t->level[j], t->level[j + 1], &in);
    }
    return sum;
}

/* Part of a cell's mass. Where a cell is narrow beside the last digits of moments, what is computed
 * may lie far outside. */
static double part_of(double part, double mass) {
    if (!(part > 0)) return 0;
    return part < mass ? part : mass;
}

double fit_table_probability(const struct fit_table *t, uint32_t j) {
    double sum = 0;
    if (j > 0) {
        const double c = t->level[j - 1], d = t->level[j];
        const struct fit_moments in = fit_between(&t->below[j - 1], &t->below[j]);
        sum += part_of((in.m[1] - c * in.m[0]) / (d - c), in.m[0]);
    } else if (t->central) {
        sum += t->below[0].m[0];
    }
    if (j + 1 < t->count) {
        const double c = t->level[j], d = t->level[j + 1];
        const struct fit_moments in = fit_between(&t->below[j], &t->below[j + 1]);
        sum += part_of((d * in.m[0] - in.m[1]) / (d - c), in.m[0]);
    }
    return sum > 0 ? sum : 0;
}

/* d/dl of the cells on both sides: integral of (r - c) over [c, l] less that of (d - r) over [l,
 * d]; 2 l times the mass of a central cell in place of the former. */
double fit_table_gradient(const struct fit_table *t, uint32_t j) {
    const double d = t->level[j + 1];
    const struct fit_moments up = fit_between(&t->below[j], &t->below[j + 1]);
    double sum = up.m[1] - d * up.m[0];
    if (j == 0) return sum + 2 * t->level[0] * t->below[0].m[0];
    const struct fit_moments low = fit_between(&t->below[j - 1], &t->below[j]);
    return sum + low.m[1] - t->level[j - 1] * low.m[0];
}

/* ---- starts ---------------------------------------------------------------------------------- */

/* Level j of a table whose positive levels are value(1) .. value(s) = 1. */
static void start_mirrored(struct fit_table *t, const double *value, uint32_t s) {
    if (t->model->bins == STATS_MAGNITUDES) {
        for (uint32_t j = 0; j < t->count; j++) {
            t->level[j] = t->central ? value[j + 1] : (j == 0 ? 0 : value[j]);
        }
    } else {
        const bool zero = t->count % 2 == 1;
        for (uint32_t j = 0; j < s; j++) {
            t->level[j] = -value[s - j];
            t->level[t->count - 1 - j] = value[s - j];
        }
        if (zero) t->level[s] = 0;
    }
    fit_table_ready(t);
}

/* Positive levels, and whether 0 is one as well. */
static uint32_t positive_levels(const struct fit_table *t, bool *zero) {
    if (t->model->bins == STATS_MAGNITUDES) {
        *zero = !t->central;
        return t->central ? t->count : t->count - 1;
    }
    *zero = t->count % 2 == 1;
    return t->count / 2;
}

void fit_start_uniform(struct fit_table *t) {
    double value[FIT_LEVELS];
    bool zero;
    const uint32_t s = positive_levels(t, &zero);
    for (uint32_t j = 1; j <= s; j++) {
        value[j] = zero ? (double)j / s : (2.0 * j - 1) / (2.0 * s - 1);
    }
    start_mirrored(t, value, s);
}

void fit_start_exponential(struct fit_table *t) {
    double value[FIT_LEVELS], level = 1;
    bool zero;
    const uint32_t s = positive_levels(t, &zero);
    for (uint32_t j = s; j > 0; j--, level /= 2) value[j] = level;
    start_mirrored(t, value, s);
}

/* x^(1/4 + 1/16 + 1/64), about the cube root: what point densities of least squared error follow
 * (Panter and Dite, 1951). */
static double about_third_power(double x) {
    const double fourth = square_root(square_root(x));
    const double sixteenth = square_root(square_root(fourth));
    return fourth * sixteenth * square_root(square_root(sixteenth));
}

/* Share of the model that lies below x. */
static double share_below(const struct fit_model *model, const double *share, double x) {
    uint32_t i = 0;
    while (i + 1 < model->bins && model->edge[i + 1] <= x) i++;
    const double w = model->edge[i + 1] - model->edge[i];
    return share[i] + (share[i + 1] - share[i]) * ((x - model->edge[i]) / w);
}

/* Levels first + 1 .. last, of which `last` is `high`: equal shares between low and high; the first
 * of them has `part` of such a share. */
static void share_levels(struct fit_table *t, const double *share, uint32_t first, uint32_t last,
                         double low, double high, double part) {
    const struct fit_model *model = t->model;
    const double from = share_below(model, share, low),
                 all = share_below(model, share, high) - from;
    const double step = all / ((double)(last - first) - 1 + part);
    uint32_t i = 0;
    for (uint32_t j = first + 1; j < last; j++) {
        const double want = from + step * ((double)(j - first) - 1 + part);
        while (i + 1 < model->bins && share[i + 1] < want) i++;
        const double at = (want - share[i]) / (share[i + 1] - share[i]);
        t->level[j] = model->edge[i] + (model->edge[i + 1] - model->edge[i]) * at;
    }
    t->level[last] = high;
}

void fit_start_quantile(struct fit_table *t, bool third) {
    const struct fit_model *model = t->model;
    double share[FIT_BINS + 1];
    share[0] = 0;
    for (uint32_t i = 0; i < model->bins; i++) {
        const double w = model->edge[i + 1] - model->edge[i];
        const double mass = model->before[i + 1][0] - model->before[i][0];
        /* an even share keeps levels apart where there is no mass */
        share[i + 1] = share[i] + (third ? about_third_power(mass / w) * w : mass) + w * 0x1p-20;
    }
    const uint32_t last = t->count - 1;
    if (t->central) { /* half a share lies below the first level; "level -1" is 0 */
        share_levels(t, share, UINT32_MAX, last, 0, 1, 0.5);
    } else {
        t->level[0] = model->edge[0];
        const bool pinned = t->pinned < last;
        if (pinned) share_levels(t, share, 0, t->pinned, -1, 0, 1);
        share_levels(t, share, pinned ? t->pinned : 0, last, pinned ? 0 : model->edge[0], 1, 1);
    }
    fit_table_ready(t);
}
