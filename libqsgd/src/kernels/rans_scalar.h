/* Interleaved rANS (FORMAT.md section 7.6), lane by lane: tables, one lane's step, which is the
 * specification, and rows of at most eight lanes. States lie in [2^16, 2^32); at most one 16-bit
 * word moves per symbol. */
#ifndef QSGD_KERNELS_RANS_SCALAR_H
#define QSGD_KERNELS_RANS_SCALAR_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/types.h"

/* ---- tables ---------------------------------------------------------------------------------- */

/* How x div f is taken: ((x + plus) rcp) >> (32 + shift), exact for all x < f 2^(32 - P). Rounding
 * the reciprocal up serves most f, rounding it down with plus = 1 the others, all above 0.7 2^P
 * (tests/c/test_rans.c tries every f). f = 1 needs 33 bits: 2^32 - 1 gives x - 1, which the start
 * makes up for. The entry is (f - 1) 2^(32 - P) | plus 2^17 | shift 2^13 | start. Returns whether
 * plus is 1. */
BODY bool rans_symbol(struct rans_symbol_table *table, size_t t, uint32_t f, uint32_t start,
                      unsigned prob_bits) {
    uint32_t shift = 0, plus = 0;
    uint64_t rcp = UINT32_MAX;
    if (f == 1) {
        start += (1U << prob_bits) - 1;
    } else {
        shift = floor_log2(f - 1);
        const uint64_t one = (uint64_t)1 << (32 + shift);
        const uint64_t last = ((uint64_t)f << (32 - prob_bits)) - 1;
        rcp = one / f + (one % f != 0);
        if (last * rcp >> (32 + shift) != last / f) {
            plus = 1;
            rcp = one / f;
        }
    }
    table->entry[t] = (f - 1) << (32 - prob_bits) | plus << 17 | shift << 13 | start;
    table->rcp[t] = (uint32_t)rcp;
    struct rans_lane_symbol *lane = &table->lane[t];
    lane->rcp = (uint32_t)rcp;
    lane->plus = plus != 0 ? (uint32_t)rcp : 0;
    lane->most = (uint16_t)(f - 1);
    lane->start = (uint16_t)start;
    lane->rest = (uint16_t)((1U << prob_bits) - f);
    lane->shift = (uint16_t)(32 + shift);
    return plus != 0;
}

/* What a decoder looks up. Where slots are found in registers: 2^P tokens, and 2^P - f and start
 * of each of 64 tokens. Else: token | (f - 1) << 8 | (slot - start) << 20 of each slot. */
#ifdef W_SLOTS
#define RANS_SLOT_BITS 10 /* the largest P that does */
#else
#define RANS_SLOT_BITS 0
#endif

struct rans_slots {
    ALIGNED(64) uint8_t token[1024 + 64]; /* tokens are written by vectors */
    uint32_t rest[64], start[64];         /* 2^P - f */
};

#ifdef W_SLOTS
BODY void rans_build_slots(const uint16_t *freq, unsigned prob_bits, struct rans_slots *slots) {
    uint32_t start = 0;
    for (uint32_t t = 0; t < 64; t++) {
        const uint32_t f = freq[t], end = start + f;
        slots->rest[t] = (1U << prob_bits) - f;
        slots->start[t] = start & ((1U << prob_bits) - 1);
        for (; start < end; start += W_BYTES) {
            vb_store(slots->token + start, vb_set1((uint8_t)t));
        }
        start = end;
    }
}
#endif

BODY void rans_build_wide(const uint16_t *freq, uint32_t split, uint32_t *decode) {
    for (uint32_t symbol = 0; symbol < 64; symbol++) {
        const uint32_t f = freq[symbol], t = symbol & ~split;
        EACH(s, 0, f, 1) decode[s] = (t | (f - 1) << 8) + ((uint32_t)s << 20);
        decode += f;
    }
}

#ifdef W_STARTS
/* Behind a wide table of 2^8 slots and at most 16 tokens: finds the i-th token that occurs by
 * comparing slots with b_i, the last one before it (the last of all if there is no i-th), first for
 * i = 4, 8, 12, then for the three between. Signed bytes. */
struct rans_starts {
    ALIGNED(W_BYTES) uint8_t fourth[3][W_BYTES]; /* b_4, b_8, b_12 */
    uint8_t within[3][16];                       /* b_{4 q + 1}, + 2, + 3, by q */
    uint8_t token[16], rest[16], start[16];      /* its name, 2^8 - f, and c */
};

BODY void rans_build_starts(const uint16_t *freq, struct rans_starts *s) {
    uint8_t before[16];
    uint32_t start = 0, i = 0;
    memset(s, 0, sizeof *s);
    memset(before, 0x7F, sizeof before);
    for (uint32_t t = 0; t < 16; t++) {
        if (freq[t] == 0) continue;
        before[i] = (uint8_t)((start - 1) ^ 0x80);
        s->token[i] = (uint8_t)t;
        s->rest[i] = (uint8_t)(256 - freq[t]);
        s->start[i++] = (uint8_t)start;
        start += freq[t];
    }
    for (i = 0; i < 3; i++) {
        memset(s->fourth[i], before[4 * i + 4], W_BYTES);
        for (uint32_t q = 0; q < 4; q++) s->within[i][q] = before[4 * q + i + 1];
    }
}

#define RANS_STARTS_BYTES sizeof(struct rans_starts)
#else
#define RANS_STARTS_BYTES 0
#endif

static_assert(sizeof(struct rans_slots) <= RANS_TABLE_LEAST, "memory of slots");
static_assert(1024 + RANS_STARTS_BYTES <= RANS_TABLE_LEAST, "memory of starts");

/* RANS_HALF if the class is split, else 0. */
BODY uint32_t rans_split_of(const struct rans_job *job, unsigned of) {
    return (job->split >> of & 1) * RANS_HALF;
}

/* Bits of what is looked up: slots, and before them the half where some class is split. */
BODY unsigned rans_look_bits(const struct rans_job *job) {
    return job->prob_bits + (job->split != 0);
}

BODY size_t rans_table_bytes(const struct rans_job *job) {
    const unsigned bits = rans_look_bits(job);
    if (bits <= RANS_SLOT_BITS) return sizeof(struct rans_slots);
    return (sizeof(uint32_t) << bits) + (bits == 8 ? RANS_STARTS_BYTES : 0);
}

/* ---- one lane: the specification ------------------------------------------------------------- */

BODY uint16_t *rans_encode_lane(const struct rans_symbol_table *table, uint8_t token,
                                unsigned prob_bits, uint32_t *state, uint16_t *words) {
    const struct rans_lane_symbol *symbol = &table->lane[token];
    uint32_t x = *state;
    const bool full = x >> (32 - prob_bits) > symbol->most;
    words[-1] = (uint16_t)x; /* without a branch, which nobody could guess */
    words -= full;
    x = full ? x >> 16 : x;
    const uint64_t product = (uint64_t)x * symbol->rcp + symbol->plus;
    *state = x + symbol->start + (uint32_t)(product >> symbol->shift) * symbol->rest;
    return words;
}

/* *words moves past `end` where words run out. */
BODY uint32_t rans_refill_lane(uint32_t x, const uint8_t **words, const uint8_t *end) {
    const uint8_t *p = *words;
    uint32_t word = 0;
    if (end - p >= 2) word = (uint32_t)(p[0] | p[1] << 8);
    const uint32_t low = x < RANS_LOW;
    *words = p + 2 * low;
    return low ? x << 16 | word : x;
}

/* What stays the same over elements of one class. */
struct rans_lookup {
    const void *table;
    unsigned prob_bits;
    uint32_t half; /* RANS_HALF if the class is split, else 0 */
    bool in_slots; /* the table is a struct rans_slots */
};

BODY struct rans_lookup rans_lookup_of(const struct rans_job *job, const void *tables,
                                       size_t element) {
    const unsigned of = job->classes == NULL ? 0 : job->classes[element >> 7];
    return (struct rans_lookup){(const uint8_t *)tables + of * rans_table_bytes(job),
                                job->prob_bits, rans_split_of(job, of),
                                RANS_SLOT_BITS != 0 && rans_look_bits(job) <= RANS_SLOT_BITS};
}

/* half: the element's, of a class that is not split, too. */
BODY uint8_t rans_decode_lane(const struct rans_lookup *l, uint32_t half, uint32_t *state,
                              const uint8_t **words, const uint8_t *end) {
    const unsigned prob_bits = l->prob_bits;
    const uint32_t x = *state, mask = (1U << prob_bits) - 1, slot = x & mask;
    const size_t skip = (size_t)((half & l->half) / RANS_HALF) << prob_bits; /* not waited for */
    if (l->in_slots) {
        const struct rans_slots *slots = (const struct rans_slots *)l->table;
        const uint8_t symbol = (slots->token + skip)[slot];
        const uint32_t next = x - slots->start[symbol] - (x >> prob_bits) * slots->rest[symbol];
        *state = rans_refill_lane(next, words, end);
        return (uint8_t)(symbol & ~l->half);
    }
    const uint32_t entry = ((const uint32_t *)l->table + skip)[slot];
    const uint32_t next = (x >> prob_bits) * ((entry >> 8 & 0xFFF) + 1) + (entry >> 20);
    *state = rans_refill_lane(next, words, end);
    return (uint8_t)entry;
}

/* ---- rows of few lanes ---------------------------------------------------------------------- */

/* States in variables: lanes of one row do not wait for one another. */
BODY uint16_t *rans_encode_narrow(const struct rans_job *job,
                                  const struct rans_symbol_table *tables, const uint8_t *tokens,
                                  size_t rows, uint16_t *words, uint32_t *states,
                                  const size_t lanes) {
    uint32_t x[8];
    for (size_t l = 0; l < lanes; l++) x[l] = states[l];
    for (size_t row = rows; row > 0; row--) {
        const size_t i = (row - 1) * lanes;
        const struct rans_symbol_table *table = tables + (job->classes ? job->classes[i >> 7] : 0);
        for (size_t l = lanes; l > 0; l--) {
            words = rans_encode_lane(table, tokens[i + l - 1], job->prob_bits, &x[l - 1], words);
        }
    }
    for (size_t l = 0; l < lanes; l++) states[l] = x[l];
    return words;
}

/* stream->at and `to` are multiples of lanes. */
BODY void rans_decode_narrow(const struct rans_job *job, const void *tables,
                             struct rans_stream *stream, size_t to, uint8_t *tokens,
                             const size_t lanes, const bool halves) {
    const uint8_t *words = stream->words[0], *const end = stream->end[0];
    const uint8_t *half = stream->halves;
    struct rans_lookup table = rans_lookup_of(job, tables, stream->at);
    uint32_t x[8];
    for (size_t l = 0; l < lanes; l++) x[l] = stream->states[l];
    for (size_t i = stream->at; i < to; i += lanes, tokens += lanes) {
        if (i % 128 == 0) table = rans_lookup_of(job, tables, i);
        for (size_t l = 0; l < lanes; l++) {
            tokens[l] = rans_decode_lane(&table, halves ? half[l] : 0, &x[l], &words, end);
        }
        if (halves) half += lanes;
    }
    for (size_t l = 0; l < lanes; l++) stream->states[l] = x[l];
    stream->words[0] = words;
    stream->halves = half;
    stream->at = to;
}

#endif
