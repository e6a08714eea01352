/* Where indices are turned, an element's noise says how much there is to tell: about R = 2^15 the
 * cell of index 0 is centred, and 0 is likely; at the ends its border is at 0, and the sign is to
 * be told. So a class may have two tables, one for each half of the range of R (FORMAT.md section
 * 7.6). */
#include "codes/rans/split.h"

#include "codes/rans/classes.h"
#include "codes/rans/plan.h"
#include "codes/tokens.h"
#include "kernels/kernels.h"

static size_t block_of(size_t left) { return left < RANS_SPLIT_BLOCK ? left : RANS_SPLIT_BLOCK; }

void rans_split_halves(const struct code_chunk *chunk, size_t from, size_t to, uint8_t *halves) {
    uint16_t memory[RANS_SPLIT_BLOCK + NOISE_TILE];
    for (size_t i = from, n; i < to; i += n, halves += n) {
        n = block_of(to - i);
        chunk->kernels->halves(tokens_noise(chunk, i, n, memory), n, halves);
    }
}

/* Tokens into scratch->symbols, those of half 0 with a mark. */
static void mark_all(const struct code_chunk *chunk) {
    uint16_t memory[RANS_SPLIT_BLOCK + NOISE_TILE];
    for (size_t i = 0, n; i < chunk->len; i += n) {
        n = block_of(chunk->len - i);
        chunk->kernels->mark(tokens_noise(chunk, i, n, memory), chunk->scratch->tokens + i, n,
                             chunk->scratch->symbols + i);
    }
}

/* Marked tokens to symbols. */
static void name_all(const struct code_chunk *chunk, const struct code_plan *plan) {
    const size_t run = plan->rans.classes == 1 ? chunk->len : CODE_GROUP;
    for (size_t i = 0; i < chunk->len; i += run) {
        const unsigned class =
            plan->rans.classes == 1 ? 0 : chunk->scratch->classes[i / CODE_GROUP];
        const size_t n = chunk->len - i < run ? chunk->len - i : run;
        chunk->kernels->symbols(rans_is_split(plan, class), n, chunk->scratch->symbols + i);
    }
}

void rans_split_symbols(const struct code_chunk *chunk, const struct code_plan *plan) {
    mark_all(chunk);
    name_all(chunk, plan);
}

/* A class that two tables may suit. */
static bool may_split(const struct tally *tally) {
    uint32_t most = 0;
    for (unsigned t = 0; t < tally->tokens; t++) {
        if (tally->counts[t] > most) most = tally->counts[t];
    }
    return tokens_may_split(tally->tokens, most, tally->sum);
}

/* Tallies of both halves: of half 1 from its counts, of half 0 from the rest. */
static void tally_halves(const struct tally *both, const uint32_t *counts, struct tally two[2]) {
    for (int half = 0; half < 2; half++) memset(two[half].counts, 0, sizeof(token_counts));
    for (unsigned t = 0; t < both->tokens; t++) {
        two[1].counts[t] = counts[t];
        two[0].counts[t] = both->counts[t] - counts[t];
    }
    tally_finish(&two[0]);
    tally_finish(&two[1]);
}

/* With counts of its own, which may change. */
static void tally_copy(struct tally *to, const struct tally *from) {
    uint32_t *const counts = memcpy(to->counts, from->counts, sizeof(token_counts));
    *to = *from;
    to->counts = counts;
}

/* Splits the candidates that gain, and returns by how much. Their tables' tallies go to `two`. */
static int64_t split_all(const struct code_chunk *chunk, struct code_plan *plan,
                         unsigned candidates, const struct tally *each, struct tally *two) {
    token_counts *const counts =
        rans_classes_histograms(chunk, chunk->scratch->symbols, plan->rans.classes);
    int64_t saved = 0;
    for (unsigned c = 0; c < plan->rans.classes; c++, two++) {
        tally_halves(&each[c], counts[c], two);
        const int64_t gain = each[c].cost - two[0].cost - two[1].cost;
        if ((candidates >> c & 1) != 0 && two[0].sum > 0 && two[1].sum > 0 && gain > 0) {
            plan->rans.split |= 1U << c;
            saved += gain;
            two++;
        } else {
            tally_copy(&two[0], &each[c]);
        }
    }
    return saved;
}

/* False if so many tables have but 9 bits, and a class that is not split may need more. */
static bool tables_fit(const struct code_plan *plan, const struct tally *each) {
    bool small = true;
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        small &= rans_is_split(plan, c) || each[c].tokens <= RANS_NINE_BITS;
    }
    return small || rans_prob_most(rans_tables_count(plan)) > 9;
}

/* Decoding split classes takes up to a third longer: they must save a 256th of the bits. Where
 * candidates hold less than an eighth of them they hardly do, and nothing is counted. */
bool rans_split_choose(const struct code_chunk *chunk, struct code_plan *plan,
                       const struct tally *each, struct tally two[2 * CODE_CLASSES]) {
    unsigned candidates = 0;
    int64_t total = 0, theirs = 0;
    plan->rans.split = 0;
    if (chunk->turned == NULL) return false;
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        total += each[c].cost;
        if (!may_split(&each[c])) continue;
        candidates |= 1U << c;
        theirs += each[c].cost;
    }
    if (candidates == 0 || 8 * theirs < total) return false;
    mark_all(chunk);
    const int64_t saved = split_all(chunk, plan, candidates, each, two);
    if (256 * saved < total || !tables_fit(plan, each)) plan->rans.split = 0;
    if (plan->rans.split != 0) name_all(chunk, plan);
    return plan->rans.split != 0;
}
