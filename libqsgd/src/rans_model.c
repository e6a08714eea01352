/* Chooses, writes and reads the tables of a rANS chunk (FORMAT.md section 8.5): frequencies,
 * whether signs share them, lanes. Which groups share a table, rans_classes.c says. */
#include "rans_model.h"

#include <string.h>

#include "kernels.h"
#include "rans_classes.h"
#include "tables.h"
#include "tokens.h"

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
    uint64_t cost = tally->sum * plan->prob_bits << 16;
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

static void set_mode(struct code_plan *plan, unsigned class, const struct tally *tally) {
    unsigned mode = 0;
    for (unsigned t = 1; t < tally->tokens; t++) {
        if (tally->counts[t] > tally->counts[mode]) mode = t;
    }
    plan->table_mode[class] = (uint8_t)mode;
    plan->table_tokens[class] = (uint8_t)tally->tokens;
    memset(plan->freq[class], 0, sizeof plan->freq[class]);
}

static void set_tokens(const struct code_chunk *chunk, struct code_plan *plan, unsigned class,
                       struct tally *tally) {
    plan->symmetric[class] =
        make_symmetric(tally, pairs_end(chunk, tally->tokens), plan->mantissa_most);
    set_mode(plan, class, tally);
}

/* The coarsest of 8, 9, 10 and 12 bits that costs at most 1/512 more than 12 do: decoders look
 * fewer slots up faster. With classes of 9, 10 and 12, and 1/256: most chunks then have 9 and can
 * be decoded two at a time. */
static uint64_t choose_frequencies(struct code_plan *plan, const struct tally *tally) {
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

/* Bits of m_t that follow e_t. */
static unsigned mantissa_bits(unsigned e, unsigned most) {
    return e > most ? most : (e > 1 ? e - 1 : 0);
}

/* Bits of e_t of a frequency. */
static unsigned exponent_of(uint32_t f) { return f == 0 ? 0 : floor_log2(f) + 1; }

/* Bits of the tables and classes, before padding. */
static uint64_t model_bits(const struct code_chunk *chunk, const struct code_plan *plan) {
    uint64_t bits = 13 * (uint64_t)plan->classes;
    for (unsigned c = 0; c < plan->classes; c++) {
        const unsigned tokens = plan->table_tokens[c], mode = plan->table_mode[c];
        const unsigned end = plan->symmetric[c] ? pairs_end(chunk, tokens) : 0;
        for (unsigned t = 0; t < tokens; t++) {
            if (t == mode || is_mirrored(t, end, mode)) continue;
            bits += 4 + mantissa_bits(exponent_of(plan->freq[c][t]), plan->mantissa_most);
        }
    }
    if (plan->classes == 1) return bits;
    return bits + rans_classes_bits(chunk->scratch->classes, rans_groups(chunk->len));
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

/* One class, with the frequencies of shared tables. */
static void use_shared(const struct shared_tables *shared, struct code_plan *plan) {
    plan->shared = true;
    plan->classes = 1;
    plan->prob_bits = shared->prob_bits;
    plan->table_tokens[0] = shared->tokens;
    plan->table_mode[0] = shared->mode;
    memcpy(plan->freq[0], shared->freq, sizeof plan->freq[0]);
}

/* ---- the model ------------------------------------------------------------------------------ */

void rans_model_choose(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                       struct code_plan *plan) {
    struct tally all, *each = &all;
    plan->classes = 1;
    plan->shared = false;
    if (chunk->classes) {
        plan->classes = rans_classes_choose(chunk, k, tokens, &all, &each);
    } else {
        chunk->kernels->histogram(tokens, chunk->len, all.counts);
        tally_finish(&all);
    }
    const uint64_t shared = shared_cost(chunk->shared, all.counts);
    plan->mantissa_most = mantissa_most(chunk->len, plan->classes);
    if (plan->classes == 1) each = &all;
    for (unsigned c = 0; c < plan->classes; c++) set_tokens(chunk, plan, c, &each[c]);
    uint64_t cost = choose_frequencies(plan, each);
    plan->least_width = least_width(rans_token_limit(plan));
    if (shared != UINT64_MAX && shared <= cost + (model_bits(chunk, plan) << 16)) {
        use_shared(chunk->shared, plan);
        cost = shared;
    }
    plan->lanes_log2 = choose_lanes(cost, chunk->len, rans_token_limit(plan));
}

void rans_model_fit(const uint32_t counts[CODE_TOKENS], struct code_plan *plan) {
    struct tally tally;
    memcpy(tally.counts, counts, sizeof tally.counts);
    tally_finish(&tally);
    plan->classes = 1;
    plan->mantissa_most = 12;
    set_mode(plan, 0, &tally);
    choose_frequencies(plan, &tally);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

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
            const unsigned e = exponent_of(f), d = mantissa_bits(e, plan->mantissa_most);
            const uint32_t m = d == 0 ? 0 : (f - (1U << (e - 1))) >> (e - 1 - d);
            bits |= (uint64_t)(e | m << 4) << held;
            held += 4 + d;
        }
        lsb_write(w, bits, held);
    }
}

uint8_t *rans_model_write(const struct code_chunk *chunk, const struct code_plan *plan, uint8_t *p,
                          uint8_t *end) {
    if (p == end) return NULL;
    if (plan->shared) {
        *p++ = (uint8_t)plan->lanes_log2;
        return p;
    }
    const unsigned prob_code = plan->prob_bits == 12 ? 3 : plan->prob_bits - 8;
    *p++ = (uint8_t)(plan->lanes_log2 | prob_code << 3 | (plan->classes - 1) << 5);
    struct lsb_writer w;
    lsb_write_init(&w, p, end);
    for (unsigned i = 0; i < plan->classes; i++) write_table(&w, chunk, plan, i);
    if (plan->classes > 1) {
        rans_classes_write(&w, chunk->scratch->classes, rans_groups(chunk->len));
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

qsgd_status rans_model_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                             struct code_plan *plan, const uint8_t **next) {
    if (p == end) return QSGD_ERR_CODE_TABLE;
    plan->shared = false;
    if (chunk->shared != NULL) {
        use_shared(chunk->shared, plan);
        plan->lanes_log2 = *p;
        *next = p + 1;
        return *p > 6 ? QSGD_ERR_CODE_TABLE : QSGD_OK;
    }
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
        !rans_classes_parse(&r, plan->classes, chunk->scratch->classes, rans_groups(chunk->len))) {
        return QSGD_ERR_CODE_TABLE;
    }
    lsb_refill(&r); /* padding: what is left of the last byte */
    if (lsb_take(&r, r.held & 7) != 0) return QSGD_ERR_PADDING;
    if (r.overrun) return QSGD_ERR_CODE_TABLE;
    *next = r.p - (r.held - r.past) / 8;
    return QSGD_OK;
}
