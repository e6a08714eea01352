/* What a rANS chunk would take, without coding it: for trials (pipeline/trial.h). */
#ifndef QSGD_CODES_RANS_PRICE_H
#define QSGD_CODES_RANS_PRICE_H

#include "codes/codes.h"

/* Bytes of a payload's body by that plan of rans_model_choose, whose tokens are in the scratch,
 * each element counting chunk->weight times (ENCODER.md section 10.2). *chunk->spread becomes the
 * variance of its bits over the noise, at most, in units of 2^-16. */
size_t rans_price(const struct code_chunk *chunk, const struct code_plan *plan);

#endif
