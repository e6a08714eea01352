/* Chooses the tables of a rANS chunk (ENCODER.md section 8.4): frequencies, whether signs share
 * them, lanes. Which groups share a table, codes/rans/classes.c says, which classes have two,
 * codes/rans/split.c; codes/rans/tables.c writes and reads them. */
#include "codes/rans/model.h"

#include <string.h>

#include "codes/rans/classes.h"
#include "codes/rans/plan.h"
#include "codes/rans/split.h"
#include "codes/rans/tables.h"
#include "codes/shared_tables.h"
#include "codes/tokens.h"
#include "kernels/kernels.h"

/* ---- frequencies ---------------------------------------------------------------------------- */

/* v, in units of 2^-16, with `most` bits after the first: to the nearest, or cut. At least 1. */
static uint32_t table_frequency(uint64_t v, unsigned most, bool nearest) {
    const unsigned e = v < 65536 ? 0 : floor_log2(v) - 16;
    const unsigned drop = 16 + (e > most ? e - most : 0);
    const uint32_t f = (uint32_t)((v + ((uint64_t)nearest << (drop - 1))) >> drop << (drop - 16));
    return f == 0 ? 1 : f;
}

/* A table's frequencies at P bits. Returns the bits of its elements, in units of 2^-16, or
 * UINT64_MAX if nothing is left for the mode token: many rare tokens, few bits. */
static uint64_t set_frequencies(struct code_plan *plan, unsigned class, unsigned half,
                                const struct tally *tally, bool nearest) {
    const uint64_t share = ((uint64_t)1 << (32 + plan->rans.prob_bits)) / tally->sum;
    const unsigned mode = plan->rans.table[class][half].mode, most = plan->rans.mantissa_most;
    uint16_t *freq = plan->rans.freq[class] + half * RANS_HALF;
    int32_t rest = 1 << plan->rans.prob_bits;
    uint64_t cost = tally->sum * plan->rans.prob_bits << 16;
    for (unsigned t = 0; t < tally->tokens; t++) {
        if (tally->counts[t] == 0 || t == mode) continue;
        const uint32_t f = table_frequency(tally->counts[t] * share >> 16, most, nearest);
        freq[t] = (uint16_t)f;
        rest -= (int32_t)f;
        cost -= tally->counts[t] * lg(f);
    }
    if (rest < 1) return UINT64_MAX;
    freq[mode] = (uint16_t)rest;
    return cost - tally->counts[mode] * lg((uint64_t)rest);
}

/* All tables' frequencies at P bits and what they cost; UINT64_MAX if they do not fit. The most
 * bits that they may have always do, if need be cut, and so do 12: of A tokens, r are raised to one
 * slot, and the mode token has at least 2^P / (A - r) of them, less r; r (A - r) is at most 992 for
 * 63 tokens, below 2^10, and at most 506 for RANS_NINE_BITS tokens, below 2^9. */
static uint64_t set_all(struct code_plan *plan, unsigned prob_bits, const struct tally *tally) {
    uint64_t cost = 0;
    const bool cut = prob_bits == 12 || prob_bits == rans_prob_most(rans_tables_count(plan));
    plan->rans.prob_bits = prob_bits;
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++, tally++) {
            uint64_t bits = set_frequencies(plan, c, half, tally, true);
            if (bits == UINT64_MAX && cut) bits = set_frequencies(plan, c, half, tally, false);
            if (bits == UINT64_MAX) return UINT64_MAX;
            cost += bits;
        }
    }
    return cost;
}

/* ---- symmetric tables ----------------------------------------------------------------------- */

/* Makes the counts of pairs equal if that costs less than to code both: whether they are. */
static bool make_symmetric(struct tally *tally, unsigned end, unsigned mantissa) {
    uint32_t *h = tally->counts;
    int64_t loss = 0;
    for (unsigned t = 1; t + 1 < end; t += 2) {
        const uint64_t both = (uint64_t)h[t] + h[t + 1];
        loss += (int64_t)(count_lg(h[t]) + count_lg(h[t + 1]) + (both << 16) - count_lg(both));
        loss -= (int64_t)(4 + mantissa) << 16;
    }
    if (loss >= 0) return false;
    for (unsigned t = 1; t + 1 < end; t += 2) {
        const uint32_t both = h[t] + h[t + 1];
        h[t] = h[t + 1] = (both + 1) >> 1;
        tally->sum += both & 1;
    }
    return true;
}

static void set_mode(struct code_plan *plan, unsigned class, unsigned half,
                     const struct tally *tally) {
    unsigned mode = 0;
    for (unsigned t = 1; t < tally->tokens; t++) {
        if (tally->counts[t] > tally->counts[mode]) mode = t;
    }
    plan->rans.table[class][half].mode = (uint8_t)mode;
    plan->rans.table[class][half].tokens = (uint8_t)tally->tokens;
    if (half == 0) memset(plan->rans.freq[class], 0, sizeof plan->rans.freq[class]);
}

static void set_tokens(const struct code_chunk *chunk, struct code_plan *plan,
                       struct tally *tally) {
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++, tally++) {
            plan->rans.table[c][half].symmetric = make_symmetric(
                tally, rans_pairs_end(chunk->levels, tally->tokens), plan->rans.mantissa_most);
            set_mode(plan, c, half, tally);
        }
    }
}

/* The coarsest of 8, 9 and 10 bits that costs at most 1/512 more than 12 do, or the most: decoders
 * look fewer slots up faster. With classes of 9 and 10, and 1/256: most chunks then have 9 and can
 * be decoded two at a time. */
static uint64_t choose_frequencies(struct code_plan *plan, const struct tally *tally) {
    const unsigned bits = rans_prob_most(rans_tables_count(plan));
    const uint64_t finest = set_all(plan, 12, tally);
    const uint64_t most = finest + (finest >> (plan->rans.classes == 1 ? 9 : 8));
    for (unsigned prob_bits = plan->rans.classes == 1 ? 8 : 9; prob_bits <= 10 && prob_bits < bits;
         prob_bits++) {
        const uint64_t cost = set_all(plan, prob_bits, tally);
        if (cost <= most) return cost;
    }
    return set_all(plan, bits, tally);
}

/* Lanes make coding fast; a 72nd of a short chunk is theirs, a 200th of a long one, which has 32 at
 * least. One costs 19.5 bits, less what tokens in its rest state save: `each` of them. Poor
 * frequencies of a few elements may cost more than all that a state holds. */
static unsigned choose_lanes(uint64_t cost, uint64_t len, unsigned token_limit) {
    const uint64_t each = rans_tail_most(token_limit), whole = 16 * len / each;
    const uint64_t bits = cost >> 16 < whole ? cost >> 16 : whole;
    const uint64_t share = len < 32768 ? 72 : 200;
    const uint64_t v = 2 * bits * len / (share * (39 * len - 2 * each * bits));
    const unsigned log2 = v == 0 ? 0 : floor_log2(v);
    if (log2 > RANS_ROW_LOG2) return RANS_ROW_LOG2;
    return rans_lanes_fit(log2, (size_t)len) ? log2 : 5;
}

/* Bits of the largest rank of an index with one of `tokens` tokens, at least. */
static unsigned least_width(unsigned tokens) {
    const uint32_t last = tokens - 1;
    uint32_t rank = last;
    if (last >= TOKENS_WHOLE) rank = ((4 + (tokens & 3)) << ((last - 7) >> 2)) - 1; /* 2 |k| - 1 */
    return rank == 0 ? 0 : floor_log2(rank) + 1;
}

/* ---- shared tables -------------------------------------------------------------------------- */

/* What shared tables cost, in units of 2^-16 bits; UINT64_MAX if there are none, or a token has no
 * frequency. */
static uint64_t shared_cost(const struct shared_tables *shared,
                            const uint32_t counts[CODE_TOKENS]) {
    uint64_t cost = 0;
    if (shared == NULL) return UINT64_MAX;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (counts[t] == 0) continue;
        if (shared->freq[t] == 0) return UINT64_MAX;
        cost += counts[t] * (((uint64_t)shared->prob_bits << 16) - lg(shared->freq[t]));
    }
    return cost;
}

/* ---- prices ---------------------------------------------------------------------------------- */

/* Extra bits of a token. */
static uint32_t extra_of(const struct code_chunk *chunk, unsigned t) {
    return tokens_direct(chunk->levels) || t < TOKENS_WHOLE ? 0 : (t - TOKENS_WHOLE) / 4 + 2;
}

/* Of a table's elements: where one token is nearly all, the logarithms that choose are too coarse.
 * An element's cost varies with its own noise by less than elements' costs vary among each other.
 */
static void add_fine_cost(const struct code_chunk *chunk, const uint32_t *counts,
                          const uint16_t *freq, struct code_plan *plan) {
    uint64_t each[CODE_TOKENS], cost = 0, all = 0, sum = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (counts[t] == 0) continue;
        each[t] = ((uint64_t)plan->rans.prob_bits << 16) - (uint64_t)fine_lg(freq[t]);
        cost += counts[t] * each[t];
        each[t] += (uint64_t)extra_of(chunk, t) << 16;
        all += counts[t] * each[t];
        sum += counts[t];
    }
    plan->rans.cost += cost;
    const uint64_t mean = sum == 0 ? 0 : all / sum;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (counts[t] == 0) continue;
        const uint64_t off = (each[t] > mean ? each[t] - mean : mean - each[t]) >> 8;
        plan->rans.spread += counts[t] * (off * off);
    }
}

static void price_tables(const struct code_chunk *chunk, const uint32_t *all,
                         const struct tally *each, struct code_plan *plan) {
    plan->rans.cost = plan->rans.spread = 0;
    if (plan->shared) {
        add_fine_cost(chunk, all, plan->rans.freq[0], plan);
        return;
    }
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++, each++) {
            add_fine_cost(chunk, each->counts, rans_freq(plan, c, half), plan);
        }
    }
}

/* ---- the model ------------------------------------------------------------------------------ */

void rans_model_choose(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct code_plan *plan) {
    token_counts counts[1 + 2 * CODE_CLASSES];
    struct tally all = {.counts = counts[0]}, *each = &all, two[2 * CODE_CLASSES];
    for (unsigned i = 0; i < 2 * CODE_CLASSES; i++) two[i].counts = counts[1 + i];
    plan->rans.classes = 1;
    plan->rans.split = 0;
    plan->shared = false;
    if (chunk->classes) {
        plan->rans.classes = rans_classes_choose(chunk, k, tokens, &all, &each);
    } else {
        chunk->kernels->histogram(tokens, chunk->len, all.counts);
        for (unsigned t = 0; t < CODE_TOKENS; t++) all.counts[t] *= code_weight(chunk);
        tally_finish(&all);
    }
    const uint64_t shared = shared_cost(chunk->shared, all.counts);
    if (plan->rans.classes == 1) each = &all;
    if (rans_split_choose(chunk, plan, each, two)) each = two;
    const size_t len = chunk->len * code_weight(chunk);
    plan->rans.mantissa_most = rans_mantissa_most(len, plan);
    set_tokens(chunk, plan, each);
    uint64_t cost = choose_frequencies(plan, each);
    plan->least_width = least_width(rans_token_limit(plan));
    if (shared != UINT64_MAX && shared <= cost + (rans_tables_bits(chunk, plan) << 16)) {
        rans_use_shared(chunk->shared, plan);
        cost = shared;
    }
    plan->rans.lanes_log2 = choose_lanes(cost, len, rans_token_limit(plan));
    if (chunk->weight != 0) price_tables(chunk, all.counts, each, plan);
}

void rans_model_fit(const uint32_t counts[CODE_TOKENS], struct code_plan *plan) {
    token_counts own;
    struct tally tally = {.counts = memcpy(own, counts, sizeof own)};
    tally_finish(&tally);
    plan->rans.classes = 1;
    plan->rans.split = 0;
    plan->rans.mantissa_most = 12;
    set_mode(plan, 0, 0, &tally);
    choose_frequencies(plan, &tally);
}
