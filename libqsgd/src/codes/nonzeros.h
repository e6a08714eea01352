/* Lists of the non-zero indices of mostly zero chunks, for the sparse codes (elias-*-sparse and
 * rice-sparse, FORMAT.md sections 7.2 and 7.3): work is per non-zero, not per element. */
#ifndef QSGD_CODES_NONZEROS_H
#define QSGD_CODES_NONZEROS_H

#include <string.h>

#include "codes/codes.h"
#include "kernels/kernels.h"

/* Room for the positions of all elements and 128 more (codes/codes.h: scratch->words). */
static inline uint32_t *nonzeros_positions(const struct code_chunk *chunk) {
    return (void *)chunk->scratch->words;
}

/* Finds the non-zeros, into the plan. */
static inline void nonzeros_find(const struct code_chunk *chunk, const int16_t *k,
                                 struct nonzeros_plan *plan) {
    uint32_t *at = nonzeros_positions(chunk);
    plan->count = chunk->kernels->nonzeros(k, chunk->len, at);
    plan->at = at;
}

/* The non-zeros as nonzeros_find left them; searched for if the plan comes from another frame. */
static inline struct nonzeros_plan nonzeros_found(const struct code_chunk *chunk, const int16_t *k,
                                                  const struct code_plan *plan) {
    struct nonzeros_plan found = plan->nonzeros;
    if (found.at == NULL) nonzeros_find(chunk, k, &found);
    return found;
}

/* Reads all indices by the code's read_nonzeros. */
static inline qsgd_status nonzeros_read(const struct code_chunk *chunk,
                                        const struct code_plan *plan, int16_t *k) {
    const uint32_t *at = nonzeros_positions(chunk);
    size_t count = 0;
    qsgd_status status =
        code_find(chunk->code)->read_nonzeros(chunk, plan, nonzeros_positions(chunk), k, &count);
    if (status != QSGD_OK) count = 0;
    memset(k + count, 0, (chunk->len - count) * sizeof *k);
    for (size_t i = count; i-- > 0;) { /* in place from the end: position i is at least i */
        int16_t value = k[i];
        k[i] = 0;
        k[at[i]] = value;
    }
    return status;
}

#endif
