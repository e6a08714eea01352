/* Chooses what the symbols of a lossless chunk are, by a sample. */
#include "codes/lossless/choose.h"

#include <string.h>

#include "codes/logarithms.h"

#if QSGD_ENCODER

#define SYMBOL_BITS 11 /* of the longest symbols */
#define LEAD_MOST 3
#define SAMPLE_RUNS 32
#define SAMPLE_RUN 64

/* Histogram of a sample's symbols; returns how many there are. */
static size_t count_symbols(const uint16_t *halves, size_t n, int shift, uint32_t *counts) {
    const bool all = n <= (size_t)SAMPLE_RUNS * SAMPLE_RUN;
    const size_t runs = all ? 1 : SAMPLE_RUNS, run = all ? n : SAMPLE_RUN, apart = n / SAMPLE_RUNS;
    for (size_t r = 0; r < runs; r++) {
        const uint16_t *const p = halves + r * apart;
        for (size_t i = 0; i < run; i++) counts[(p[i] & 0x7FFF) >> shift]++;
    }
    return runs * run;
}

/* The window that holds most elements: its top, and how many. */
static unsigned window_of(const uint32_t *counts, unsigned symbols, uint32_t *held) {
    unsigned top = 0, slack = 0;
    uint32_t sum = 0;
    for (unsigned s = 1; s < symbols; s++) {
        sum += counts[s];
        if (s > LOSSLESS_WINDOW) sum -= counts[s - LOSSLESS_WINDOW];
        if (top == 0 || sum > *held) {
            top = s;
            *held = sum;
            slack = 0;
        } else if (sum == *held && s == top + 1 && slack < 2) { /* for what no sample has */
            top = s;
            slack++;
        }
    }
    return top;
}

/* Bits of the upper halves, in units of 2^-16: what tokens, escapes and fields would take. */
static uint64_t cost_of(const uint32_t *counts, unsigned symbol_bits, size_t sampled,
                        unsigned *top) {
    uint32_t held = 0;
    *top = window_of(counts, 1U << symbol_bits, &held);
    const uint64_t far = sampled - counts[0] - held;
    uint64_t cost = count_lg(sampled) - count_lg(counts[0]) - count_lg(far);
    for (unsigned s = *top; s > 0 && *top - s < LOSSLESS_WINDOW; s--) cost -= count_lg(counts[s]);
    return cost + ((far * symbol_bits + sampled * (16 - symbol_bits)) << 16);
}

void lossless_choose(const struct lossless_type *type, const uint16_t *halves, size_t n,
                     struct lossless_plan *plan) {
    uint32_t counts[1 << SYMBOL_BITS];
    const unsigned room = SYMBOL_BITS - type->exponent_bits;
    const unsigned most = room < LEAD_MOST ? room : LEAD_MOST;
    unsigned tops[LEAD_MOST + 1];
    uint64_t costs[LEAD_MOST + 1];
    unsigned bits = type->exponent_bits + most;
    memset(counts, 0, sizeof(uint32_t) << bits);
    const size_t sampled = count_symbols(halves, n, 15 - (int)bits, counts);
    for (unsigned lead = most;; lead--, bits--) {
        costs[lead] = cost_of(counts, bits, sampled, &tops[lead]);
        if (lead == 0) break;
        for (size_t s = 0; s < (size_t)1 << (bits - 1); s++) {
            counts[s] = counts[2 * s] + counts[2 * s + 1];
        }
    }
    unsigned best = 0;
    for (unsigned lead = 1; lead <= most; lead++) { /* other widths than bytes are slower */
        if (costs[lead] + (costs[best] >> 6) < costs[best]) best = lead;
    }
    plan->lead = best;
    plan->split.shift = 15 - (int)(type->exponent_bits + best);
    plan->split.top = tops[best];
}

#endif
