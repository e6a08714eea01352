#include "codes/signs.h"

#include <string.h>

#include "codes/huffman.h"
#include "codes/logarithms.h"
#include "codes/scratch.h"
#include "codes/tokens.h"
#include "kernels/kernels.h"

#define TILE ((size_t)NOISE_TILE)

/* Which elements are looked at: of so many tiles, or of all if there are fewer, so many each. A few
 * places that lean to one side by chance seem to gain by plain signs: where it is close, more are
 * asked. */
struct places {
    size_t runs, elements;
};
static const struct places few_long = {16, TILE}, many_short = {64, TILE / 4};

/* Strides are whole tiles: nearly twice as many runs may be looked at. */
#define ALL ((2 * 16 - 1) * TILE)        /* few long ones, which are then all of a chunk */
#define MOST ((2 * 64 - 1) * (TILE / 4)) /* many short ones: elements of a sample, at most */

/* Tokens of a sample, and which of so many histograms those of a group count for. */
struct sample {
    struct places places;
    size_t len;
    unsigned histograms;
    bool lean; /* more than five of eight large indices have one sign, where that is known */
    uint8_t tokens[MOST], group[MOST / CODE_GROUP + 1];
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

/* Indices of elements [at, at + n) of the chunk, turned or plain. What is not live counts as 0:
 * idle indices are turned by nobody. */
static void read_run(const struct code_chunk *chunk, const struct payload_head *head,
                     const struct coded_items *items, size_t at, size_t n, bool plain, int16_t *k) {
    if (items->k != NULL) {
        memcpy(k, items->k + at, n * sizeof *k);
    } else {
        chunk->kernels->whole_tokens(items->tokens + at, n, k);
    }
    if (plain && chunk->turned != NULL) {
        uint16_t memory[2 * TILE];
        turn_run(chunk, head, tokens_noise(chunk, at, n, memory), at, n, k);
    }
    for (size_t from = 0, end; from < n && !chunk->levels->zero; from = end) {
        bool is_live;
        end = (size_t)min_u64(live_run(&head->live, at + from, &is_live) - at, n);
        if (!is_live) memset(k + from, 0, (end - from) * sizeof *k);
    }
}

/* Elements of the sample's j-th run, from *at on, or 0: there are no more. No two runs lie at the
 * same place of neighbouring strides, so that no row of a matrix is missed for its length. */
static size_t run_of_sample(const struct code_chunk *chunk, const struct sample *s, size_t j,
                            size_t *at) {
    const size_t tiles = (chunk->len + TILE - 1) / TILE, runs = s->places.runs;
    const size_t stride = tiles < runs ? 1 : tiles / runs;
    if ((j + 1) * stride > tiles) return 0;
    *at = (j * stride + 5 * j % stride) * TILE;
    return chunk->len - *at < s->places.elements ? chunk->len - *at : s->places.elements;
}

/* The sample's next indices, of so many runs that they fill a tile: from run *j on, which moves on.
 * Returns how many there are. */
static size_t next_tile(const struct code_chunk *chunk, const struct payload_head *head,
                        const struct coded_items *items, const struct sample *s, bool plain,
                        size_t *j, int16_t k[TILE]) {
    size_t held = 0, at, n;
    while (held < TILE && (n = run_of_sample(chunk, s, *j, &at)) > 0) {
        read_run(chunk, head, items, at, n, plain, k + held);
        held += n;
        ++*j;
    }
    return held;
}

/* Indices from 8 on, and those of them that are positive. */
struct large {
    size_t all, positive;
};

static void count_large(struct large *l, const int16_t *k, size_t n) {
    uint16_t above = 0, below = 0; /* narrow sums, of which vectors hold more */
    for (size_t i = 0; i < n; i++) {
        above = (uint16_t)(above + (k[i] > 7));
        below = (uint16_t)(below + (k[i] < -7));
    }
    l->positive += above;
    l->all += (size_t)above + below;
}

static bool large_lean(const struct large *l) {
    const size_t negative = l->all - l->positive;
    return 8 * (l->positive > negative ? l->positive : negative) > 5 * l->all;
}

/* s->lean of plain indices alone. */
static void sample_lean(const struct code_chunk *chunk, const struct payload_head *head,
                        const struct coded_items *items, struct sample *s) {
    struct large large = {0, 0};
    int16_t k[TILE];
    for (size_t j = 0, n; (n = next_tile(chunk, head, items, s, true, &j, k)) > 0;) {
        count_large(&large, k, n);
    }
    s->lean = large_lean(&large);
}

/* Groups of about the same energy share a histogram, if tables may differ: neither turning nor
 * swapping changes which. */
static void name_histograms(const struct code_chunk *chunk, struct sample *s) {
    uint8_t number[GROUP_BINS] = {0};
    const size_t groups = code_groups(s->len);
    s->histograms = 0;
    if (!chunk->classes) memset(s->group, 0, groups);
    for (size_t g = 0; g < groups; g++) number[s->group[g]] = 1;
    for (unsigned b = 0; b < GROUP_BINS; b++) {
        if (number[b] != 0) number[b] = (uint8_t)s->histograms++;
    }
    for (size_t g = 0; g < groups; g++) s->group[g] = number[s->group[g]];
}

/* The sample of indices written in that way; whether plain ones lean. */
static void sample_read(const struct code_chunk *chunk, const struct payload_head *head,
                        const struct coded_items *items, uint8_t signs, struct sample *s) {
    const bool direct = tokens_direct(chunk->levels), plain = signs != 0;
    struct large large = {0, 0};
    int16_t k[TILE];
    s->len = 0;
    for (size_t j = 0, n; (n = next_tile(chunk, head, items, s, plain, &j, k)) > 0; s->len += n) {
        chunk->kernels->group_bins(k, NULL, n, s->group + s->len / CODE_GROUP);
        if (!direct && signs == SIGNS_PLAIN) count_large(&large, k, n);
        if ((signs & SIGNS_IN_TOKENS) != 0) chunk->kernels->swap_signs(k, n);
        chunk->kernels->tokens(k, n, direct, s->tokens + s->len);
    }
    if (signs == SIGNS_PLAIN) s->lean = large_lean(&large);
    name_histograms(chunk, s);
}

/* Of a histogram: its tokens' entropy, in units of 2^-16 bits; how many there are, of the most
 * frequent one, and how many differ, below which number. */
struct cost {
    uint64_t bits, sum, most;
    unsigned differ, limit;
};

static struct cost cost_of_counts(const uint32_t counts[CODE_TOKENS]) {
    struct cost c = {0, 0, 0, 0, 0};
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (counts[t] == 0) continue;
        c.sum += counts[t];
        c.most = counts[t] > c.most ? counts[t] : c.most;
        c.bits -= count_lg(counts[t]);
        c.differ++;
        c.limit = t + 1;
    }
    c.bits += count_lg(c.sum);
    return c;
}

/* Of each histogram. */
static void costs_of(const struct code_chunk *chunk, const struct sample *s,
                     struct cost costs[GROUP_BINS]) {
    uint32_t (*const counts)[CODE_TOKENS] = chunk->scratch->classify; /* nothing is there yet */
    chunk->kernels->group_histograms(s->tokens, s->len, s->group, s->histograms, counts);
    for (unsigned b = 0; b < s->histograms; b++) costs[b] = cost_of_counts(counts[b]);
}

static uint64_t entropy_of(const struct code_chunk *chunk, const struct sample *s) {
    struct cost costs[GROUP_BINS];
    uint64_t cost = 0;
    costs_of(chunk, s, costs);
    for (unsigned b = 0; b < s->histograms; b++) cost += costs[b].bits;
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

/* What a sample costs that is written in that way. */
static uint64_t cost_of(const struct code_chunk *chunk, const struct payload_head *head,
                        const struct coded_items *items, uint8_t signs, struct sample *s) {
    sample_read(chunk, head, items, signs, s);
    return chunk->code == QSGD_CODE_RANS ? entropy_of(chunk, s) : huffman_of(chunk, s);
}

/* The tokens of a sample, those of half 0 with a mark. */
static void sample_mark(const struct code_chunk *chunk, struct sample *s) {
    size_t to = 0;
    for (size_t j = 0, at, n; (n = run_of_sample(chunk, s, j, &at)) > 0; j++, to += n) {
        uint16_t memory[2 * TILE];
        uint8_t *const tokens = s->tokens + to;
        chunk->kernels->mark(tokens_noise(chunk, at, n, memory), tokens, n, tokens);
    }
}

#define TOKEN_BITS ((uint64_t)3 << 16) /* of a sample: what another table takes for each token */

/* What turned indices cost if halves have tables of their own where that is less. */
static uint64_t halves_of(const struct code_chunk *chunk, const struct payload_head *head,
                          const struct coded_items *items, struct sample *s) {
    struct cost both[GROUP_BINS], one[GROUP_BINS], other[GROUP_BINS];
    uint64_t cost = 0;
    sample_read(chunk, head, items, 0, s);
    costs_of(chunk, s, both);
    sample_mark(chunk, s);
    costs_of(chunk, s, one);
    for (size_t i = 0; i < s->len; i++) s->tokens[i] = (uint8_t)(s->tokens[i] ^ RANS_MARK);
    costs_of(chunk, s, other);
    for (unsigned b = 0; b < s->histograms; b++) {
        const uint64_t split = one[b].bits + other[b].bits + both[b].differ * TOKEN_BITS;
        const bool may = tokens_may_split(both[b].limit, both[b].most, both[b].sum);
        cost += may && split < both[b].bits ? split : both[b].bits;
    }
    return cost;
}

/* What indices cost turned, plain, and with signs in tokens, where that is considered. */
struct costs {
    uint64_t turned, plain, in_tokens;
    bool lean;
};

static uint64_t turned_of(const struct code_chunk *chunk, const struct payload_head *head,
                          const struct coded_items *items, struct places places, bool halves) {
    struct sample s;
    s.places = places;
    return halves ? halves_of(chunk, head, items, &s) : cost_of(chunk, head, items, 0, &s);
}

/* Adds what the other ways cost in a sample. Returns whether its large indices lean. */
static bool add_plain(const struct code_chunk *chunk, const struct payload_head *head,
                      const struct coded_items *items, struct places places, struct costs *c) {
    struct sample s;
    s.places = places;
    c->plain += cost_of(chunk, head, items, SIGNS_PLAIN, &s);
    return s.lean && !tokens_direct(chunk->levels);
}

static void add_in_tokens(const struct code_chunk *chunk, const struct payload_head *head,
                          const struct coded_items *items, struct places places, struct costs *c) {
    struct sample s;
    s.places = places;
    if (!c->lean) return;
    c->in_tokens += cost_of(chunk, head, items, SIGNS_PLAIN | SIGNS_IN_TOKENS, &s);
}

/* True if one way saves enough beside another to be no chance of the sample. */
static bool saves(uint64_t cost, uint64_t other) { return cost < other - other / 256; }

/* The best way, and what it costs. */
static uint8_t best_of(const struct costs *c, uint64_t *least) {
    uint8_t best = 0;
    *least = c->turned;
    if (saves(c->plain, *least)) {
        best = SIGNS_PLAIN;
        *least = c->plain;
    }
    if (c->lean && saves(c->in_tokens, *least)) {
        best = SIGNS_PLAIN | SIGNS_IN_TOKENS;
        *least = c->in_tokens;
    }
    return best;
}

/* Where indices are plain. */
static uint8_t choose_plain(const struct code_chunk *chunk, const struct payload_head *head,
                            const struct coded_items *items) {
    struct sample s;
    s.places = few_long;
    sample_lean(chunk, head, items, &s);
    if (!s.lean) return 0;
    const uint64_t first = cost_of(chunk, head, items, 0, &s);
    return saves(cost_of(chunk, head, items, SIGNS_IN_TOKENS, &s), first) ? SIGNS_IN_TOKENS : 0;
}

/* Asks another sample, too, and minds halves. */
static void ask_again(const struct code_chunk *chunk, const struct payload_head *head,
                      const struct coded_items *items, struct costs *c) {
    const struct places others = chunk->len > ALL ? many_short : few_long;
    const bool halves = chunk->code == QSGD_CODE_RANS && live_count(&head->live) == chunk->len;
    if (halves) c->turned = turned_of(chunk, head, items, few_long, true);
    c->turned += turned_of(chunk, head, items, others, halves);
    add_plain(chunk, head, items, others, c);
    add_in_tokens(chunk, head, items, others, c);
}

uint8_t signs_choose(const struct code_chunk *chunk, const struct payload_head *head,
                     const struct coded_items *items) {
    const bool direct = tokens_direct(chunk->levels), turned = chunk->turned != NULL;
    uint64_t least;
    if (!code_find(chunk->code)->may_share || (direct && !turned)) return 0;
    if (!turned) return choose_plain(chunk, head, items);
    struct costs c = {turned_of(chunk, head, items, few_long, false), 0, 0, false};
    c.lean = add_plain(chunk, head, items, few_long, &c);
    add_in_tokens(chunk, head, items, few_long, &c);
    const uint8_t best = best_of(&c, &least);
    if (best == 0 || c.turned - least > c.turned / 8) return best;
    ask_again(chunk, head, items, &c);
    return best_of(&c, &least);
}
