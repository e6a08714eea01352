/* Writes and reads the tables of a rANS chunk (FORMAT.md section 7.6). codes/rans/model.c chooses
 * them. */
#include "codes/rans/tables.h"

#include <string.h>

#include "codes/rans/classes.h"
#include "codes/rans/plan.h"

#define CLASSES_BITS 3 /* of their number, less 1 */

/* True if t has the frequency of t - 1, which a symmetric table does not repeat. The mode token's
 * partner has one of its own. */
static bool is_mirrored(unsigned t, unsigned end, unsigned mode) {
    return t % 2 == 0 && t != 0 && t < end && t != mode && t - 1 != mode;
}

/* Bits of mant_t that follow e_t. */
static unsigned mantissa_bits(unsigned e, unsigned most) {
    return e > most ? most : (e > 1 ? e - 1 : 0);
}

/* Bits of e_t of a frequency. */
static unsigned exponent_of(uint32_t f) { return f == 0 ? 0 : floor_log2(f) + 1; }

/* Bits of one table. */
static uint64_t table_bits(const struct code_chunk *chunk, const struct code_plan *plan,
                           unsigned class, unsigned half) {
    const struct rans_table *table = &plan->rans.table[class][half];
    const uint16_t *freq = rans_freq(plan, class, half);
    const unsigned end = table->symmetric ? rans_pairs_end(chunk->levels, table->tokens) : 0;
    uint64_t bits = 13;
    for (unsigned t = 0; t < table->tokens; t++) {
        if (t == table->mode || is_mirrored(t, end, table->mode)) continue;
        bits += 4 + mantissa_bits(exponent_of(freq[t]), plan->rans.mantissa_most);
    }
    return bits;
}

uint64_t rans_tables_bits(const struct code_chunk *chunk, const struct code_plan *plan) {
    uint64_t bits = CLASSES_BITS + (chunk->turned != NULL ? plan->rans.classes : 0);
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++) {
            bits += table_bits(chunk, plan, c, half);
        }
    }
    if (plan->rans.classes == 1) return bits;
    return bits + rans_classes_bits(chunk);
}

/* A token takes 8 bits at most, so that one write serves seven. */
static void write_table(struct lsb_writer *w, const struct code_chunk *chunk,
                        const struct code_plan *plan, unsigned class, unsigned half) {
    const struct rans_table *table = &plan->rans.table[class][half];
    const uint16_t *freq = rans_freq(plan, class, half);
    const unsigned tokens = table->tokens, mode = table->mode;
    const unsigned end = table->symmetric ? rans_pairs_end(chunk->levels, tokens) : 0;
    lsb_write(w, (tokens - 1) | mode << 6 | (unsigned)table->symmetric << 12, 13);
    for (unsigned t = 0; t < tokens;) {
        const unsigned stop = tokens - t < 7 ? tokens : t + 7;
        uint64_t bits = 0;
        unsigned held = 0;
        for (; t < stop; t++) {
            const uint32_t f = freq[t];
            if (t == mode || is_mirrored(t, end, mode)) continue;
            const unsigned e = exponent_of(f), d = mantissa_bits(e, plan->rans.mantissa_most);
            const uint32_t m = d == 0 ? 0 : (f - (1U << (e - 1))) >> (e - 1 - d);
            bits |= (uint64_t)(e | m << 4) << held;
            held += 4 + d;
        }
        lsb_write(w, bits, held);
    }
}

uint8_t *rans_tables_write(const struct code_chunk *chunk, const struct code_plan *plan, uint8_t *p,
                           uint8_t *end) {
    if (p == end) return NULL;
    if (plan->shared) {
        *p++ = (uint8_t)plan->rans.lanes_log2;
        return p;
    }
    const unsigned prob_code = plan->rans.prob_bits == 12 ? 3 : plan->rans.prob_bits - 8;
    *p++ = (uint8_t)(plan->rans.lanes_log2 | prob_code << 4);
    struct lsb_writer w;
    lsb_write_init(&w, p, end);
    lsb_write(&w, plan->rans.classes - 1, CLASSES_BITS);
    if (chunk->turned != NULL) lsb_write(&w, plan->rans.split, plan->rans.classes);
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++) {
            write_table(&w, chunk, plan, c, half);
        }
    }
    if (plan->rans.classes > 1) {
        rans_classes_write(&w, chunk->scratch->classes, code_groups(chunk->len));
    }
    return lsb_write_end(&w);
}

/* A token takes 8 bits at most, so that one refill serves seven. */
static bool parse_table(struct bit_reader *r, const struct code_chunk *chunk,
                        struct code_plan *plan, unsigned class, unsigned half) {
    const unsigned head = (unsigned)lsb_read(r, 13);
    const unsigned tokens = (head & 63) + 1, mode = head >> 6 & 63;
    const bool symmetric = head >> 12 != 0;
    const unsigned end = symmetric ? rans_pairs_end(chunk->levels, tokens) : 0;
    const unsigned most = rans_is_split(plan, class) ? RANS_HALF : CODE_TOKENS - 1;
    uint16_t *freq = plan->rans.freq[class] + half * RANS_HALF;
    uint32_t sum = 0, widest = 0;
    if (tokens > most || mode >= tokens) return false;
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
            const unsigned e = next & 15, d = mantissa_bits(e, plan->rans.mantissa_most);
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
    if (widest > 12 || sum >= 1U << plan->rans.prob_bits) return false; /* the mode token keeps 1 */
    freq[mode] = (uint16_t)((1U << plan->rans.prob_bits) - sum);
    plan->rans.table[class][half] = (struct rans_table){(uint8_t)tokens, (uint8_t)mode, symmetric};
    return freq[tokens - 1] != 0 && !r->overrun;
}

qsgd_status rans_tables_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                              struct code_plan *plan, const uint8_t **next) {
    if (p == end) return QSGD_ERR_CODE_TABLE;
    plan->shared = false;
    if (chunk->shared != NULL) {
        rans_use_shared(chunk->shared, plan);
        plan->rans.lanes_log2 = *p;
        *next = p + 1;
        return rans_lanes_fit(*p, chunk->len) ? QSGD_OK : QSGD_ERR_CODE_TABLE;
    }
    const unsigned prob_code = *p >> 4;
    plan->rans.lanes_log2 = *p & 15;
    if (prob_code > 3 || !rans_lanes_fit(plan->rans.lanes_log2, chunk->len)) {
        return QSGD_ERR_CODE_TABLE;
    }
    plan->rans.prob_bits = prob_code == 3 ? 12 : 8 + prob_code;
    struct bit_reader r;
    bit_read_init(&r, p + 1, end);
    plan->rans.classes = 1 + (unsigned)lsb_read(&r, CLASSES_BITS);
    plan->rans.split = 0;
    if (chunk->turned != NULL) {
        plan->rans.split = (unsigned)lsb_take(&r, plan->rans.classes);
    }
    if (rans_tables_count(plan) << plan->rans.prob_bits > 1U << RANS_SLOTS_LOG2) {
        return QSGD_ERR_CODE_TABLE;
    }
    plan->rans.mantissa_most = rans_mantissa_most(chunk->len, plan);
    memset(plan->rans.freq, 0, sizeof plan->rans.freq);
    for (unsigned c = 0; c < plan->rans.classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++) {
            if (!parse_table(&r, chunk, plan, c, half)) return QSGD_ERR_CODE_TABLE;
        }
    }
    if (plan->rans.classes > 1 &&
        !rans_classes_parse(&r, plan->rans.classes, chunk->scratch->classes,
                            code_groups(chunk->len))) {
        return QSGD_ERR_CODE_TABLE;
    }
    lsb_refill(&r); /* padding: what is left of the last byte */
    if (lsb_take(&r, r.held & 7) != 0) return QSGD_ERR_PADDING;
    if (r.overrun) return QSGD_ERR_CODE_TABLE;
    *next = r.p - (r.held - r.past) / 8;
    return QSGD_OK;
}
