/* What the symbols of a lossless chunk are (ENCODER.md section 8.7). */
#ifndef QSGD_CODES_LOSSLESS_CHOOSE_H
#define QSGD_CODES_LOSSLESS_CHOOSE_H

#include "codes/lossless/form.h"

/* Which symbols a chunk has: how many bits of the mantissa, and where the window lies (ENCODER.md
 * section 8.7). halves: the upper ones. */
void lossless_choose(const struct lossless_type *type, const uint16_t *halves, size_t n,
                     struct lossless_plan *plan);

#endif
