/* Tables chosen by the noise: a split class of a rANS chunk has one for each half of its elements
 * (FORMAT.md section 7.6). */
#ifndef QSGD_CODES_RANS_SPLIT_H
#define QSGD_CODES_RANS_SPLIT_H

#include "codes/rans/cost.h"

#define RANS_SPLIT_BLOCK 1024 /* elements of a block of the decoder */

/* Halves of elements [from, to) of a chunk whose indices are turned: 0 or RANS_HALF. */
void rans_split_halves(const struct code_chunk *chunk, size_t from, size_t to, uint8_t *halves);

/* Tokens of a table that surely has room in 2^9 slots (codes/rans/model.c). */
#define RANS_NINE_BITS 45

/* Decides which classes are split (plan->rans.split), from the tallies of plan->rans.classes
 * classes. If some are: their tables' tallies, in order, go to `two`, which have counts, the
 * symbols to the scratch, and it is true. */
bool rans_split_choose(const struct code_chunk *chunk, struct code_plan *plan,
                       const struct tally *each, struct tally two[2 * CODE_CLASSES]);

/* The symbols of a given plan and chunk->scratch->tokens, into the scratch. Tokens of split classes
 * that are not below RANS_HALF give symbols that mean nothing, below 64. */
void rans_split_symbols(const struct code_chunk *chunk, const struct code_plan *plan);

#endif
