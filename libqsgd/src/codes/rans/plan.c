/* Questions to a plan of rANS that more than its maker asks. */
#include "codes/rans/plan.h"

#include <string.h>

#include "codes/shared_tables.h"
#include "codes/tokens.h"

unsigned rans_token_limit(const struct code_plan *plan) {
    unsigned limit = 0;
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++) {
            if (plan->rans.table[c][half].tokens > limit) limit = plan->rans.table[c][half].tokens;
        }
    }
    return limit;
}

unsigned rans_tables_count(const struct code_plan *plan) {
    unsigned tables = plan->rans.classes;
    for (unsigned c = 0; c < plan->rans.classes; c++) tables += rans_is_split(plan, c);
    return tables;
}

/* Bits after the first that a frequency of a table keeps: their rounding costs bits by the element,
 * they by the table. */
unsigned rans_mantissa_most(size_t len, const struct code_plan *plan) {
    const size_t each = len / rans_tables_count(plan);
    const unsigned e = each == 0 ? 0 : floor_log2(each);
    return e < 10 ? 1 : (e > 15 ? 4 : (e - 7) / 2);
}

/* Tokens 2 m - 1 and 2 m are k = m and -m below this. */
unsigned rans_pairs_end(const struct levels *levels, unsigned tokens) {
    const unsigned whole = tokens_direct(levels) ? 2 * LEVELS_DIRECT + 1 : TOKENS_WHOLE;
    return tokens < whole ? tokens : whole;
}

void rans_use_shared(const struct shared_tables *shared, struct code_plan *plan) {
    plan->shared = true;
    plan->rans.classes = 1;
    plan->rans.split = 0;
    plan->rans.prob_bits = shared->prob_bits;
    plan->rans.table[0][0] = (struct rans_table){shared->tokens, shared->mode, false};
    memcpy(plan->rans.freq[0], shared->freq, sizeof plan->rans.freq[0]);
}

static unsigned tail_base(unsigned token_limit) { return token_limit > 2 ? token_limit : 2; }

unsigned rans_tail_most(unsigned token_limit) {
    unsigned each = 0;
    for (uint32_t most = tail_base(token_limit); most <= RANS_LOW; each++) {
        most *= tail_base(token_limit);
    }
    return each;
}

struct rans_tail rans_tail_of(const struct code_plan *plan, size_t len) {
    const unsigned limit = rans_token_limit(plan);
    struct rans_tail tail = {.base = tail_base(limit), .each = rans_tail_most(limit)};
    if (tail.each > len >> plan->rans.lanes_log2) tail.each = len >> plan->rans.lanes_log2;
    tail.body = len - (tail.each << plan->rans.lanes_log2);
    return tail;
}

struct rans_job rans_job_of(const struct code_chunk *chunk, const struct code_plan *plan,
                            const struct rans_tail *tail) {
    return (struct rans_job){.classes = plan->rans.classes > 1 ? chunk->scratch->classes : NULL,
                             .len = tail->body,
                             .lanes_log2 = plan->rans.lanes_log2,
                             .prob_bits = plan->rans.prob_bits,
                             .tokens = plan->rans.split != 0 ? CODE_TOKENS : rans_token_limit(plan),
                             .tables = plan->rans.classes,
                             .split = plan->rans.split,
                             .freq = plan->rans.freq};
}

bool rans_covers(const struct code_chunk *chunk, const struct code_plan *plan, size_t i,
                 unsigned half, unsigned t) {
    const unsigned class = plan->rans.classes > 1 ? chunk->scratch->classes[i / CODE_GROUP] : 0;
    if (!rans_is_split(plan, class)) return plan->rans.freq[class][t] != 0;
    return t < RANS_HALF && plan->rans.freq[class][half + t] != 0;
}

unsigned rans_lane_groups(const struct code_plan *plan) {
    const unsigned lanes = 1U << plan->rans.lanes_log2;
    return lanes <= RANS_GROUP_LANES ? 1 : lanes / RANS_GROUP_LANES;
}

uint64_t rans_possible(const struct code_plan *plan) {
    uint64_t used = 0;
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++) {
            const uint16_t *freq = rans_freq(plan, c, half);
            for (unsigned t = 0; t < plan->rans.table[c][half].tokens; t++) {
                used |= (uint64_t)(freq[t] != 0) << t;
            }
        }
    }
    return used;
}
