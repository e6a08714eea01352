/* How often tokens occur and what that costs to code, for the choice of a rANS model (ENCODER.md
 * section 8.4). Integers only, so that every machine chooses alike. */
#ifndef QSGD_CODES_RANS_COST_H
#define QSGD_CODES_RANS_COST_H

#include "codes/codes.h"
#include "codes/logarithms.h"

typedef uint32_t token_counts[CODE_TOKENS];

/* How often the tokens of a class occur. */
struct tally {
    uint32_t *counts; /* CODE_TOKENS of them */
    uint64_t sum;
    unsigned tokens; /* the last one that occurs, plus 1 */
    int64_t cost;    /* of the elements and a table, in units of 2^-16 bits */
};

static inline int64_t tally_cost(uint64_t bits, unsigned tokens) {
    return (int64_t)(bits + ((13 + 5 * tokens) << 16));
}

/* Sums counts up; their cost. */
static inline void tally_finish(struct tally *tally) {
    tally->sum = 0;
    tally->tokens = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        tally->sum += tally->counts[t];
        if (tally->counts[t] != 0) tally->tokens = t + 1;
    }
    uint64_t bits = count_lg(tally->sum);
    for (unsigned t = 0; t < tally->tokens; t++) bits -= count_lg(tally->counts[t]);
    tally->cost = tally_cost(bits, tally->tokens);
}

#endif
