/* The model of a rANS chunk: which tables its tokens are coded with (FORMAT.md section 7.6). */
#ifndef QSGD_CODES_RANS_MODEL_H
#define QSGD_CODES_RANS_MODEL_H

#include "codes/codes.h"

/* Chooses classes (chunk->scratch->classes), which are split (then chunk->scratch->symbols
 * follows), lanes, P and frequencies for k and its tokens. */
void rans_model_choose(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct code_plan *plan);

/* P and frequencies, to whole slots, of one class with these counts: for tables that no frame
 * carries. */
void rans_model_fit(const uint32_t counts[CODE_TOKENS], struct code_plan *plan);

#endif
