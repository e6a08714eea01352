/* Descents to levels of least error (Faghri et al., NeurIPS 2020). */
#ifndef QSGD_FIT_FIT_DESCENT_H
#define QSGD_FIT_FIT_DESCENT_H

#include "fit/fit_table.h"

/* Descents; each returns the sweeps that it took, at most `sweeps` if that is not 0. The error
 * never grows. */
uint32_t fit_alq(struct fit_table *table, uint32_t sweeps);
uint32_t fit_alq_gradient(struct fit_table *table, uint32_t sweeps);

/* Levels p^j from the given p on; *p: the base found. */
uint32_t fit_amq(struct fit_table *table, double *p, uint32_t sweeps);

#endif
