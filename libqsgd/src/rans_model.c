/* Chooses, writes and reads the tables of a rANS chunk. Classes follow local energy: groups of 128
 * elements fall into half-octave bins of their sum of |k|, and neighbouring bins are merged while
 * that makes the chunk shorter. Integers only, so that every machine chooses alike. */
#include "rans_model.h"

#include <string.h>

#include "kernels.h"
#include "tokens.h"

#define BINS GROUP_BINS

/* log2(v) in units of 2^-16, v < 2^53, within 0.5 % of a bit: a parabola between powers of two.
 * As a double, v shows exponent and mantissa side by side, and is exact. */
static uint64_t lg(uint64_t v) {
    const double exact = (double)v;
    uint64_t bits;
    memcpy(&bits, &exact, sizeof bits);
    const uint64_t straight = (bits >> 36) - ((uint64_t)1023 << 16), m = straight & 0xFFFF;
    return straight + ((22570 * ((m * (65536 - m)) >> 16)) >> 16);
}

static uint64_t count_lg(uint64_t count) { return count * lg(count | (count == 0)); }

/* ---- classes -------------------------------------------------------------------------------- */

/* How often the tokens of a class occur. */
struct tally {
    uint32_t counts[CODE_TOKENS];
    uint64_t sum;
    unsigned tokens; /* the last one that occurs, plus 1 */
    int64_t cost;    /* of the elements and a table, in units of 2^-16 bits */
};

static int64_t cost_of(uint64_t bits, unsigned tokens) {
    return (int64_t)(bits + ((13 + 5 * tokens) << 16));
}

struct cluster {
    uint32_t counts[BINS][CODE_TOKENS];
    struct tally tally[BINS]; /* per class, at first per bin that occurs */
    uint8_t of_bin[BINS];     /* class of a bin */
    _Alignas(64) uint8_t counters[GROUP_MEMORY];
};

_Static_assert(sizeof(struct cluster) <= CODE_CLASSIFY_BYTES, "scratch of the classes");

/* Sums counts up; their cost. */
static void tally_finish(struct tally *tally) {
    tally->sum = 0;
    tally->tokens = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        tally->sum += tally->counts[t];
        if (tally->counts[t] != 0) tally->tokens = t + 1;
    }
    uint64_t bits = count_lg(tally->sum);
    for (unsigned t = 0; t < tally->tokens; t++) bits -= count_lg(tally->counts[t]);
    tally->cost = cost_of(bits, tally->tokens);
}

/* The cost of two in one. */
static int64_t joint_cost(const struct tally *a, const struct tally *b) {
    const unsigned tokens = a->tokens > b->tokens ? a->tokens : b->tokens;
    uint64_t bits = count_lg(a->sum + b->sum);
    for (unsigned t = 0; t < tokens; t++) bits -= count_lg((uint64_t)a->counts[t] + b->counts[t]);
    return cost_of(bits, tokens);
}

/* Tallies of the bins that occur, and of all together; returns how many do. */
static unsigned count_bins(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                           struct cluster *c, uint8_t *bins, struct tally *all) {
    const size_t groups = rans_groups(chunk->len);
    bool used[BINS] = {false};
    unsigned classes = 0;
    chunk->kernels->group_bins(k, tokens, chunk->len, bins);
    chunk->kernels->group_histograms(tokens, chunk->len, bins, c->counts, c->counters);
    memset(all, 0, sizeof *all);
    memset(c->of_bin, 0, sizeof c->of_bin); /* merge moves those of bins that do not occur, too */
    for (size_t g = 0; g < groups; g++) used[bins[g]] = true;
    for (unsigned b = 0; b < BINS; b++) {
        if (!used[b]) continue;
        struct tally *tally = &c->tally[classes];
        memcpy(tally->counts, c->counts[b], sizeof tally->counts);
        tally_finish(tally);
        for (unsigned t = 0; t < tally->tokens; t++) all->counts[t] += tally->counts[t];
        c->of_bin[b] = (uint8_t)classes++;
    }
    tally_finish(all);
    return classes;
}

/* What merging a and a + 1 would cost. */
static int64_t merge_delta(const struct cluster *c, unsigned a) {
    const struct tally *one = &c->tally[a], *two = one + 1;
    return joint_cost(one, two) - one->cost - two->cost;
}

static void merge(struct cluster *c, unsigned a, unsigned classes) {
    struct tally *one = &c->tally[a], *two = one + 1;
    one->cost = joint_cost(one, two);
    one->sum += two->sum;
    if (two->tokens > one->tokens) one->tokens = two->tokens;
    for (unsigned t = 0; t < two->tokens; t++) one->counts[t] += two->counts[t];
    memmove(two, two + 1, (classes - a - 2) * sizeof *two);
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

/* Several classes, if they make the chunk shorter. Returns their number, with their tallies in c
 * or, if it is 1, in *all. */
static unsigned choose_classes(const struct code_chunk *chunk, const int16_t *k,
                               const uint8_t *tokens, struct tally *all, struct cluster *c) {
    uint8_t *bins = chunk->scratch->classes;
    const size_t groups = rans_groups(chunk->len);
    unsigned classes = merge_all(c, count_bins(chunk, k, tokens, c, bins, all));
    if (classes == 1) return 1;
    for (size_t g = 0; g < groups; g++) bins[g] = c->of_bin[bins[g]];
    int64_t cost = (int64_t)(class_bits(bins, groups) << 16);
    for (unsigned i = 0; i < classes; i++) cost += c->tally[i].cost;
    return cost < all->cost ? classes : 1;
}

/* ---- frequencies ---------------------------------------------------------------------------- */

/* Bits after the first that a frequency of a table keeps: their rounding costs bits by the element,
 * they by the table. */
static unsigned mantissa_most(size_t len, unsigned classes) {
    const size_t each = len / classes;
    const unsigned e = each == 0 ? 0 : floor_log2(each);
    return e < 10 ? 1 : (e > 15 ? 4 : (e - 7) / 2);
}

/* v, in units of 2^-16, with `most` bits after the first: to the nearest, or cut. At least 1. */
static uint32_t table_frequency(uint64_t v, unsigned most, bool nearest) {
    const unsigned e = v < 65536 ? 0 : floor_log2(v) - 16;
    const unsigned drop = 16 + (e > most ? e - most : 0);
    const uint32_t f = (uint32_t)((v + ((uint64_t)nearest << (drop - 1))) >> drop << (drop - 16));
    return f == 0 ? 1 : f;
}

/* A class's frequencies at P bits. Returns the bits of its elements, in units of 2^-16, or
 * UINT64_MAX if nothing is left for the mode token: many rare tokens, few bits. */
static uint64_t set_frequencies(struct code_plan *plan, unsigned class, const struct tally *tally,
                                bool nearest) {
    const uint64_t share = ((uint64_t)1 << (32 + plan->prob_bits)) / tally->sum;
    const unsigned mode = plan->table_mode[class], most = plan->mantissa_most;
    uint16_t *freq = plan->freq[class];
    int32_t rest = 1 << plan->prob_bits;
    uint64_t cost = (uint64_t)plan->prob_bits << 16;
    cost *= tally->sum;
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

/* All classes' frequencies at P bits and what they cost; UINT64_MAX if they do not fit. 12 always
 * do, if need be cut: a mode token has 4096 / 63 slots at least, and at most 62 others are raised
 * to one slot. */
static uint64_t set_all(struct code_plan *plan, unsigned prob_bits, const struct tally *tally) {
    uint64_t cost = 0;
    plan->prob_bits = prob_bits;
    for (unsigned c = 0; c < plan->classes; c++) {
        uint64_t bits = set_frequencies(plan, c, &tally[c], true);
        if (bits == UINT64_MAX && prob_bits == 12) {
            bits = set_frequencies(plan, c, &tally[c], false);
        }
        if (bits == UINT64_MAX) return UINT64_MAX;
        cost += bits;
    }
    return cost;
}

/* ---- symmetric tables ----------------------------------------------------------------------- */

/* Tokens 2 m - 1 and 2 m are k = m and -m below this. Tables whose signs are even name them once.
 */
static unsigned pairs_end(const struct code_chunk *chunk, unsigned tokens) {
    const unsigned whole = tokens_direct(chunk->levels) ? 2 * LEVELS_DIRECT + 1 : TOKENS_WHOLE;
    return tokens < whole ? tokens : whole;
}

/* True if t has the frequency of t - 1, which a symmetric table does not repeat. The mode token's
 * partner has one of its own. */
static bool is_mirrored(unsigned t, unsigned end, unsigned mode) {
    return t % 2 == 0 && t != 0 && t < end && t != mode && t - 1 != mode;
}

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

static void set_tokens(const struct code_chunk *chunk, struct code_plan *plan, unsigned class,
                       struct tally *tally) {
    unsigned mode = 0;
    plan->symmetric[class] =
        make_symmetric(tally, pairs_end(chunk, tally->tokens), plan->mantissa_most);
    for (unsigned t = 1; t < tally->tokens; t++) {
        if (tally->counts[t] > tally->counts[mode]) mode = t;
    }
    plan->table_mode[class] = (uint8_t)mode;
    plan->table_tokens[class] = (uint8_t)tally->tokens;
    memset(plan->freq[class], 0, sizeof plan->freq[class]);
}

/* The coarsest of 8, 9, 10 and 12 bits that costs at most 1/512 more than 12 do: decoders look
 * fewer slots up faster. With classes of 9, 10 and 12, and 1/256: most chunks then have 9 and can
 * be decoded two at a time. */
static uint64_t choose_frequencies(const struct code_chunk *chunk, struct code_plan *plan,
                                   struct tally *tally) {
    for (unsigned c = 0; c < plan->classes; c++) set_tokens(chunk, plan, c, &tally[c]);
    const uint64_t finest = set_all(plan, 12, tally);
    const uint64_t most = finest + (finest >> (plan->classes == 1 ? 9 : 8));
    for (unsigned prob_bits = plan->classes == 1 ? 8 : 9; prob_bits <= 10; prob_bits++) {
        const uint64_t cost = set_all(plan, prob_bits, tally);
        if (cost <= most) return cost;
    }
    return set_all(plan, 12, tally);
}

/* Lanes make coding fast; a 56th of a short chunk is theirs, a 36th of a long one, which 64 serve.
 * One costs 24 bits, less what tokens in its rest state save: `each` of them. Poor frequencies of a
 * few elements may cost more than whole tokens do, which are `width` bits. */
static unsigned choose_lanes(uint64_t cost, uint64_t len, unsigned token_limit) {
    const struct rans_rest rest = rans_rest_of(token_limit);
    const uint64_t whole = rest.width * len, bits = cost >> 16 < whole ? cost >> 16 : whole;
    const uint64_t share = len < 32768 ? 56 : 36;
    const uint64_t v = bits * len / (share * (24 * len - rest.each * bits));
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

/* Bits of the largest rank of an index with one of `tokens` tokens, at least. */
static unsigned least_width(unsigned tokens) {
    const uint32_t last = tokens - 1;
    uint32_t rank = last;
    if (last >= TOKENS_WHOLE) rank = ((4 + (tokens & 3)) << ((last - 7) >> 2)) - 1; /* 2 |k| - 1 */
    return rank == 0 ? 0 : floor_log2(rank) + 1;
}

void rans_model_choose(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct code_plan *plan) {
    struct cluster *c = chunk->scratch->classify;
    struct tally all;
    plan->classes = 1;
    if (chunk->classes) {
        plan->classes = choose_classes(chunk, k, tokens, &all, c);
    } else {
        chunk->kernels->histogram(tokens, chunk->len, all.counts);
        tally_finish(&all);
    }
    plan->mantissa_most = mantissa_most(chunk->len, plan->classes);
    const uint64_t cost = choose_frequencies(chunk, plan, plan->classes == 1 ? &all : c->tally);
    const unsigned limit = rans_token_limit(plan);
    plan->lanes_log2 = choose_lanes(cost, chunk->len, limit);
    plan->least_width = least_width(limit);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* Bits of m_t that follow e_t. */
static unsigned mantissa_bits(unsigned e, unsigned most) {
    return e > most ? most : (e > 1 ? e - 1 : 0);
}

/* A token takes 8 bits at most, so that one write serves seven. */
static void write_table(struct lsb_writer *w, const struct code_chunk *chunk,
                        const struct code_plan *plan, unsigned class) {
    const unsigned tokens = plan->table_tokens[class], mode = plan->table_mode[class];
    const unsigned end = plan->symmetric[class] ? pairs_end(chunk, tokens) : 0;
    lsb_write(w, (tokens - 1) | mode << 6 | (unsigned)plan->symmetric[class] << 12, 13);
    for (unsigned t = 0; t < tokens;) {
        const unsigned stop = tokens - t < 7 ? tokens : t + 7;
        uint64_t bits = 0;
        unsigned held = 0;
        for (; t < stop; t++) {
            const uint32_t f = plan->freq[class][t];
            if (t == mode || is_mirrored(t, end, mode)) continue;
            const unsigned e = f == 0 ? 0 : floor_log2(f) + 1,
                           d = mantissa_bits(e, plan->mantissa_most);
            const uint32_t m = d == 0 ? 0 : (f - (1U << (e - 1))) >> (e - 1 - d);
            bits |= (uint64_t)(e | m << 4) << held;
            held += 4 + d;
        }
        lsb_write(w, bits, held);
    }
}

/* A class takes 7 bits at most (a step is 15 at most), so that one write serves eight. */
static void write_classes(struct lsb_writer *w, const uint8_t *classes, size_t groups) {
    struct {
        uint8_t bits, width;
    } code[2 * CODE_CLASSES]; /* by step */
    uint8_t before = 0;
    for (unsigned d = 0; d < 2 * CODE_CLASSES; d++) {
        const uint64_t step = class_step(CODE_CLASSES, (uint8_t)d);
        const unsigned n = floor_log2(step);
        code[d].bits = (uint8_t)(1U << n | (step - (1U << n)) << (n + 1));
        code[d].width = (uint8_t)(2 * n + 1);
    }
    for (size_t g = 0; g < groups;) {
        const size_t stop = groups - g < 8 ? groups : g + 8;
        uint64_t bits = 0;
        unsigned held = 0;
        for (; g < stop; g++) {
            const unsigned d = (unsigned)(CODE_CLASSES + classes[g] - before);
            bits |= (uint64_t)code[d].bits << held;
            held += code[d].width;
            before = classes[g];
        }
        lsb_write(w, bits, held);
    }
}

uint8_t *rans_model_write(const struct code_chunk *chunk, const struct code_plan *plan, uint8_t *p,
                          uint8_t *end) {
    if (p == end) return NULL;
    const unsigned prob_code = plan->prob_bits == 12 ? 3 : plan->prob_bits - 8;
    *p++ = (uint8_t)(plan->lanes_log2 | prob_code << 3 | (plan->classes - 1) << 5);
    struct lsb_writer w;
    lsb_write_init(&w, p, end);
    for (unsigned i = 0; i < plan->classes; i++) write_table(&w, chunk, plan, i);
    if (plan->classes > 1) {
        write_classes(&w, chunk->scratch->classes, rans_groups(chunk->len));
    }
    return lsb_write_end(&w);
}

/* A token takes 8 bits at most, so that one refill serves seven. */
static bool parse_table(struct bit_reader *r, const struct code_chunk *chunk,
                        struct code_plan *plan, unsigned class) {
    const unsigned head = (unsigned)lsb_read(r, 13);
    const unsigned tokens = (head & 63) + 1, mode = head >> 6 & 63;
    const bool symmetric = head >> 12 != 0;
    const unsigned end = symmetric ? pairs_end(chunk, tokens) : 0;
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
            if (is_mirrored(t, end, mode)) {
                freq[t] = freq[t - 1];
                sum += freq[t];
                continue;
            }
            const unsigned e = next & 15, d = mantissa_bits(e, plan->mantissa_most);
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
    plan->symmetric[class] = symmetric;
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
    plan->prob_bits = (*p >> 3 & 3) == 3 ? 12 : 8U + (*p >> 3 & 3);
    plan->classes = 1U + (*p >> 5);
    plan->mantissa_most = mantissa_most(chunk->len, plan->classes);
    if (plan->lanes_log2 > 6) return QSGD_ERR_CODE_TABLE;
    struct bit_reader r;
    bit_read_init(&r, p + 1, end);
    for (unsigned i = 0; i < plan->classes; i++) {
        if (!parse_table(&r, chunk, plan, i)) return QSGD_ERR_CODE_TABLE;
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
