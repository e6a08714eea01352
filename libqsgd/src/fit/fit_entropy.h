/* Levels of least error among those of one entropy. */
#ifndef QSGD_FIT_FIT_ENTROPY_H
#define QSGD_FIT_FIT_ENTROPY_H

#include "fit/fit_table.h"

/* Bits per element of a mirrored table's indices under the model `count`, signs included. */
double fit_entropy(const struct fit_table *table, const struct fit_model *count);

/* Levels of least error among those with the given entropy in bits. `count` is the
 * model of indices. False if entropy cannot come to `bits` with so many levels. */
bool fit_to_entropy(struct fit_table *table, const struct fit_model *count, double bits);

#endif
