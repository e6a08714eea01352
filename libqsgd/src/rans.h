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
    table->lane[t] = (struct rans_lane_symbol){
        .rcp = (uint32_t)rcp,
        .plus = plus != 0 ? (uint32_t)rcp : 0,
        .most = (uint16_t)(f - 1),
        .start = (uint16_t)start,
        .rest = (uint16_t)((1U << prob_bits) - f),
        .shift = (uint16_t)(32 + shift),
    };
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

/* What a decoder looks up. Where slots are found in registers: 2^P tokens, and f and start of each
 * of 64 tokens. Else: token | (f - 1) << 8 | (slot - start) << 20 of each slot. */
#ifdef W_SLOTS
#define RANS_SLOT_BITS 10 /* the largest P that does */
#else
#define RANS_SLOT_BITS 0
#endif

struct rans_slots {
    _Alignas(64) uint8_t token[1024];
    uint32_t freq[64], start[64];
};

BODY void rans_build_slots(const uint16_t *freq, struct rans_slots *slots) {
    uint32_t start = 0;
    for (uint32_t t = 0; t < 64; t++) {
        const uint32_t f = freq[t];
        slots->freq[t] = f;
        slots->start[t] = start;
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

BODY size_t rans_table_bytes(unsigned prob_bits) {
    return prob_bits <= RANS_SLOT_BITS ? sizeof(struct rans_slots) : sizeof(uint32_t) << prob_bits;
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

BODY uint8_t rans_decode_lane(const void *table, unsigned prob_bits, uint32_t *state,
                              const uint8_t **words, const uint8_t *end) {
    const uint32_t x = *state, mask = (1U << prob_bits) - 1;
    if (prob_bits <= RANS_SLOT_BITS) {
        const struct rans_slots *slots = table;
        const uint8_t token = slots->token[x & mask];
        const uint32_t within = (x - slots->start[token]) & mask;
        const uint32_t next = (x >> prob_bits) * slots->freq[token] + within;
        *state = rans_refill_lane(next, words, end);
        return token;
    }
    const uint32_t entry = ((const uint32_t *)table)[x & mask];
    const uint32_t next = (x >> prob_bits) * ((entry >> 8 & 0xFFF) + 1) + (entry >> 20);
    *state = rans_refill_lane(next, words, end);
    return (uint8_t)entry;
}

/* ---- rows of few lanes ------------------------------------------------------------------------
 */

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
BODY void rans_decode_narrow(const struct rans_job *job, const void *tables, size_t table_bytes,
                             struct rans_stream *stream, size_t to, uint8_t *tokens,
                             const size_t lanes) {
    const uint8_t *words = stream->words[0], *const end = stream->end[0];
    const unsigned prob_bits = job->prob_bits;
    uint32_t x[8];
    for (size_t l = 0; l < lanes; l++) x[l] = stream->states[l];
    for (size_t i = stream->at; i < to; i += lanes, tokens += lanes) {
        const uint8_t *table =
            (const uint8_t *)tables + (job->classes ? job->classes[i >> 7] : 0) * table_bytes;
        for (size_t l = 0; l < lanes; l++) {
            tokens[l] = rans_decode_lane(table, prob_bits, &x[l], &words, end);
        }
    }
    for (size_t l = 0; l < lanes; l++) stream->states[l] = x[l];
    stream->words[0] = words;
    stream->at = to;
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

/* Which group's words a vector's lanes take. */
BODY int rans_group_of(const int vector) { return vector * W / RANS_GROUP_LANES; }

/* Puts out the words of a row's lanes that would overflow, from the last lane to the first. */
BODY void rans_shrink(vu *state, const vu *entry, unsigned prob_bits, const int vectors,
                      uint16_t **words) {
    vm full[64 / W];
    vu x[64 / W];
    for (int v = 0; v < vectors; v++) { /* below 2^12, so that a signed comparison will do */
        x[v] = state[v];
        full[v] =
            vu_gt31(vu_srl(x[v], (int)(32 - prob_bits)), vu_srl(entry[v], (int)(32 - prob_bits)));
        state[v] = vu_select(full[v], vu_srl(x[v], 16), x[v]);
    }
    for (int v = vectors - 1; v >= 0; v--) {
        uint16_t **group = &words[rans_group_of(v)];
        *group = vu_push_words(*group, x[v], full[v]);
    }
}

/* Rows of `vectors` * W lanes, from the last to the first. */
BODY void rans_encode_rows(const struct rans_job *job, const struct rans_symbol_table *tables,
                           const uint8_t *tokens, size_t rows, uint16_t **ends, uint32_t *states,
                           const struct rans_shape shape) {
    vu state[64 / W];
    const int vectors = shape.vectors, size = shape.size == 0 ? 16 : shape.size;
    const size_t lanes = (size_t)vectors * W, per_group = 128 / lanes;
    const struct rans_symbol_table *table = tables;
    vt entries = vt_load(table->entry, size), rcps = vt_load(table->rcp, size);
    uint16_t *words[RANS_GROUPS]; /* copies, which stay in registers */
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) words[g] = ends[g];
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
            rans_shrink(state, entry, job->prob_bits, vectors, words);
            for (int v = 0; v < vectors; v++) {
                state[v] =
                    rans_encode_vector(entry[v], rcp[v], job->prob_bits, shape.plus, state[v]);
            }
        }
    }
    for (int v = 0; v < vectors; v++) vu_store(states + v * W, state[v]);
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) ends[g] = words[g];
}

/* The common shapes get loops of their own. */
BODY void rans_encode_sized(const struct rans_job *job, const struct rans_symbol_table *tables,
                            const uint8_t *tokens, size_t rows, uint16_t **words, uint32_t *states,
                            const int vectors) {
#if W_TABLE >= 64
    if (job->plus) {
        if (job->tokens <= 16) {
            const struct rans_shape small_plus = {vectors, 16, true};
            rans_encode_rows(job, tables, tokens, rows, words, states, small_plus);
        } else if (job->tokens <= 32) {
            const struct rans_shape medium_plus = {vectors, 32, true};
            rans_encode_rows(job, tables, tokens, rows, words, states, medium_plus);
        } else {
            const struct rans_shape large_plus = {vectors, 64, true};
            rans_encode_rows(job, tables, tokens, rows, words, states, large_plus);
        }
        return;
    }
#endif
    if (job->plus) {
        const struct rans_shape any = {vectors, 0, true};
        rans_encode_rows(job, tables, tokens, rows, words, states, any);
    } else if (job->tokens <= 16) {
        const struct rans_shape small = {vectors, 16, false};
        rans_encode_rows(job, tables, tokens, rows, words, states, small);
#if W_TABLE >= 64
    } else if (job->tokens <= 32) {
        const struct rans_shape medium = {vectors, 32, false};
        rans_encode_rows(job, tables, tokens, rows, words, states, medium);
    } else {
        const struct rans_shape large = {vectors, 64, false};
        rans_encode_rows(job, tables, tokens, rows, words, states, large);
    }
#else
    } else {
        const struct rans_shape large = {vectors, 0, false};
        rans_encode_rows(job, tables, tokens, rows, words, states, large);
    }
#endif
}
#endif

static void kernel_rans_encode(const struct rans_job *job, const struct rans_symbol_table *tables,
                               const uint8_t *tokens, uint16_t *words[RANS_GROUPS],
                               uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    size_t rows = job->len >> job->lanes_log2, i = job->len;
#ifdef W_RENORM
    if (lanes > 8 && lanes < W) rows = 0;
#else
    if (lanes > 8) rows = 0;
#endif
    while (i > rows * lanes) {
        i--;
        const struct rans_symbol_table *table = tables + (job->classes ? job->classes[i >> 7] : 0);
        const size_t lane = i & (lanes - 1);
        uint16_t **group = &words[lane / RANS_GROUP_LANES];
        *group = rans_encode_lane(table, tokens[i], job->prob_bits, &states[lane], *group);
    }
    if (lanes == 1) {
        words[0] = rans_encode_narrow(job, tables, tokens, rows, words[0], states, 1);
    } else if (lanes == 2) {
        words[0] = rans_encode_narrow(job, tables, tokens, rows, words[0], states, 2);
    } else if (lanes == 4) {
        words[0] = rans_encode_narrow(job, tables, tokens, rows, words[0], states, 4);
    } else if (lanes == 8) {
        words[0] = rans_encode_narrow(job, tables, tokens, rows, words[0], states, 8);
    }
#ifdef W_RENORM
    if (lanes == 64) {
        rans_encode_sized(job, tables, tokens, rows, words, states, 64 / W);
    } else if (lanes == 32) {
        rans_encode_sized(job, tables, tokens, rows, words, states, 32 / W);
    } else if (lanes == 16) {
        rans_encode_sized(job, tables, tokens, rows, words, states, 16 / W);
    }
#endif
}

/* ---- whole rows of vectors: decode ------------------------------------------------------------
 */

#ifdef W_RENORM
/* What stays the same in a loop, as constants of the inlined bodies. */
struct rans_view {
    int vectors;   /* lanes / W */
    int slot_bits; /* P if slots are found in registers, else 0 */
    int size;      /* in-register tables of so many tokens */
};

/* Of one chunk, while rows are decoded. */
struct rans_rows {
    vu state[64 / W];
    vu found[64 / W]; /* of the row at hand: tokens, or entries of the wide table */
    const uint8_t *words[RANS_GROUPS];
    uint8_t *tokens;
#ifdef W_SLOTS
    vs slots;
    vt freqs, starts;
#endif
    const uint32_t *table;
};

/* A row's slots: their tokens, which are stored. */
BODY void rans_row_find(struct rans_rows *r, unsigned prob_bits, const struct rans_view view) {
    const int vectors = view.vectors;
#ifdef W_SLOTS
    for (int v = 0; view.slot_bits != 0 && v < vectors; v++) {
        r->found[v] = vs_at(&r->slots, r->state[v], view.slot_bits);
        vu_store_u8(r->tokens + v * W, r->found[v]);
    }
    if (view.slot_bits != 0) return;
#endif
    const vu mask = vu_set1((1U << prob_bits) - 1);
    for (int v = 0; v < vectors; v++) {
        r->found[v] = vu_gather(r->table, vu_and(r->state[v], mask));
        vu_store_u8(r->tokens + v * W, vu_and(r->found[v], vu_set1(0xFF)));
    }
}

/* The states after a row, with the words that they take. */
BODY void rans_row_step(struct rans_rows *r, unsigned prob_bits, const struct rans_view view) {
    for (int v = 0; v < view.vectors; v++) {
        vu x = r->state[v], f, within;
#ifdef W_SLOTS
        if (view.slot_bits != 0) {
            f = vt_at(&r->freqs, r->found[v], view.size);
            within = vu_and(vu_sub(x, vt_at(&r->starts, r->found[v], view.size)),
                            vu_set1((1U << view.slot_bits) - 1));
            x = vu_srl(x, view.slot_bits);
        } else
#endif
        {
            f = vu_add(vu_and(vu_srl(r->found[v], 8), vu_set1(0xFFF)), vu_set1(1));
            within = vu_srl(r->found[v], 20);
            x = vu_srl(x, (int)prob_bits);
        }
        x = vu_add(vu_mullo(x, f), within);
        r->state[v] = vu_pull_words(&r->words[rans_group_of(v)], x, vu_below_2_16(x));
    }
    r->tokens += view.vectors * W;
}

BODY void rans_rows_begin(struct rans_rows *r, const struct rans_stream *stream, uint8_t *tokens,
                          const int vectors) {
    for (int v = 0; v < vectors; v++) r->state[v] = vu_load(stream->states + v * W);
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) r->words[g] = stream->words[g];
    r->tokens = tokens;
}

BODY void rans_rows_end(const struct rans_rows *r, struct rans_stream *stream, const int vectors) {
    for (int v = 0; v < vectors; v++) vu_store(stream->states + v * W, r->state[v]);
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) stream->words[g] = r->words[g];
}

BODY void rans_rows_class(struct rans_rows *r, const struct rans_job *job, const void *tables,
                          size_t element, const struct rans_view view) {
    const unsigned class = job->classes == NULL ? 0 : job->classes[element >> 7];
#ifdef W_SLOTS
    if (view.slot_bits != 0) {
        const struct rans_slots *table = (const struct rans_slots *)tables + class;
        r->slots = vs_load(table->token, view.slot_bits);
        r->freqs = vt_load(table->freq, view.size);
        r->starts = vt_load(table->start, view.size);
        return;
    }
#endif
    (void)view;
    r->table = (const uint32_t *)tables + ((size_t)class << job->prob_bits);
}

/* Rows that one group's words surely last for, and what vectors read beyond them. Near their end
 * the words move to the stream's pad. There they may run out and nothing worse than zeros be read.
 */
BODY size_t rans_group_rows(const uint8_t **words, struct rans_stream *stream, int g) {
    const size_t row = 2 * RANS_GROUP_LANES, beyond = 2 * W;
    if (*words > stream->end[g]) return 0;
    const size_t left = (size_t)(stream->end[g] - *words);
    if (!stream->padded[g] && left >= row + beyond) return (left - beyond) / row;
    if (!stream->padded[g]) {
        memset(stream->pad[g], 0, RANS_PAD);
        memcpy(stream->pad[g], *words, left);
        *words = stream->pad[g];
        stream->end[g] = stream->pad[g] + left;
        stream->padded[g] = true;
    }
    return (RANS_PAD - (size_t)(*words - stream->pad[g]) - beyond) / row;
}

BODY size_t rans_rows_left(struct rans_rows *r, struct rans_stream *stream, const int vectors) {
    size_t rows = SIZE_MAX;
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) {
        const size_t most = rans_group_rows(&r->words[g], stream, g);
        rows = most < rows ? most : rows;
    }
    return rows;
}

/* Whole rows of one chunk, or of two in turn, from stream[0]->at on; both stand at the same
 * element. Stops before `to` at a last, partial row, or where words may run out. a and b are
 * variables, not an array, so that compilers keep them in registers. */
BODY void rans_decode_rows(const struct rans_job *job, const void *const *tables,
                           struct rans_stream *const *stream, size_t to, uint8_t *const *tokens,
                           const bool two, const struct rans_view view) {
    const size_t lanes = (size_t)view.vectors * W, first = stream[0]->at;
    const size_t end = first + (to - first) / lanes * lanes;
    const bool classes = job[0].classes != NULL || (two && job[1].classes != NULL);
    const unsigned prob_bits = job[0].prob_bits;
    struct rans_rows a, b;
    size_t i = first, safe = 0;
    rans_rows_begin(&a, stream[0], tokens[0], view.vectors);
    if (two) rans_rows_begin(&b, stream[1], tokens[1], view.vectors);
    while (i < end) {
        size_t stop = classes && end - i > 128 - i % 128 ? i + 128 - i % 128 : end;
        if (safe == 0) {
            safe = rans_rows_left(&a, stream[0], view.vectors);
            const size_t other = two ? rans_rows_left(&b, stream[1], view.vectors) : safe;
            safe = other < safe ? other : safe;
            if (safe == 0) break;
        }
        if ((stop - i) / lanes > safe) stop = i + safe * lanes;
        safe -= (stop - i) / lanes;
        rans_rows_class(&a, &job[0], tables[0], i, view);
        if (two) rans_rows_class(&b, &job[1], tables[1], i, view);
        for (; i < stop; i += lanes) {
            rans_row_find(&a, prob_bits, view);
            if (two) rans_row_find(&b, prob_bits, view);
            rans_row_step(&a, prob_bits, view);
            if (two) rans_row_step(&b, prob_bits, view);
        }
    }
    rans_rows_end(&a, stream[0], view.vectors);
    stream[0]->at = i;
    if (!two) return;
    rans_rows_end(&b, stream[1], view.vectors);
    stream[1]->at = i;
}

/* The common shapes get loops of their own. */
BODY void rans_decode_shaped(const struct rans_job *job, const void *const *tables,
                             struct rans_stream *const *stream, size_t to, uint8_t *const *tokens,
                             const bool two, const int vectors) {
#ifdef W_SLOTS
#define RANS_ROWS(bits, size)                                                                      \
    rans_decode_rows(job, tables, stream, to, tokens, two, (struct rans_view){vectors, bits, size})
    const unsigned most = two && job[1].tokens > job[0].tokens ? job[1].tokens : job[0].tokens;
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
    rans_decode_rows(job, tables, stream, to, tokens, two, (struct rans_view){vectors, 0, 0});
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

/* Elements [stream->at, to), lane by lane; in copies that the compiler knows to be its own. */
static void rans_decode_lanes(const struct rans_job *job, const void *tables,
                              struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    const size_t step = rans_table_bytes(job->prob_bits);
    const unsigned prob_bits = job->prob_bits;
    uint32_t states[RANS_LANES];
    const uint8_t *words[RANS_GROUPS];
    memcpy(states, stream->states, lanes * sizeof *states);
    memcpy(words, stream->words, sizeof words);
    for (size_t i = stream->at; i < to; i++) {
        const uint8_t *table =
            (const uint8_t *)tables + (job->classes ? job->classes[i >> 7] : 0) * step;
        const size_t lane = i & (lanes - 1), g = lane / RANS_GROUP_LANES;
        *tokens++ = rans_decode_lane(table, prob_bits, &states[lane], &words[g], stream->end[g]);
    }
    memcpy(stream->states, states, lanes * sizeof *states);
    memcpy(stream->words, words, sizeof words);
    stream->at = to;
}

static void kernel_rans_decode(const struct rans_job *job, const void *tables,
                               struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2, from = stream->at;
#ifdef W_RENORM
    if (lanes == 64) {
        rans_decode_shaped(job, &tables, &stream, to, &tokens, false, 64 / W);
    } else if (lanes == 32) {
        rans_decode_shaped(job, &tables, &stream, to, &tokens, false, 32 / W);
    } else if (lanes == 16) {
        rans_decode_shaped(job, &tables, &stream, to, &tokens, false, 16 / W);
    }
#endif
    const size_t whole = from + (to - from) / lanes * lanes;
    const size_t bytes = rans_table_bytes(job->prob_bits);
    if (lanes == 1) {
        rans_decode_narrow(job, tables, bytes, stream, whole, tokens, 1);
    } else if (lanes == 2) {
        rans_decode_narrow(job, tables, bytes, stream, whole, tokens, 2);
    } else if (lanes == 4) {
        rans_decode_narrow(job, tables, bytes, stream, whole, tokens, 4);
    } else if (lanes == 8) {
        rans_decode_narrow(job, tables, bytes, stream, whole, tokens, 8);
    }
    if (stream->at < to) {
        rans_decode_lanes(job, tables, stream, to, tokens + (stream->at - from));
    }
    for (size_t l = 0; l < lanes; l += RANS_GROUP_LANES) {
        const size_t g = l / RANS_GROUP_LANES;
        stream->bad |= stream->words[g] > stream->end[g];
    }
}

static void kernel_rans_decode_two(const struct rans_job job[2], const void *const tables[2],
                                   struct rans_stream *const stream[2], size_t to,
                                   uint8_t *const tokens[2]) {
    const size_t from = stream[0]->at;
#ifdef W_SLOTS
    if (job[0].lanes_log2 == 6 && job[1].lanes_log2 == 6 && job[0].prob_bits == job[1].prob_bits &&
        stream[1]->at == from) {
        rans_decode_shaped(job, tables, stream, to, tokens, true, 64 / W);
    }
#endif
    for (int c = 0; c < 2; c++) {
        kernel_rans_decode(&job[c], tables[c], stream[c], to, tokens[c] + (stream[c]->at - from));
    }
}
