/* Statistics of r = x / scale (STATISTICS.md): what is counted, and where. */
#ifndef QSGD_FIT_STATS_H
#define QSGD_FIT_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/types.h"
#include "qsgd_fit.h"

/* Rows: buckets by half octave of their scale, from the largest down; the last row takes all
 * others. Its elements weigh below 2^-14 of the largest's each (as squares), so it need not be
 * finer. All bins and cells add up the *weight* of elements, the square of their scale's
 * significand in units of its octave: so a row is exact for the tensor's error, and a mean for the
 * rest. */
#define STATS_ROWS 16
#define STATS_REST (STATS_ROWS - 1)

/* Cells of similar buckets: octaves of the variance of r, and whether the mean is large (which way)
 * beside it. */
#define STATS_VARIANCES 40
#define STATS_MEANS 3
#define STATS_CELLS (STATS_VARIANCES * STATS_MEANS)

/* Half octaves of scales: 2 e + 0 or 1, e the biased exponent of float32, 1..254 (also of scales
 * below 2^-126), by whether the significand is above sqrt(2). 0 stands for none. */
#define STATS_HALVES 510
#define STATS_SQRT2 0xB504F4U /* of 24 bits, rounded up */
#define STATS_UNIT 0x1p6      /* weighted sums of r and r^2 are stored in units of 1 / this */
#define STATS_WEIGHT_BITS 7   /* of a scale's significand in its octave: 64..128 */

struct stats_cell {
    uint64_t weight; /* of the elements */
    int64_t sum;     /* weighted, of r */
    uint64_t square; /* and of r^2 */
};

struct stats_half {
    uint64_t elements;
    uint64_t weight;  /* sum over elements of the scale's significand, */
    uint64_t weight2; /* and of its square: the weight of these elements in their row */
};

struct qsgd_stats {
    uint32_t made; /* STATS_MADE, so that memory never initialised is refused */
    int32_t norm;
    uint32_t scale_dtype;
    float clip;
    uint64_t bucket;
    uint64_t elements, buckets, idle, zeros;
    int32_t top; /* half octave of row 0; 0 if there is none */
    uint32_t unused;
    struct stats_half halves[STATS_HALVES];
    uint64_t bins[STATS_ROWS][STATS_BINS];
    struct stats_cell cells[STATS_ROWS][STATS_CELLS];
};

#define STATS_MADE 0x51535453U

/* Row of a half octave, given the top. */
static inline uint32_t stats_row(int32_t top, int32_t half) {
    const int32_t below = top - half;
    return below < STATS_REST ? (uint32_t)below : STATS_REST;
}

/* Empties statistics for a quantizer. */
void stats_clear(qsgd_stats *stats, const qsgd_params *params);

/* Moves rows down so that `half` is row 0; nothing if it is not above the top. */
void stats_raise(struct qsgd_stats *stats, int32_t half);

/* Adds `other`, which is for the same buckets; totals are checked before. */
void stats_join(struct qsgd_stats *stats, const struct qsgd_stats *other);

#endif
