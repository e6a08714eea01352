/* Where indices are turned, an element's noise says how much there is to tell: about R = 2^15 the
 * cell of index 0 is centred, and 0 is likely; at the ends its border is at 0, and the sign is to
 * be told. So a class may have two tables, one for each half of the range of R (FORMAT.md section
 * 8.5). */
#include "rans_halves.h"

#include "kernels.h"
#include "rans_classes.h"
#include "rans_model.h"

void rans_halves_of(const struct code_chunk *chunk, size_t from, size_t to, uint8_t *halves) {
    uint16_t noise[RANS_HALVES_BLOCK + NOISE_TILE];
    while (from < to) {
        const uint64_t element = chunk->first + from, block = element - element % NOISE_TILE;
        const size_t skip = (size_t)(element - block);
        const size_t n = to - from < RANS_HALVES_BLOCK ? to - from : RANS_HALVES_BLOCK;
        const size_t tiles = (skip + n + NOISE_TILE - 1) / NOISE_TILE;
        chunk->kernels->noise(chunk->turned, NOISE_ROUNDING, block, tiles * NOISE_TILE, noise);
        chunk->kernels->halves(noise + skip, n, halves);
        halves += n;
        from += n;
    }
}

/* Symbols as if all classes were split. */
static void mark_all(const struct code_chunk *chunk) {
    if (!chunk->has_halves) rans_halves_of(chunk, 0, chunk->len, chunk->scratch->symbols);
    chunk->kernels->add_tokens(chunk->scratch->tokens, chunk->len, chunk->scratch->symbols);
}

/* Tokens alone again for classes that are not split. */
static void unmark(const struct code_chunk *chunk, const struct code_plan *plan) {
    if (plan->classes == 1) return;
    for (size_t i = 0; i < chunk->len; i += CODE_GROUP) {
        const size_t n = chunk->len - i < CODE_GROUP ? chunk->len - i : CODE_GROUP;
        if (rans_halves(plan, chunk->scratch->classes[i / CODE_GROUP]) == 2) continue;
        memcpy(chunk->scratch->symbols + i, chunk->scratch->tokens + i, n);
    }
}

void rans_halves_symbols(const struct code_chunk *chunk, const struct code_plan *plan) {
    mark_all(chunk);
    unmark(chunk, plan);
}

static void tally_half(const uint32_t *counts, struct tally *tally) {
    memset(tally, 0, sizeof *tally);
    memcpy(tally->counts, counts, RANS_HALF * sizeof *counts);
    tally_finish(tally);
}

/* A class that two tables may suit: one token is so frequent that others stand out. */
static bool may_split(const struct tally *tally) {
    uint32_t most = 0;
    for (unsigned t = 0; t < tally->tokens; t++) {
        if (tally->counts[t] > most) most = tally->counts[t];
    }
    return tally->tokens <= RANS_HALF && 4 * (uint64_t)most >= tally->sum;
}

bool rans_halves_choose(const struct code_chunk *chunk, struct code_plan *plan,
                        const struct tally *each, struct tally two[2 * CODE_CLASSES]) {
    unsigned candidates = 0;
    plan->split = 0;
    if (chunk->turned == NULL) return false;
    for (unsigned c = 0; c < plan->classes; c++) candidates |= (unsigned)may_split(&each[c]) << c;
    if (candidates == 0) return false;
    mark_all(chunk);
    const uint32_t (*counts)[CODE_TOKENS] =
        (const uint32_t (*)[CODE_TOKENS])rans_classes_histograms(chunk, chunk->scratch->symbols,
                                                                 plan->classes);
    for (unsigned c = 0; c < plan->classes; c++, two++) {
        tally_half(counts[c], &two[0]);
        tally_half(counts[c] + RANS_HALF, &two[1]);
        if ((candidates >> c & 1) != 0 && two[0].sum > 0 && two[1].sum > 0 &&
            two[0].cost + two[1].cost < each[c].cost) {
            plan->split |= 1U << c;
            two++;
        } else {
            two[0] = each[c];
        }
    }
    if (plan->split != 0) unmark(chunk, plan);
    return plan->split != 0;
}
