/* Whether a rANS chunk of several classes gains from leaving groups of zeros out. */
#ifndef QSGD_CODES_RANS_COMPACT_H
#define QSGD_CODES_RANS_COMPACT_H

#include "codes/codes.h"
#include "codes/zero_sets.h"

/* True if all of live->zeros cost less named than coded (ENCODER.md section 8.1). `items` are the
 * chunk's, which stand where they stood afterwards, but for those of idle buckets, which are 0. */
bool rans_gains_by_zeros(const struct code_chunk *chunk, const struct live *live,
                         const struct coded_items *items);

#endif
