/* Classes of the groups of a rANS chunk: which, and how they are written. */
#ifndef QSGD_CODES_RANS_CLASSES_H
#define QSGD_CODES_RANS_CLASSES_H

#include "base/bits.h"
#include "codes/rans/cost.h"
#include "codes/scratch.h"

/* Chooses the classes of k and its tokens, into chunk->scratch->classes. Returns their number;
 * their tallies go to *each, in the scratch too. 1: no classes, and *all is the tally of
 * everything, with counts in the caller's memory. */
unsigned rans_classes_choose(const struct code_chunk *chunk, const int16_t *k,
                             const uint8_t *tokens, struct tally *all, struct tally **each);

/* What k and its tokens cost with the best classes, in units of 2^-16 bits. */
int64_t rans_classes_cost(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens);

/* Histograms of tokens by class, without marked ones: of those in chunk->scratch->classes, or, if
 * `classes` is 1, of one. In the scratch, beside the tallies of rans_classes_choose. */
token_counts *rans_classes_histograms(const struct code_chunk *chunk, const uint8_t *tokens,
                                      unsigned classes);

/* Bits of the classes of all groups, chunk->scratch->classes, each as often as its elements count.
 */
uint64_t rans_classes_bits(const struct code_chunk *chunk);
void rans_classes_write(struct lsb_writer *w, const uint8_t *classes, size_t groups);

/* False if one is not below `number`, or one below it has no group. */
bool rans_classes_parse(struct bit_reader *r, unsigned number, uint8_t *classes, size_t groups);

#endif
