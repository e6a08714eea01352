/* Indices as tokens and extra bits, for huffman and rans (FORMAT.md section 8.4). */
#ifndef QSGD_TOKENS_H
#define QSGD_TOKENS_H

#include "bits.h"
#include "codes.h"

/* True if tokens are the indices themselves, without extra bits. */
static inline bool tokens_direct(const struct levels *levels) {
    return levels->largest <= LEVELS_DIRECT;
}

/* Fills tokens[len]; counts[CODE_TOKENS] (may be NULL) receives the histogram. */
void tokens_from_indices(const struct code_chunk *chunk, const int16_t *k, uint8_t *tokens,
                         uint32_t counts[CODE_TOKENS]);

/* Writes the extra bits of k[len], whose tokens are in the scratch, from dst on. Returns the byte
 * after them, NULL if over `end`. */
uint8_t *tokens_write_extra(const struct code_chunk *chunk, const int16_t *k, uint8_t *dst,
                            uint8_t *end);

/* tokens[len] and the extra bits in [p, end) to indices. Bit t of `possible` is set if token t may
 * occur. Every k written is a level. */
qsgd_status tokens_to_indices(const struct code_chunk *chunk, const uint8_t *tokens,
                              uint64_t possible, const uint8_t *p, const uint8_t *end, int16_t *k);

#endif
