/* The plan of a rANS chunk, and what follows from it: tables, jobs of the kernels, the tail
 * (FORMAT.md section 7.6). codes/rans/model.c chooses plans, codes/rans/tables.c writes and reads
 * them. */
#ifndef QSGD_CODES_RANS_PLAN_H
#define QSGD_CODES_RANS_PLAN_H

#include "base/bits.h"
#include "codes/codes.h"
#include "kernels/kernels.h"

static inline bool rans_is_split(const struct code_plan *plan, unsigned class) {
    return (plan->rans.split >> class & 1) != 0;
}

/* How many tables a class has. */
static inline unsigned rans_tables_of(const struct code_plan *plan, unsigned class) {
    return rans_is_split(plan, class) ? 2 : 1;
}

unsigned rans_tables_count(const struct code_plan *plan);

/* The most bits that so many tables may have: all of a chunk have 2^13 slots together, what a block
 * of threads of a device can hold at hand. */
#define RANS_SLOTS_LOG2 13

static inline unsigned rans_prob_most(unsigned tables) {
    return tables <= 2 ? 12 : (tables <= 8 ? 10 : 9);
}

/* Frequencies of one of them, which start there. */
static inline const uint16_t *rans_freq(const struct code_plan *plan, unsigned class,
                                        unsigned half) {
    return plan->rans.freq[class] + half * RANS_HALF;
}

/* D of FORMAT.md, from plan->rans.classes and plan->rans.split. */
unsigned rans_mantissa_most(size_t len, const struct code_plan *plan);

/* Tokens below are k and -k by pairs, from 1 on: symmetric tables name those once. */
unsigned rans_pairs_end(const struct levels *levels, unsigned tokens);

/* One class, with the frequencies of shared tables. */
void rans_use_shared(const struct shared_tables *shared, struct code_plan *plan);

/* All tokens of a plan are below it. */
unsigned rans_token_limit(const struct code_plan *plan);

/* The last elements of a chunk travel in the states before the first push, which would otherwise be
 * 16 bits of nothing per lane: as digits of numbers to the base `base`, `each` of them in every
 * lane, from element `body` on. */
struct rans_tail {
    size_t body, each;
    unsigned base;
};

/* The most digits that a lane holds, of tokens below the limit. */
unsigned rans_tail_most(unsigned token_limit);

struct rans_tail rans_tail_of(const struct code_plan *plan, size_t len);

/* What the kernels are told of the elements before the tail. */
struct rans_job rans_job_of(const struct code_chunk *chunk, const struct code_plan *plan,
                            const struct rans_tail *tail);

/* False if a chunk of that many elements may not have as many lanes. */
static inline bool rans_lanes_fit(unsigned lanes_log2, size_t len) {
    return lanes_log2 <= RANS_LANES_LOG2 && (lanes_log2 >= 5 || len < 32768);
}

/* Groups of lanes, which have a stream of words each. */
unsigned rans_lane_groups(const struct code_plan *plan);

/* True if the table of element i's class has a frequency for token t; half: the element's, 0 or
 * RANS_HALF. */
bool rans_covers(const struct code_chunk *chunk, const struct code_plan *plan, size_t i,
                 unsigned half, unsigned t);

/* Bit t is set if token t may occur. */
uint64_t rans_possible(const struct code_plan *plan);

#endif
