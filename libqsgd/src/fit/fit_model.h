/* The distribution that levels are fitted to: a density on the bins of the statistics, linear
 * within each bin, so that every integral that fitting needs has a closed form. */
#ifndef QSGD_FIT_FIT_MODEL_H
#define QSGD_FIT_FIT_MODEL_H

#include "fit/stats.h"

/* Bins of r from -1 to 1, in order; the two about 0 are one. Folded at 0: of |r|, from 0 to 1. */
#define FIT_BINS (STATS_BINS - 1)
#define FIT_CENTRE (STATS_MAGNITUDES - 1) /* the bin about 0 */

struct fit_model {
    uint32_t bins;
    double edge[FIT_BINS + 1];
    double density[FIT_BINS];       /* at the bin's start, */
    double slope[FIT_BINS];         /* and its growth from there */
    double before[FIT_BINS + 1][3]; /* moments 0, 1, 2 of all that lies below edge i */
};

/* Moments 0, 1, 2 of r over an interval. */
struct fit_moments {
    double m[3];
};

/* What a table of levels is measured by. All models are normalised: their mass is 1. */
struct fit_models {
    struct fit_model cost;      /* buckets weighted: of the error */
    struct fit_model count;     /* buckets alike: of the indices */
    struct fit_model cost_half; /* the same of |r| */
    struct fit_model count_half;
    double square; /* mean of r^2 under `cost` */
};

/* Builds all from statistics or from the given normal. False if the statistics hold no element that
 * is not zero. */
bool fit_models_build(struct fit_models *models, const struct qsgd_stats *stats,
                      const struct qsgd_fit_options *options);

/* Moments below x, which is clamped to the model's range. */
struct fit_moments fit_below(const struct fit_model *model, double x);

static inline struct fit_moments fit_between(const struct fit_moments *low,
                                             const struct fit_moments *high) {
    return (struct fit_moments){
        {high->m[0] - low->m[0], high->m[1] - low->m[1], high->m[2] - low->m[2]}};
}

/* The x in [low, high] with mass `target` below it. */
double fit_quantile(const struct fit_model *model, double target, double low, double high);

#endif
