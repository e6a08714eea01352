/* Sums of blocks in binary64, in an order that no number of threads changes (ENCODER.md section
 * 5.1): block m adds to lane m mod 32, and the lanes are folded at the end. */
#ifndef QSGD_QUANTIZE_LANE_SUMS_H
#define QSGD_QUANTIZE_LANE_SUMS_H

#include "base/begin.h"

#include <stdint.h>

struct lane_sums {
    double lane[32];
    uint64_t blocks;
};

static inline void lanes_add(struct lane_sums *l, double block) {
    l->lane[l->blocks++ % 32] += block;
}

static inline double lanes_fold(struct lane_sums *l) {
    for (int half = 16; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) l->lane[i] += l->lane[i + half];
    }
    return l->lane[0];
}

#endif
