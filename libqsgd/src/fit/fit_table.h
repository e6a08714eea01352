/* A table of levels while it is fitted: the error of stochastic rounding to it under a model
 * (Faghri et al., NeurIPS 2020), and where descents start. */
#ifndef QSGD_FIT_FIT_TABLE_H
#define QSGD_FIT_FIT_TABLE_H

#include "fit/fit_model.h"

#define FIT_LEVELS (QSGD_MAX_LEVEL_TABLE + 1)

/* Levels ascend; the last one is 1. The first is -1, or 0 for tables that are mirrored, with the
 * model of |r|; or, where 0 is no level, free: the cell about 0 then reaches to its mirror image.
 */
struct fit_table {
    const struct fit_model *model;
    uint32_t count;
    uint32_t pinned; /* a level that stays, beside the ends; or UINT32_MAX */
    bool central;    /* mirrored and without 0 */
    double level[FIT_LEVELS];
    struct fit_moments below[FIT_LEVELS]; /* moments of the model below each level */
};

/* Takes over level[], count, and so on: computes below[]. */
void fit_table_ready(struct fit_table *table);
void fit_table_set(struct fit_table *table, uint32_t j, double level);

/* Mean of (d - r)(r - c) over all cells. */
double fit_table_error(const struct fit_table *table);

/* Mean of (d - r)(r - c) over [c, d], from the moments there. */
double fit_cell_error(double c, double d, const struct fit_moments *in);

/* Probability that r is rounded to level j; for the first level of a central table, to it or its
 * mirror image. */
double fit_table_probability(const struct fit_table *table, uint32_t j);

/* Derivative of fit_table_error in level j, which is free. */
double fit_table_gradient(const struct fit_table *table, uint32_t j);

/* True if descent may move level j. */
static inline bool fit_table_free(const struct fit_table *table, uint32_t j) {
    return j + 1 < table->count && j != table->pinned && (j > 0 || table->central);
}

/* Where a table starts. */
void fit_start_uniform(struct fit_table *table);
void fit_start_exponential(struct fit_table *table);

/* Levels of equal probability, or of equal share of about the density's cube root. */
void fit_start_quantile(struct fit_table *table, bool third);

#endif
