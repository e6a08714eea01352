/* How long saved statistics may be (STATISTICS.md). */
#ifndef QSGD_FIT_STATS_BYTES_H
#define QSGD_FIT_STATS_BYTES_H

#include "fit/stats.h"

#define STATS_SAVED_HEAD (4 + 4 + 4) /* magic; version, norm, scale, 0; clip */
#define STATS_VARINT 9               /* the most bytes of one */
#define STATS_SAVED_BYTES                                                                          \
    (STATS_SAVED_HEAD + 6 * STATS_VARINT + STATS_HALVES * (2 + 3 * STATS_VARINT) +                 \
     STATS_ROWS * (STATS_BINS * (2 + STATS_VARINT) + STATS_CELLS * (2 + 3 * STATS_VARINT)) +       \
     STATS_ROWS * 2 * 2 + 4)

#endif
