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

/* What stays the same in a loop, as constants of the inlined bodies. */
struct rans_view {
    int vectors;   /* lanes / W */
    int slot_bits; /* P if slots are found in registers, else 0 */
    int size;      /* in-register tables of so many tokens */
};

/* Of one chunk, while rows are decoded. */
struct rans_rows {
    vu state[64 / W];
    const uint8_t *words;
    uint8_t *tokens;
#ifdef W_SLOTS
    vs slots;
    vt entries;
#endif
    const void *table;
};

BODY void rans_rows_begin(struct rans_rows *r, const struct rans_stream *stream, uint8_t *tokens,
                          const int vectors) {
    for (int v = 0; v < vectors; v++) r->state[v] = vu_load(stream->states + v * W);
    r->words = stream->words;
    r->tokens = tokens;
}

BODY void rans_rows_end(const struct rans_rows *r, struct rans_stream *stream, const int vectors) {
    for (int v = 0; v < vectors; v++) vu_store(stream->states + v * W, r->state[v]);
    stream->words = r->words;
}

BODY void rans_rows_class(struct rans_rows *r, const struct rans_job *job, const void *tables,
                          size_t element, const struct rans_view view) {
    const unsigned class = job->classes == NULL ? 0 : job->classes[element >> 7];
#ifdef W_SLOTS
    if (view.slot_bits != 0) {
        const struct rans_slots *table = (const struct rans_slots *)tables + class;
        r->slots = vs_load(table->token, view.slot_bits);
        r->entries = vt_load(table->entry, view.size);
        return;
    }
#endif
    (void)view;
    r->table = (const uint32_t *)tables + ((size_t)class << job->prob_bits);
}

BODY void rans_row(struct rans_rows *r, unsigned prob_bits, const struct rans_view view) {
#ifdef W_SLOTS
    if (view.slot_bits != 0) {
        rans_decode_slots(&r->slots, &r->entries, view.slot_bits, view.size, view.vectors, r->state,
                          &r->words, r->tokens);
        r->tokens += view.vectors * W;
        return;
    }
#endif
    rans_decode_wide(r->table, prob_bits, view.vectors, r->state, &r->words, r->tokens);
    r->tokens += view.vectors * W;
}

/* True while a whole row's words, and the over-read of the last vector, are surely there. */
BODY bool rans_row_fits(const struct rans_rows *r, const struct rans_stream *stream,
                        const int vectors) {
    return (size_t)(stream->end - r->words) >= (size_t)(2 * vectors + 2) * W;
}

/* Whole rows of one chunk, or of two in turn, from stream[0]->at on; both stand at the same
 * element. Stops before `to` at a last, partial row, or where words may run out. */
BODY void rans_decode_rows(const struct rans_job *job, const void *const *tables,
                           struct rans_stream *const *stream, size_t to, uint8_t *const *tokens,
                           const int chunks, const struct rans_view view) {
    const size_t lanes = (size_t)view.vectors * W, first = stream[0]->at;
    const size_t end = first + (to - first) / lanes * lanes;
    const bool classes = job[0].classes != NULL || job[chunks - 1].classes != NULL;
    struct rans_rows rows[2];
    size_t i = first;
    bool fits = true;
    for (int c = 0; c < chunks; c++) rans_rows_begin(&rows[c], stream[c], tokens[c], view.vectors);
    while (i < end && fits) {
        const size_t stop = classes && end - i > 128 ? i + 128 : end;
        for (int c = 0; c < chunks; c++) rans_rows_class(&rows[c], &job[c], tables[c], i, view);
        for (; i < stop; i += lanes) {
            for (int c = 0; c < chunks; c++) {
                fits = fits && rans_row_fits(&rows[c], stream[c], view.vectors);
            }
            if (!fits) break;
            for (int c = 0; c < chunks; c++) rans_row(&rows[c], job[c].prob_bits, view);
        }
    }
    for (int c = 0; c < chunks; c++) {
        rans_rows_end(&rows[c], stream[c], view.vectors);
        stream[c]->at = i;
    }
}

/* The common shapes get loops of their own. */
BODY void rans_decode_shaped(const struct rans_job *job, const void *const *tables,
                             struct rans_stream *const *stream, size_t to, uint8_t *const *tokens,
                             const int chunks, const int vectors) {
#ifdef W_SLOTS
#define RANS_ROWS(bits, size)                                                                      \
    rans_decode_rows(job, tables, stream, to, tokens, chunks,                                      \
                     (struct rans_view){vectors, bits, size})
    const unsigned most =
        job[0].tokens > job[chunks - 1].tokens ? job[0].tokens : job[chunks - 1].tokens;
    if (job->prob_bits == 9 && most <= 16) {
        RANS_ROWS(9, 16);
    } else if (job->prob_bits == 9 && most <= 32) {
        RANS_ROWS(9, 32);
    } else if (job->prob_bits == 9) {
        RANS_ROWS(9, 64);
    } else if (job->prob_bits == 10) {
        RANS_ROWS(10, 64);
    } else {
        RANS_ROWS(0, 0);
    }
#undef RANS_ROWS
#else
    rans_decode_rows(job, tables, stream, to, tokens, chunks, (struct rans_view){vectors, 0, 0});
#endif
}
#endif

static void kernel_rans_tables(const struct rans_job *job, void *tables) {
    for (unsigned c = 0; c < job->tables; c++) {
        if (job->prob_bits <= RANS_SLOT_BITS) {
            rans_build_slots(job->freq[c], (struct rans_slots *)tables + c);
        } else {
            rans_build_wide(job->freq[c], (uint32_t *)tables + ((size_t)c << job->prob_bits));
        }
    }
}

static void kernel_rans_decode(const struct rans_job *job, const void *tables,
                               struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2, from = stream->at;
    const size_t step = job->prob_bits <= RANS_SLOT_BITS ? sizeof(struct rans_slots)
                                                         : sizeof(uint32_t) << job->prob_bits;
#ifdef W_RENORM
    if (lanes == 64) {
        rans_decode_shaped(job, &tables, &stream, to, &tokens, 1, 64 / W);
    } else if (lanes == 32) {
        rans_decode_shaped(job, &tables, &stream, to, &tokens, 1, 32 / W);
    } else if (lanes >= W) {
        rans_decode_shaped(job, &tables, &stream, to, &tokens, 1, (int)(lanes / W));
    }
#endif
    for (; stream->at < to; stream->at++) {
        const size_t i = stream->at;
        const uint8_t *table =
            (const uint8_t *)tables + (job->classes ? job->classes[i >> 7] : 0) * step;
        tokens[i - from] = rans_decode_lane(table, job->prob_bits, &stream->states[i & (lanes - 1)],
                                            &stream->words, stream->end, &stream->bad);
    }
}

static void kernel_rans_decode_two(const struct rans_job job[2], const void *const tables[2],
                                   struct rans_stream *const stream[2], size_t to,
                                   uint8_t *const tokens[2]) {
    const size_t from = stream[0]->at;
#ifdef W_SLOTS
    if (job[0].lanes_log2 == 6 && job[1].lanes_log2 == 6 && job[0].prob_bits == job[1].prob_bits &&
        stream[1]->at == from) {
        rans_decode_shaped(job, tables, stream, to, tokens, 2, 64 / W);
    }
#endif
    for (int c = 0; c < 2; c++) {
        kernel_rans_decode(&job[c], tables[c], stream[c], to, tokens[c] + (stream[c]->at - from));
    }
}
