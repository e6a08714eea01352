#include "codes/signs.h"

#include <string.h>

#include "codes/huffman.h"
#include "codes/logarithms.h"
#include "codes/scratch.h"
#include "codes/tokens.h"
#include "kernels/kernels.h"

/* Runs of elements that are looked at; or all of them, if there are fewer. */
#define RUN ((size_t)NOISE_TILE)
#define RUNS 16
#define RUNS_MOST (2 * RUNS - 1)

/* The tokens of a sample, and the bins of its groups; how many large indices it has, and how many
 * of them are positive. */
struct sample {
    size_t len, large, positive;
    uint8_t tokens[RUNS_MOST * RUN], bins[RUNS_MOST * RUN / CODE_GROUP];
};

/* Turns elements [at, at + n) of the chunk, but those of rotated buckets where these are not. */
static void turn_run(const struct code_chunk *chunk, const struct payload_head *head,
                     const uint16_t *noise, size_t at, size_t n, int16_t *k) {
    const struct live *live = &head->live;
    if (head->turns_all || !head->rotated) {
        chunk->kernels->turn(noise, n, k);
        return;
    }
    for (uint64_t from = live->first + at, stop = from + n, end; from < stop; from = end) {
        const struct bucket_span span = layout_bucket_at(live->layout, from);
        end = min_u64(span.end, stop);
        const size_t i = (size_t)(from - live->first) - at;
        if (!scale_rotated(&live->scales, span.bucket)) {
            chunk->kernels->turn(noise + i, (size_t)(end - from), k + i);
        }
    }
}

/* Indices of elements [at, at + n) of the chunk as they are. What is not live counts as 0: idle
 * indices are turned by nobody. */
static void read_run(const struct code_chunk *chunk, const struct payload_head *head,
                     const struct coded_items *items, size_t at, size_t n, bool turns,
                     int16_t k[RUN]) {
    if (items->k != NULL) {
        memcpy(k, items->k + at, n * sizeof *k);
    } else {
        chunk->kernels->whole_tokens(items->tokens + at, n, k);
    }
    if (turns) {
        uint16_t memory[3 * RUN];
        const uint64_t number = chunk->first + at, tile = number - number % NOISE_TILE;
        kernels_noise(chunk->kernels, chunk->turned, tile, number + n, memory);
        turn_run(chunk, head, memory + (number - tile), at, n, k);
    }
    for (size_t from = 0, end; from < n && !chunk->levels->zero; from = end) {
        bool is_live;
        end = (size_t)min_u64(live_run(&head->live, at + from, &is_live) - at, n);
        if (!is_live) memset(k + from, 0, (end - from) * sizeof *k);
    }
}

static void count_large(struct sample *s, const int16_t *k, size_t n) {
    uint16_t above = 0, below = 0;
    for (size_t i = 0; i < n; i++) {
        above = (uint16_t)(above + (k[i] > 7));
        below = (uint16_t)(below + (k[i] < -7));
    }
    s->positive += above;
    s->large += (size_t)above + below;
}

/* More than five of eight large indices have one sign. */
static bool large_lean(const struct sample *s) {
    const size_t negative = s->large - s->positive;
    return 8 * (s->positive > negative ? s->positive : negative) > 5 * s->large;
}

/* No two runs at the same place of neighbouring strides, so that no row of a matrix is missed for
 * its length. */
static void sample_read(const struct code_chunk *chunk, const struct payload_head *head,
                        const struct coded_items *items, uint8_t signs, struct sample *s) {
    const bool direct = tokens_direct(chunk->levels), turns = (signs & SIGNS_PLAIN) != 0;
    const size_t runs = (chunk->len + RUN - 1) / RUN, stride = runs < RUNS ? 1 : runs / RUNS;
    s->len = s->large = s->positive = 0;
    for (size_t j = 0; (j + 1) * stride <= runs; j++) {
        const size_t at = (j * stride + 5 * j % stride) * RUN;
        const size_t n = chunk->len - at < RUN ? chunk->len - at : RUN;
        int16_t k[RUN];
        read_run(chunk, head, items, at, n, turns, k);
        chunk->kernels->group_bins(k, NULL, n, s->bins + s->len / CODE_GROUP);
        if (!direct) count_large(s, k, n);
        if ((signs & SIGNS_IN_TOKENS) != 0) chunk->kernels->swap_signs(k, n);
        chunk->kernels->tokens(k, n, direct, s->tokens + s->len);
        s->len += n;
    }
}

/* Entropy of the tokens of each bin, in units of 2^-16 bits. */
static uint64_t entropy_of(const struct code_chunk *chunk, struct sample *s) {
    uint32_t (*const counts)[CODE_TOKENS] = chunk->scratch->classify; /* nothing is there yet */
    uint8_t number[GROUP_BINS] = {0};
    const size_t groups = code_groups(s->len);
    unsigned bins = 0;
    for (size_t g = 0; g < groups; g++) number[chunk->classes ? s->bins[g] : 0] = 1;
    for (unsigned b = 0; b < GROUP_BINS; b++) {
        if (number[b] != 0) number[b] = (uint8_t)bins++;
    }
    for (size_t g = 0; g < groups; g++) s->bins[g] = number[chunk->classes ? s->bins[g] : 0];
    chunk->kernels->group_histograms(s->tokens, s->len, s->bins, bins, counts);
    uint64_t cost = 0;
    for (unsigned b = 0; b < bins; b++) {
        uint64_t sum = 0;
        for (unsigned t = 0; t < CODE_TOKENS; t++) {
            if (counts[b][t] == 0) continue;
            sum += counts[b][t];
            cost -= count_lg(counts[b][t]);
        }
        cost += count_lg(sum);
    }
    return cost;
}

static uint64_t huffman_of(const struct code_chunk *chunk, const struct sample *s) {
    uint32_t counts[CODE_TOKENS], weights[CODE_TOKENS];
    uint8_t lengths[CODE_TOKENS];
    uint64_t bits = 0;
    chunk->kernels->histogram(s->tokens, s->len, counts);
    memcpy(weights, counts, sizeof weights);
    huffman_lengths(weights, lengths);
    for (unsigned t = 0; t < CODE_TOKENS; t++) bits += (uint64_t)counts[t] * lengths[t];
    return bits;
}

/* What a sample costs, and whether its large indices lean to one side. */
static uint64_t cost_of(const struct code_chunk *chunk, const struct payload_head *head,
                        const struct coded_items *items, uint8_t signs, bool *lean) {
    struct sample s;
    sample_read(chunk, head, items, signs, &s);
    *lean = large_lean(&s);
    return chunk->code == QSGD_CODE_RANS ? entropy_of(chunk, &s) : huffman_of(chunk, &s);
}

/* The best way so far, and what it costs. */
struct choice {
    uint8_t best;
    uint64_t least;
};

/* Another takes its place if it saves enough to be no chance of the sample. */
static void consider(struct choice *c, uint8_t way, uint64_t cost) {
    if (cost < c->least - c->least / 256) *c = (struct choice){way, cost};
}

uint8_t signs_choose(const struct code_chunk *chunk, const struct payload_head *head,
                     const struct coded_items *items, bool *sure) {
    const bool turned = chunk->turned != NULL, direct = tokens_direct(chunk->levels);
    *sure = true;
    if (!code_find(chunk->code)->may_share || (direct && !turned)) return 0;
    const uint8_t plain = turned ? SIGNS_PLAIN : 0, in_tokens = plain | SIGNS_IN_TOKENS;
    bool lean;
    const uint64_t first = cost_of(chunk, head, items, 0, &lean);
    struct choice c = {0, first};
    if (turned) consider(&c, plain, cost_of(chunk, head, items, plain, &lean));
    if (lean) consider(&c, in_tokens, cost_of(chunk, head, items, in_tokens, &lean));
    /* turned tokens may have tables for halves, which save up to an eighth */
    *sure = !turned || c.best == 0 || first - c.least > first / 8;
    return c.best;
}
