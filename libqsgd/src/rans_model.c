/* Chooses, writes and reads the tables of a rANS chunk. Classes follow local energy: groups of 128
 * elements fall into half-octave bins of their sum of |k|, and neighbouring bins are merged while
 * that makes the chunk shorter. Integers only, so that every machine chooses alike. */
#include "rans_model.h"

#include <string.h>

#include "kernels.h"

#define BINS GROUP_BINS

/* log2(v) in units of 2^-16, within 0.5 % of a bit: a parabola between powers of two. */
static uint64_t lg(uint64_t v) {
    unsigned e = floor_log2(v);
    uint64_t m = ((v << 16) >> e) - 65536;
    return ((uint64_t)e << 16) + m + ((22570 * ((m * (65536 - m)) >> 16)) >> 16);
}

/* Bits of a histogram's elements and of its table, in units of 2^-16. */
static int64_t histogram_cost(const uint32_t *h) {
    uint64_t sum = 0, cost = 0, tokens = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        sum += h[t];
        if (h[t] != 0) tokens = t + 1;
    }
    uint64_t lg_sum = lg(sum);
    for (unsigned t = 0; t < tokens; t++) {
        if (h[t] != 0) cost += h[t] * (lg_sum - lg(h[t]));
    }
    return (int64_t)(cost + ((12 + 7 * tokens) << 16));
}

/* ---- classes -------------------------------------------------------------------------------- */

struct cluster {
    uint32_t counts[BINS][CODE_TOKENS]; /* per class, at first per bin */
    int64_t cost[BINS];
    uint8_t of_bin[BINS]; /* class of a bin */
    _Alignas(64) uint8_t counters[GROUP_MEMORY];
};

_Static_assert(sizeof(struct cluster) <= CODE_CLASSIFY_BYTES, "scratch of the classes");

/* Histograms by bin, and of all together in counts. */
static void count_bins(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct cluster *c, uint8_t *bins, uint32_t counts[CODE_TOKENS]) {
    chunk->kernels->group_bins(k, tokens, chunk->len, bins);
    chunk->kernels->group_histograms(tokens, chunk->len, bins, c->counts, c->counters);
    memset(counts, 0, CODE_TOKENS * sizeof *counts);
    for (unsigned b = 0; b < BINS; b++) {
        for (unsigned t = 0; t < CODE_TOKENS; t++) counts[t] += c->counts[b][t];
    }
}

/* Moves the bins that occur to the front; returns how many. */
static unsigned compact_bins(const uint8_t *bins, size_t groups, struct cluster *c) {
    bool used[BINS] = {false};
    unsigned classes = 0;
    memset(c->of_bin, 0, sizeof c->of_bin); /* merge moves those of bins that do not occur, too */
    for (size_t g = 0; g < groups; g++) used[bins[g]] = true;
    for (unsigned b = 0; b < BINS; b++) {
        if (!used[b]) continue;
        if (classes != b) memcpy(c->counts[classes], c->counts[b], sizeof c->counts[b]);
        c->cost[classes] = histogram_cost(c->counts[classes]);
        c->of_bin[b] = (uint8_t)classes++;
    }
    return classes;
}

static int64_t merge_delta(const struct cluster *c, unsigned a) {
    uint32_t both[CODE_TOKENS];
    for (unsigned t = 0; t < CODE_TOKENS; t++) both[t] = c->counts[a][t] + c->counts[a + 1][t];
    return histogram_cost(both) - c->cost[a] - c->cost[a + 1];
}

static void merge(struct cluster *c, unsigned a, unsigned classes) {
    for (unsigned t = 0; t < CODE_TOKENS; t++) c->counts[a][t] += c->counts[a + 1][t];
    c->cost[a] = histogram_cost(c->counts[a]);
    for (unsigned i = a + 1; i + 1 < classes; i++) {
        memcpy(c->counts[i], c->counts[i + 1], sizeof c->counts[i]);
        c->cost[i] = c->cost[i + 1];
    }
    for (unsigned b = 0; b < BINS; b++) {
        if (c->of_bin[b] > a) c->of_bin[b]--;
    }
}

/* Greedy merging of neighbours; delta[a] is what merging a and a + 1 would cost. */
static unsigned merge_all(struct cluster *c, unsigned classes) {
    int64_t delta[BINS];
    for (unsigned a = 0; a + 1 < classes; a++) delta[a] = merge_delta(c, a);
    while (classes > 1) {
        unsigned best = 0;
        for (unsigned a = 1; a + 1 < classes; a++) {
            if (delta[a] < delta[best]) best = a;
        }
        if (classes <= CODE_CLASSES && delta[best] > 0) break;
        merge(c, best, classes--);
        for (unsigned a = best; a + 1 < classes; a++) delta[a] = delta[a + 1];
        if (best > 0) delta[best - 1] = merge_delta(c, best - 1);
        if (best + 1 < classes) delta[best] = merge_delta(c, best);
    }
    return classes;
}

static uint64_t class_step(uint8_t from, uint8_t to) {
    return (uint64_t)levels_zigzag((int32_t)to - (int32_t)from) + 1;
}

static uint64_t class_bits(const uint8_t *classes, size_t groups) {
    uint8_t of_step[2 * CODE_CLASSES];
    uint64_t bits = 0;
    uint8_t before = 0;
    for (unsigned d = 0; d < 2 * CODE_CLASSES; d++) {
        of_step[d] = (uint8_t)(2 * floor_log2(class_step(CODE_CLASSES, (uint8_t)d)) + 1);
    }
    for (size_t g = 0; g < groups; g++) {
        bits += of_step[CODE_CLASSES + classes[g] - before];
        before = classes[g];
    }
    return bits;
}

/* Several classes, if they make the chunk shorter. Returns their number; counts of each in c, of
 * all in counts. */
static unsigned choose_classes(const struct code_chunk *chunk, const int16_t *k,
                               const uint8_t *tokens, uint32_t counts[CODE_TOKENS],
                               struct cluster *c) {
    uint8_t *bins = chunk->scratch->classes;
    const size_t groups = rans_groups(chunk->len);
    count_bins(chunk, k, tokens, c, bins, counts);
    unsigned classes = merge_all(c, compact_bins(bins, groups, c));
    if (classes == 1) return 1;
    for (size_t g = 0; g < groups; g++) bins[g] = c->of_bin[bins[g]];
    int64_t cost = (int64_t)(class_bits(bins, groups) << 16);
    for (unsigned i = 0; i < classes; i++) cost += c->cost[i];
    return cost < histogram_cost(counts) ? classes : 1;
}

/* ---- frequencies ---------------------------------------------------------------------------- */

/* f cut to its highest five bits. */
static uint32_t cut_frequency(uint32_t f) {
    unsigned e = floor_log2(f);
    return e > 4 ? f >> (e - 4) << (e - 4) : f;
}

/* False if nothing is left for the mode token: many rare tokens, few bits. */
static bool set_frequencies(struct code_plan *plan, unsigned class, const uint32_t *counts) {
    uint64_t sum = 0;
    int32_t rest = 1 << plan->prob_bits;
    unsigned mode = 0, tokens = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        sum += counts[t];
        if (counts[t] > counts[mode]) mode = t;
        if (counts[t] != 0) tokens = t + 1;
    }
    uint16_t *freq = plan->freq[class];
    memset(freq, 0, sizeof plan->freq[class]);
    for (unsigned t = 0; t < tokens; t++) {
        if (counts[t] == 0 || t == mode) continue;
        uint32_t f = (uint32_t)(((uint64_t)counts[t] << plan->prob_bits) / sum);
        f = f == 0 ? 1 : cut_frequency(f);
        freq[t] = (uint16_t)f;
        rest -= (int32_t)f;
    }
    if (rest < 1) return false;
    freq[mode] = (uint16_t)rest;
    plan->table_mode[class] = (uint8_t)mode;
    plan->table_tokens[class] = (uint8_t)tokens;
    return true;
}

/* Bits of a class's elements under its frequencies, in units of 2^-16. */
static uint64_t coded_cost(const struct code_plan *plan, unsigned class, const uint32_t *counts) {
    uint64_t cost = 0;
    for (unsigned t = 0; t < plan->table_tokens[class]; t++) {
        if (counts[t] == 0) continue;
        cost += counts[t] * (((uint64_t)plan->prob_bits << 16) - lg(plan->freq[class][t]));
    }
    return cost;
}

/* All classes' frequencies at P bits and what they cost; UINT64_MAX if they do not fit. */
static uint64_t set_all(struct code_plan *plan, unsigned prob_bits,
                        const uint32_t (*counts)[CODE_TOKENS]) {
    uint64_t cost = 0;
    plan->prob_bits = prob_bits;
    for (unsigned c = 0; c < plan->classes; c++) {
        if (!set_frequencies(plan, c, counts[c])) return UINT64_MAX;
        cost += coded_cost(plan, c, counts[c]);
    }
    return cost;
}

/* The coarsest of 9, 10 and 12 bits that costs at most 1/512 more than 12 do: decoders look fewer
 * slots up faster. 12 always fit: a mode token has 4096 / 63 slots at least, and at most 62 others
 * are raised to one slot. */
static uint64_t choose_frequencies(struct code_plan *plan, const uint32_t (*counts)[CODE_TOKENS]) {
    const uint64_t finest = set_all(plan, 12, counts), most = finest + (finest >> 9);
    uint64_t cost = set_all(plan, 9, counts);
    if (cost > most) cost = set_all(plan, 10, counts);
    return cost <= most ? cost : set_all(plan, 12, counts);
}

/* Lanes make coding fast; a 56th of a short chunk is theirs, a 36th of a long one, which 64 serve.
 * One costs 24 bits, less what tokens in its rest state save: `each` of them. */
static unsigned choose_lanes(uint64_t cost, uint64_t len, unsigned token_limit) {
    const uint64_t bits = cost >> 16, each = rans_rest_of(token_limit).each;
    const uint64_t share = len < 32768 ? 56 : 36;
    const uint64_t v = bits * len / (share * (24 * len - each * bits));
    const unsigned log2 = v == 0 ? 0 : floor_log2(v);
    return log2 > 6 ? 6 : log2;
}

unsigned rans_token_limit(const struct code_plan *plan) {
    unsigned limit = 0;
    for (unsigned i = 0; i < plan->classes; i++) {
        if (plan->table_tokens[i] > limit) limit = plan->table_tokens[i];
    }
    return limit;
}

void rans_model_choose(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct code_plan *plan) {
    struct cluster *c = chunk->scratch->classify;
    uint32_t counts[1][CODE_TOKENS];
    plan->classes = 1;
    if (chunk->classes) {
        plan->classes = choose_classes(chunk, k, tokens, counts[0], c);
    } else {
        chunk->kernels->histogram(tokens, chunk->len, counts[0]);
    }
    const uint64_t cost = choose_frequencies(plan, plan->classes == 1 ? counts : c->counts);
    plan->lanes_log2 = choose_lanes(cost, chunk->len, rans_token_limit(plan));
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* Bits of m_t that follow e_t. */
static unsigned mantissa_bits(unsigned e) { return e > 5 ? 4 : (e > 1 ? e - 1 : 0); }

/* A token takes 8 bits at most, so that one write serves seven. */
static void write_table(struct lsb_writer *w, const struct code_plan *plan, unsigned class) {
    const unsigned tokens = plan->table_tokens[class], mode = plan->table_mode[class];
    lsb_write(w, tokens - 1, 6);
    lsb_write(w, mode, 6);
    for (unsigned t = 0; t < tokens;) {
        const unsigned stop = tokens - t < 7 ? tokens : t + 7;
        uint64_t bits = 0;
        unsigned held = 0;
        for (; t < stop; t++) {
            const uint32_t f = plan->freq[class][t];
            if (t == mode) continue;
            const unsigned e = f == 0 ? 0 : floor_log2(f) + 1, d = mantissa_bits(e);
            const uint32_t m = d == 0 ? 0 : (f - (1U << (e - 1))) >> (e - 1 - d);
            bits |= (uint64_t)(e | m << 4) << held;
            held += 4 + d;
        }
        lsb_write(w, bits, held);
    }
}

/* A class takes 7 bits at most (a step is 15 at most), so that one write serves eight. */
static void write_classes(struct lsb_writer *w, const uint8_t *classes, size_t groups) {
    uint8_t before = 0;
    for (size_t g = 0; g < groups;) {
        const size_t stop = groups - g < 8 ? groups : g + 8;
        uint64_t bits = 0;
        unsigned held = 0;
        for (; g < stop; g++) {
            const uint64_t step = class_step(before, classes[g]);
            const unsigned n = floor_log2(step);
            const uint64_t low = step - ((uint64_t)1 << n);
            bits |= ((uint64_t)1 << n | low << (n + 1)) << held;
            held += 2 * n + 1;
            before = classes[g];
        }
        lsb_write(w, bits, held);
    }
}

uint8_t *rans_model_write(const struct code_chunk *chunk, const struct code_plan *plan, uint8_t *p,
                          uint8_t *end) {
    if (p == end) return NULL;
    *p++ = (uint8_t)(plan->lanes_log2 | (plan->prob_bits - 9) << 3 | (plan->classes - 1) << 5);
    struct lsb_writer w;
    lsb_write_init(&w, p, end);
    for (unsigned i = 0; i < plan->classes; i++) write_table(&w, plan, i);
    if (plan->classes > 1) {
        write_classes(&w, chunk->scratch->classes, rans_groups(chunk->len));
    }
    return lsb_write_end(&w);
}

/* A token takes 8 bits at most, so that one refill serves seven. */
static bool parse_table(struct bit_reader *r, struct code_plan *plan, unsigned class) {
    const unsigned tokens = (unsigned)lsb_read(r, 6) + 1, mode = (unsigned)lsb_read(r, 6);
    uint16_t *freq = plan->freq[class];
    uint32_t sum = 0, widest = 0;
    memset(freq, 0, sizeof plan->freq[class]);
    if (tokens > 63 || mode >= tokens) return false;
    for (unsigned t = 0; t < tokens;) {
        const unsigned stop = tokens - t < 7 ? tokens : t + 7;
        lsb_refill(r);
        uint64_t next = r->acc;
        unsigned taken = 0;
        for (; t < stop; t++) {
            if (t == mode) continue;
            const unsigned e = next & 15, d = mantissa_bits(e);
            const uint32_t m = (uint32_t)(next >> 4) & ((1U << d) - 1);
            const uint32_t f = (1U << e >> 1) + (m << (e < 1 ? 0 : e - 1 - d));
            freq[t] = (uint16_t)f;
            sum += f;
            if (e > widest) widest = e;
            next >>= 4 + d;
            taken += 4 + d;
        }
        lsb_take(r, taken);
    }
    if (widest > 12 || sum >= 1U << plan->prob_bits) return false; /* the mode token keeps 1 */
    freq[mode] = (uint16_t)((1U << plan->prob_bits) - sum);
    plan->table_tokens[class] = (uint8_t)tokens;
    plan->table_mode[class] = (uint8_t)mode;
    return freq[tokens - 1] != 0 && !r->overrun;
}

/* A class takes 9 bits at most, so that one refill serves six. */
static bool parse_classes(struct bit_reader *r, const struct code_plan *plan, uint8_t *classes,
                          size_t groups) {
    unsigned used = 0;
    int32_t class = 0;
    for (size_t g = 0; g < groups;) {
        lsb_refill(r);
        const size_t stop = groups - g < 6 ? groups : g + 6;
        uint64_t next = r->acc;
        unsigned taken = 0;
        for (; g < stop; g++) {
            const unsigned n = (unsigned)__builtin_ctzll(next | 32);
            const uint32_t step = 1U << n | ((uint32_t)(next >> (n + 1)) & ((1U << n) - 1));
            class += levels_unzigzag(step - 1);
            if (n == 5 || class < 0 || class >= (int32_t)plan->classes) return false;
            next >>= 2 * n + 1;
            taken += 2 * n + 1;
            classes[g] = (uint8_t)class;
            used |= 1U << class;
        }
        lsb_take(r, taken);
    }
    return !r->overrun && used == (1U << plan->classes) - 1;
}

qsgd_status rans_model_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                             struct code_plan *plan, const uint8_t **next) {
    if (p == end) return QSGD_ERR_CODE_TABLE;
    plan->lanes_log2 = *p & 7;
    plan->prob_bits = 9U + (*p >> 3 & 3);
    plan->classes = 1U + (*p >> 5);
    if (plan->lanes_log2 > 6) return QSGD_ERR_CODE_TABLE;
    struct bit_reader r;
    bit_read_init(&r, p + 1, end);
    for (unsigned i = 0; i < plan->classes; i++) {
        if (!parse_table(&r, plan, i)) return QSGD_ERR_CODE_TABLE;
    }
    if (plan->classes > 1 &&
        !parse_classes(&r, plan, chunk->scratch->classes, rans_groups(chunk->len))) {
        return QSGD_ERR_CODE_TABLE;
    }
    lsb_refill(&r); /* padding: what is left of the last byte */
    if (lsb_take(&r, r.held & 7) != 0) return QSGD_ERR_PADDING;
    if (r.overrun) return QSGD_ERR_CODE_TABLE;
    *next = r.p - (r.held - r.past) / 8;
    return QSGD_OK;
}
