/* The model of a rANS chunk: its choice (rans_model.c) and its bytes (rans_tables.c; FORMAT.md
 * section 8.5). code_rans.c codes the tokens with it. */
#ifndef QSGD_RANS_MODEL_H
#define QSGD_RANS_MODEL_H

#include "bits.h"
#include "codes.h"
#include "kernels/kernels.h"

static inline bool rans_is_split(const struct code_plan *plan, unsigned class) {
    return (plan->split >> class & 1) != 0;
}

/* How many tables a class has. */
static inline unsigned rans_tables_of(const struct code_plan *plan, unsigned class) {
    return rans_is_split(plan, class) ? 2 : 1;
}

/* Frequencies of one of them, which start there. */
static inline const uint16_t *rans_freq(const struct code_plan *plan, unsigned class,
                                        unsigned half) {
    return plan->freq[class] + half * RANS_HALF;
}

/* Chooses classes (chunk->scratch->classes), which are split (then chunk->scratch->symbols
 * follows), lanes, P and frequencies for k and its tokens. */
void rans_model_choose(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct code_plan *plan);

/* P and frequencies, to whole slots, of one class with these counts: for tables that no frame
 * carries. */
void rans_model_fit(const uint32_t counts[CODE_TOKENS], struct code_plan *plan);

/* Bits of the tables and classes, before padding. */
uint64_t rans_tables_bits(const struct code_chunk *chunk, const struct code_plan *plan);

/* Writes byte h and the padded block of tables and classes; returns its end, NULL if over `end`. */
uint8_t *rans_tables_write(const struct code_chunk *chunk, const struct code_plan *plan, uint8_t *p,
                           uint8_t *end);

/* Reads and checks the same; *next is the byte after it. */
qsgd_status rans_tables_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                              struct code_plan *plan, const uint8_t **next);

/* D of FORMAT.md, from plan->classes and plan->split. */
unsigned rans_mantissa_most(size_t len, const struct code_plan *plan);

/* Tokens below are k and -k by pairs, from 1 on: symmetric tables name those once. */
unsigned rans_pairs_end(const struct levels *levels, unsigned tokens);

/* One class, with the frequencies of shared tables. */
void rans_use_shared(const struct shared_tables *shared, struct code_plan *plan);

/* All tokens of a plan are below it. */
unsigned rans_token_limit(const struct code_plan *plan);

/* Rest states hold tokens of `width` bits, `each` of them where the chunk has as many. */
struct rans_rest {
    unsigned width, each;
};

static inline struct rans_rest rans_rest_of(unsigned token_limit) {
    const unsigned width = token_limit > 1 ? floor_log2(token_limit - 1) + 1 : 1;
    return (struct rans_rest){width, 16 / width};
}

#endif
