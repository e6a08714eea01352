/* The normal distribution and the binary logarithm, from exactly rounded operations alone, so that
 * fitted levels are the same on every machine. */
#ifndef QSGD_FIT_NORMAL_H
#define QSGD_FIT_NORMAL_H

#include "base/begin.h"

struct normal {
    double below;   /* distribution function at z, absolute error below 2^-50 */
    double density; /* at z, relative error below 2^-40 for |z| <= 8 */
};

/* Standard normal at z, any z but NaN. */
struct normal normal_at(double z);

/* log2(x) for 0 < x < infinity, error below 2^-48 (absolute, about x = 1 and elsewhere). */
double log2_of(double x);

#endif
