/* Kernel bodies of interleaved rANS (FORMAT.md section 8.5). States lie in [2^16, 2^32); at most
 * one 16-bit word moves per symbol. Rows of whole vectors use the vocabulary where it can exchange
 * words with memory (W_RENORM); the last, partial row and narrow streams go lane by lane. */

/* ---- tables ---------------------------------------------------------------------------------- */

/* How x div f is taken: ((x + plus) rcp) >> (32 + shift), exact for all x < f 2^(32 - P). Rounding
 * the reciprocal up serves most f, rounding it down with plus = 1 the others, all above 0.7 2^P
 * (tests/c/test_rans.c tries every f). f = 1 needs 33 bits: 2^32 - 1 gives x - 1, which the start
 * makes up for. The entry is (f - 1) 2^(32 - P) | plus 2^17 | shift 2^13 | start. */
BODY void rans_symbol(struct rans_symbol_table *table, unsigned t, uint32_t f, uint32_t start,
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
    table->plus |= plus != 0;
}

static void kernel_rans_symbols(const uint16_t *freq, unsigned prob_bits,
                                struct rans_symbol_table *table) {
    uint32_t start = 0;
    table->plus = false;
    for (unsigned t = 0; t < 64; t++) {
        table->entry[t] = table->rcp[t] = 0;
        if (freq[t] == 0) continue;
        rans_symbol(table, t, freq[t], start, prob_bits);
        start += freq[t];
    }
}

/* What a decoder looks up. Where slots are found in registers: 2^P tokens, and f << 16 | start of
 * each of 64 tokens. Else: token | (f - 1) << 8 | (slot - start) << 20 of each slot. */
#ifdef W_SLOTS
#define RANS_SLOT_BITS 10 /* the largest P that does */
#else
#define RANS_SLOT_BITS 0
#endif

struct rans_slots {
    _Alignas(64) uint8_t token[1024];
    uint32_t entry[64];
};

BODY void rans_build_slots(const uint16_t *freq, struct rans_slots *slots) {
    uint32_t start = 0;
    for (uint32_t t = 0; t < 64; t++) {
        const uint32_t f = freq[t];
        slots->entry[t] = f << 16 | start;
        memset(slots->token + start, (int)t, f);
        start += f;
    }
}

BODY void rans_build_wide(const uint16_t *freq, uint32_t *decode) {
    for (uint32_t t = 0; t < 64; t++) {
        const uint32_t f = freq[t];
        for (uint32_t s = 0; s < f; s++) *decode++ = (t | (f - 1) << 8) + (s << 20);
    }
}

/* ---- one lane: the specification ------------------------------------------------------------- */

BODY uint16_t *rans_encode_lane(const struct rans_symbol_table *table, uint8_t token,
                                unsigned prob_bits, uint32_t *state, uint16_t *words) {
    uint32_t x = *state, entry = table->entry[token];
    const uint32_t most = entry >> (32 - prob_bits); /* f - 1 */
    if (x >> (32 - prob_bits) > most) {
        *--words = (uint16_t)x;
        x >>= 16;
    }
    const uint64_t product = (uint64_t)(x + (entry >> 17 & 1)) * table->rcp[token];
    const uint32_t q = (uint32_t)(product >> (32 + (entry >> 13 & 15)));
    *state = x + (entry & 0x1FFF) + q * ((1U << prob_bits) - 1 - most);
    return words;
}

BODY uint32_t rans_refill_lane(uint32_t x, const uint8_t **words, const uint8_t *end, bool *bad) {
    if (x >= RANS_LOW) return x;
    if (end - *words < 2) {
        *bad = true;
        return x << 16;
    }
    x = x << 16 | (uint32_t)((*words)[0] | (*words)[1] << 8);
    *words += 2;
    return x;
}

BODY uint8_t rans_decode_lane(const void *table, unsigned prob_bits, uint32_t *state,
                              const uint8_t **words, const uint8_t *end, bool *bad) {
    const uint32_t x = *state, mask = (1U << prob_bits) - 1;
    if (prob_bits <= RANS_SLOT_BITS) {
        const struct rans_slots *slots = table;
        const uint8_t token = slots->token[x & mask];
        const uint32_t entry = slots->entry[token];
        const uint32_t next = (x >> prob_bits) * (entry >> 16) + ((x - entry) & mask);
        *state = rans_refill_lane(next, words, end, bad);
        return token;
    }
    const uint32_t entry = ((const uint32_t *)table)[x & mask];
    const uint32_t next = (x >> prob_bits) * ((entry >> 8 & 0xFFF) + 1) + (entry >> 20);
    *state = rans_refill_lane(next, words, end, bad);
    return (uint8_t)entry;
}

/* ---- whole rows of vectors: encode ------------------------------------------------------------
 */

#ifdef W_RENORM
/* What stays the same in a loop, as constants of the inlined bodies. */
struct rans_shape {
    int vectors; /* lanes / W */
    int size;    /* in-register tables of so many tokens; 0: tables in memory */
    bool plus;   /* some quotient takes x + 1 */
};

BODY vu rans_encode_vector(vu entry, vu rcp, unsigned prob_bits, const bool plus, vu x) {
    vu of = plus ? vu_add(x, vu_and(vu_srl(entry, 17), vu_set1(1))) : x;
    vu q = vu_srlv(vu_mulhi(of, rcp), vu_and(vu_srl(entry, 13), vu_set1(15)));
    vu rest = vu_xor(vu_srl(entry, (int)(32 - prob_bits)), vu_set1((1U << prob_bits) - 1));
    return vu_add(vu_add(x, vu_and(entry, vu_set1(0x1FFF))), vu_mullo(q, rest));
}

/* Puts out the words of a row's lanes that would overflow; rows go from the last lane to the
 * first. */
BODY uint16_t *rans_shrink(vu *state, const vu *entry, unsigned prob_bits, const int vectors,
                           uint16_t *words) {
    vm full[64 / W];
    vu x[64 / W];
    for (int v = 0; v < vectors; v++) { /* below 2^12, so that a signed comparison will do */
        x[v] = state[v];
        full[v] =
            vu_gt31(vu_srl(x[v], (int)(32 - prob_bits)), vu_srl(entry[v], (int)(32 - prob_bits)));
        state[v] = vu_select(full[v], vu_srl(x[v], 16), x[v]);
    }
    int v = vectors;
#ifdef W_PUSH_TWO
    for (; v >= 2; v -= 2) words = vu_push_two(words, x[v - 2], full[v - 2], x[v - 1], full[v - 1]);
#endif
    for (; v > 0; v--) words = vu_push_words(words, x[v - 1], full[v - 1]);
    return words;
}

/* Rows of `vectors` * W lanes, from the last to the first. */
BODY uint16_t *rans_encode_rows(const struct rans_job *job, const struct rans_symbol_table *tables,
                                const uint8_t *tokens, size_t rows, uint16_t *words,
                                uint32_t *states, const struct rans_shape shape) {
    vu state[64 / W];
    const int vectors = shape.vectors, size = shape.size == 0 ? 16 : shape.size;
    const size_t lanes = (size_t)vectors * W, per_group = 128 / lanes;
    const struct rans_symbol_table *table = tables;
    vt entries = vt_load(table->entry, size), rcps = vt_load(table->rcp, size);
    for (int v = 0; v < vectors; v++) state[v] = vu_load(states + v * W);
    for (size_t row = rows; row > 0;) {
        size_t stop = job->classes == NULL ? 0 : (row - 1) / per_group * per_group;
        if (job->classes != NULL) {
            table = tables + job->classes[stop / per_group];
            entries = vt_load(table->entry, size);
            rcps = vt_load(table->rcp, size);
        }
        for (; row > stop; row--) {
            vu entry[64 / W], rcp[64 / W];
            for (int v = 0; v < vectors; v++) {
                vu token = vu_load_u8(tokens + (row - 1) * lanes + (size_t)v * W);
                entry[v] =
                    shape.size ? vt_at(&entries, token, size) : vu_gather(table->entry, token);
                rcp[v] = shape.size ? vt_at(&rcps, token, size) : vu_gather(table->rcp, token);
            }
            words = rans_shrink(state, entry, job->prob_bits, vectors, words);
            for (int v = 0; v < vectors; v++) {
                state[v] =
                    rans_encode_vector(entry[v], rcp[v], job->prob_bits, shape.plus, state[v]);
            }
        }
    }
    for (int v = 0; v < vectors; v++) vu_store(states + v * W, state[v]);
    return words;
}

/* The common shapes get loops of their own. */
BODY uint16_t *rans_encode_sized(const struct rans_job *job, const struct rans_symbol_table *tables,
                                 const uint8_t *tokens, size_t rows, uint16_t *words,
                                 uint32_t *states, const int vectors) {
    if (job->plus) {
        const struct rans_shape any = {vectors, 0, true};
        return rans_encode_rows(job, tables, tokens, rows, words, states, any);
    }
    if (job->tokens <= 16) {
        const struct rans_shape small = {vectors, 16, false};
        return rans_encode_rows(job, tables, tokens, rows, words, states, small);
    }
#if W_TABLE >= 64
    if (job->tokens <= 32) {
        const struct rans_shape medium = {vectors, 32, false};
        return rans_encode_rows(job, tables, tokens, rows, words, states, medium);
    }
    const struct rans_shape large = {vectors, 64, false};
#else
    const struct rans_shape large = {vectors, 0, false};
#endif
    return rans_encode_rows(job, tables, tokens, rows, words, states, large);
}
#endif

static uint16_t *kernel_rans_encode(const struct rans_job *job,
                                    const struct rans_symbol_table *tables, const uint8_t *tokens,
                                    uint16_t *words, uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    size_t rows = 0, i = job->len;
#ifdef W_RENORM
    if (lanes >= W) rows = job->len >> job->lanes_log2;
#endif
    while (i > rows * lanes) {
        i--;
        const struct rans_symbol_table *table = tables + (job->classes ? job->classes[i >> 7] : 0);
        words = rans_encode_lane(table, tokens[i], job->prob_bits, &states[i & (lanes - 1)], words);
    }
#ifdef W_RENORM
    if (lanes == 64) {
        return rans_encode_sized(job, tables, tokens, rows, words, states, 64 / W);
    }
    if (lanes == 32) {
        return rans_encode_sized(job, tables, tokens, rows, words, states, 32 / W);
    }
    if (lanes >= W) {
        const struct rans_shape any = {(int)(lanes / W), 0, true};
        return rans_encode_rows(job, tables, tokens, rows, words, states, any);
    }
#endif
    return words;
}

/* ---- whole rows of vectors: decode ------------------------------------------------------------
 */

/* The next state from f, slot - start and x, with its word. */
#ifdef W_RENORM
BODY vu rans_grow(vu f, vu within, unsigned prob_bits, vu x, const uint8_t **words) {
    x = vu_add(vu_mullo(vu_srl(x, (int)prob_bits), f), within);
    return vu_pull_words(words, x, vu_eq(vu_srl(x, 16), vu_set1(0)));
}

#ifdef W_SLOTS
/* A row by in-register tables of slots; size as in rans_shape, prob_bits 9 or 10. */
BODY void rans_decode_slots(const vs *slots, const vt *entries, const int prob_bits, const int size,
                            const int vectors, vu *state, const uint8_t **words, uint8_t *tokens) {
    vu token[64 / W];
    if (vectors == 4) {
        vs_at4(slots, state, prob_bits, token, tokens);
    } else {
        for (int v = 0; v < vectors; v++) {
            token[v] = vs_at(slots, state[v], prob_bits);
            vu_store_u8(tokens + v * W, token[v]);
        }
    }
    for (int v = 0; v < vectors; v++) {
        vu entry = vt_at(entries, token[v], size), x = state[v];
        vu within = vu_and(vu_sub(x, entry), vu_set1((1U << prob_bits) - 1));
        state[v] = rans_grow(vu_srl(entry, 16), within, (unsigned)prob_bits, x, words);
    }
}
#endif

/* A row by one gather from memory per vector. */
BODY void rans_decode_wide(const uint32_t *table, unsigned prob_bits, const int vectors, vu *state,
                           const uint8_t **words, uint8_t *tokens) {
    const vu mask = vu_set1((1U << prob_bits) - 1);
    vu entry[64 / W];
    for (int v = 0; v < vectors; v++) entry[v] = vu_gather(table, vu_and(state[v], mask));
    for (int v = 0; v < vectors; v++) {
        vu f = vu_add(vu_and(vu_srl(entry[v], 8), vu_set1(0xFFF)), vu_set1(1));
        state[v] = rans_grow(f, vu_srl(entry[v], 20), prob_bits, state[v], words);
        vu_store_u8(tokens + v * W, vu_and(entry[v], vu_set1(0xFF)));
    }
}

/* Stops while a whole row's words (and the over-read of the last vector) are surely there.
 * slot_bits: P if slots are found in registers, else 0. */
BODY size_t rans_decode_rows(const struct rans_job *job, const void *tables, uint32_t *states,
                             const uint8_t **words, const uint8_t *end, uint8_t *tokens,
                             size_t rows, const int vectors, const int slot_bits, const int size) {
    vu state[64 / W];
    const size_t lanes = (size_t)vectors * W, per_group = 128 / lanes;
    const uint8_t *p = *words;
    size_t row = 0;
    bool enough = true;
    for (int v = 0; v < vectors; v++) state[v] = vu_load(states + v * W);
    while (row < rows && enough) {
        const size_t group = row / per_group;
        const size_t stop =
            job->classes == NULL || rows < (group + 1) * per_group ? rows : (group + 1) * per_group;
        const unsigned class = job->classes == NULL ? 0 : job->classes[group];
#ifdef W_SLOTS
        if (slot_bits != 0) {
            const struct rans_slots *table = (const struct rans_slots *)tables + class;
            const vs slots = vs_load(table->token, slot_bits);
            const vt entries = vt_load(table->entry, size);
            for (; row < stop && (enough = (size_t)(end - p) >= 2 * lanes + 2 * W); row++) {
                rans_decode_slots(&slots, &entries, slot_bits, size, vectors, state, &p,
                                  tokens + row * lanes);
            }
            continue;
        }
#endif
        const uint32_t *wide = (const uint32_t *)tables + ((size_t)class << job->prob_bits);
        for (; row < stop && (enough = (size_t)(end - p) >= 2 * lanes + 2 * W); row++) {
            rans_decode_wide(wide, job->prob_bits, vectors, state, &p, tokens + row * lanes);
        }
    }
    for (int v = 0; v < vectors; v++) vu_store(states + v * W, state[v]);
    *words = p;
    (void)slot_bits, (void)size;
    return row;
}

BODY size_t rans_decode_sized(const struct rans_job *job, const void *tables, uint32_t *states,
                              const uint8_t **words, const uint8_t *end, uint8_t *tokens,
                              size_t rows, const int vectors) {
#ifdef W_SLOTS
#define RANS_ROWS(bits, size)                                                                      \
    rans_decode_rows(job, tables, states, words, end, tokens, rows, vectors, bits, size)
    if (job->prob_bits == 9 && job->tokens <= 16) return RANS_ROWS(9, 16);
    if (job->prob_bits == 9 && job->tokens <= 32) return RANS_ROWS(9, 32);
    if (job->prob_bits == 9) return RANS_ROWS(9, 64);
    if (job->prob_bits == 10) return RANS_ROWS(10, 64);
#undef RANS_ROWS
#endif
    return rans_decode_rows(job, tables, states, words, end, tokens, rows, vectors, 0, 0);
}
#endif

static const uint8_t *kernel_rans_decode(const struct rans_job *job, void *tables, uint32_t *states,
                                         const uint8_t *words, const uint8_t *end,
                                         uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    const size_t step = job->prob_bits <= RANS_SLOT_BITS ? sizeof(struct rans_slots)
                                                         : sizeof(uint32_t) << job->prob_bits;
    uint8_t *const table = tables;
    size_t i = 0;
    bool bad = false;
    for (unsigned c = 0; c < job->tables; c++) {
        if (job->prob_bits <= RANS_SLOT_BITS) {
            rans_build_slots(job->freq[c], (void *)(table + c * step));
        } else {
            rans_build_wide(job->freq[c], (void *)(table + c * step));
        }
    }
#ifdef W_RENORM
    const size_t rows = job->len >> job->lanes_log2;
    if (lanes == 64) {
        i = lanes * rans_decode_sized(job, tables, states, &words, end, tokens, rows, 64 / W);
    } else if (lanes == 32) {
        i = lanes * rans_decode_sized(job, tables, states, &words, end, tokens, rows, 32 / W);
    } else if (lanes >= W) {
        i = lanes *
            rans_decode_sized(job, tables, states, &words, end, tokens, rows, (int)(lanes / W));
    }
#endif
    for (; i < job->len; i++) {
        const uint8_t *at = table + (job->classes ? job->classes[i >> 7] : 0) * step;
        tokens[i] =
            rans_decode_lane(at, job->prob_bits, &states[i & (lanes - 1)], &words, end, &bad);
    }
    return bad ? NULL : words;
}
