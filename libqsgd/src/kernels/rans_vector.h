/* Interleaved rANS, whole rows of vectors, where the vocabulary can exchange words with memory
 * (W_RENORM). Sixteen lanes take their words from one stream, so that no vector waits for how many
 * the one before it took. */
#ifndef QSGD_KERNELS_RANS_VECTOR_H
#define QSGD_KERNELS_RANS_VECTOR_H

#include "kernels/rans_scalar.h"

/* ---- whole rows of vectors: encode ---------------------------------------------------------- */

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
#define RANS_ROWS(size, plus)                                                                      \
    rans_encode_rows(job, tables, tokens, rows, words, states,                                     \
                     (struct rans_shape){vectors, size, plus})
#if W_TABLE >= 64
    if (job->plus && job->tokens <= 16) {
        RANS_ROWS(16, true);
    } else if (job->plus && job->tokens <= 32) {
        RANS_ROWS(32, true);
    } else if (job->plus) {
        RANS_ROWS(64, true);
    } else if (job->tokens <= 16) {
        RANS_ROWS(16, false);
    } else if (job->tokens <= 32) {
        RANS_ROWS(32, false);
    } else {
        RANS_ROWS(64, false);
    }
#else
    if (job->plus) {
        RANS_ROWS(0, true);
    } else if (job->tokens <= 16) {
        RANS_ROWS(16, false);
    } else {
        RANS_ROWS(0, false);
    }
#endif
#undef RANS_ROWS
}
#endif

/* ---- whole rows of vectors: decode ---------------------------------------------------------- */

#ifdef W_RENORM
/* What stays the same in a loop, as constants of the inlined bodies. */
struct rans_view {
    int vectors;   /* lanes / W */
    int slot_bits; /* of what is looked up in registers: P, or P + 1; 0: in memory */
    int size;      /* in-register tables of so many symbols */
    bool halves;   /* some class is split; slot_bits: P + 1 */
    bool packed;   /* four vectors' slots are looked up at once */
    bool starts;   /* slots are compared with where tokens start */
};

/* Of one chunk, while rows are decoded. */
struct rans_rows {
    vu state[64 / W];
    vu found[64 / W]; /* of the row at hand: symbols, or entries of the wide table */
    const uint8_t *words[RANS_GROUPS];
    uint8_t *tokens;
    const uint8_t *halves; /* of the row's elements */
    uint32_t split;        /* RANS_HALF if the class at hand is split, else 0 */
#ifdef W_SLOTS
    const uint8_t *slots;
    vt rests, starts;
#endif
    const uint32_t *table;
};

/* Slots of a row, in the low bits, and above them the halves of a split class. */
BODY void rans_row_slots(struct rans_rows *r, unsigned prob_bits, const struct rans_view view,
                         vu *slot) {
    const vu mask = vu_set1((1U << prob_bits) - 1), split = vu_set1(r->split);
    for (int v = 0; v < view.vectors; v++) {
        slot[v] = view.slot_bits != 0 && !view.halves ? r->state[v] : vu_and(r->state[v], mask);
        if (!view.halves) continue;
        const vu half = vu_and(vu_load_u8(r->halves + v * W), split);
        slot[v] = vu_or(slot[v], vu_sll(half, (int)prob_bits - 5));
    }
}

_Static_assert(RANS_HALF == 1 << 5, "halves move from bit 5 to bit P");

/* A row's slots: their tokens, which are stored. */
BODY void rans_row_find(struct rans_rows *r, unsigned prob_bits, const struct rans_view view) {
    const int vectors = view.vectors;
    vu slot[64 / W];
    rans_row_slots(r, prob_bits, view, slot);
#ifdef W_SLOTS
    if (view.packed) {
        const vu token = view.halves ? vu_set1(0x3F3F3F3F - r->split * 0x01010101) : vu_set1(0);
        r->found[0] = vs_at4(r->slots, slot, view.slot_bits);
        vu_store_bytes4(r->tokens, view.halves ? vu_and(r->found[0], token) : r->found[0]);
        for (int v = 1; v < 4; v++) r->found[v] = vu_srl(r->found[0], 8 * v);
        return;
    }
    for (int v = 0; view.slot_bits != 0 && v < vectors; v++) {
        const vu token = view.halves ? vu_set1(0x3F - r->split) : vu_set1(0);
        r->found[v] = vs_at(r->slots, slot[v], view.slot_bits);
        vu_store_u8(r->tokens + v * W, view.halves ? vu_and(r->found[v], token) : r->found[v]);
    }
    if (view.slot_bits != 0) return;
#endif
    for (int v = 0; v < vectors; v++) {
        r->found[v] = vu_gather(r->table, slot[v]);
        vu_store_u8(r->tokens + v * W, vu_and(r->found[v], vu_set1(0xFF)));
    }
}

/* The states after a row, with the words that they take. */
BODY void rans_row_step(struct rans_rows *r, unsigned prob_bits, const struct rans_view view) {
    for (int v = 0; v < view.vectors; v++) {
        vu x = r->state[v];
#ifdef W_SLOTS
        if (view.slot_bits != 0) {
            const vu rest = vt_at(&r->rests, r->found[v], view.size);
            x = vu_sub(vu_sub(x, vt_at(&r->starts, r->found[v], view.size)),
                       vu_mullo(vu_srl(x, view.slot_bits - view.halves), rest));
        } else
#endif
        {
            const vu f = vu_add(vu_and(vu_srl(r->found[v], 8), vu_set1(0xFFF)), vu_set1(1));
            x = vu_add(vu_mullo(vu_srl(x, (int)prob_bits), f), vu_srl(r->found[v], 20));
        }
        r->state[v] = vu_pull_words(&r->words[rans_group_of(v)], x, vu_below_2_16(x));
    }
    r->tokens += view.vectors * W;
    if (view.halves) r->halves += view.vectors * W;
}

#ifdef W_STARTS
#define RANS_EACH for (int c = 0; c < chains; c++)

/* Both for four vectors at a time, `chains` of them in step: each waits for most of its own steps,
 * and processors look only so far ahead for others. */
BODY void rans_compare(struct rans_rows *const r[2], const int first[2], const int chains) {
    const struct rans_starts *s[2];
    vb slot[2], q[2], i[2], m[2];
    vu rest[2][4], start[2][4];
    RANS_EACH s[c] = (const struct rans_starts *)(const void *)(r[c]->table + 256);
    RANS_EACH slot[c] = vb_xor(vb_low_bytes(r[c]->state + first[c]), vb_set1(0x80));
    RANS_EACH m[c] = vb_add(vb_greater(slot[c], vb_load(s[c]->fourth[0])),
                            vb_greater(slot[c], vb_load(s[c]->fourth[1])));
    RANS_EACH q[c] =
        vb_sub(vb_sub(vb_set1(0), vb_greater(slot[c], vb_load(s[c]->fourth[2]))), m[c]);
    RANS_EACH i[c] = vb_add(vb_add(q[c], q[c]), vb_add(q[c], q[c]));
    RANS_EACH m[c] = vb_add(vb_greater(slot[c], vb_look_up(vb_row(s[c]->within[0]), q[c])),
                            vb_greater(slot[c], vb_look_up(vb_row(s[c]->within[1]), q[c])));
    RANS_EACH i[c] =
        vb_sub(vb_sub(i[c], vb_greater(slot[c], vb_look_up(vb_row(s[c]->within[2]), q[c]))), m[c]);
    RANS_EACH {
        vb_to_lanes(vb_look_up(vb_row(s[c]->rest), i[c]), rest[c]);
        vb_to_lanes(vb_look_up(vb_row(s[c]->start), i[c]), start[c]);
        vb_store_lanes(r[c]->tokens + first[c] * W, vb_look_up(vb_row(s[c]->token), i[c]));
    }
    for (int j = 0; j < 4; j++) {
        RANS_EACH {
            const int v = first[c] + j;
            vu x = r[c]->state[v];
            x = vu_sub(vu_sub(x, start[c][j]), vu_mullo(vu_srl(x, 8), rest[c][j]));
            r[c]->state[v] = vu_pull_words(&r[c]->words[rans_group_of(v)], x, vu_below_2_16(x));
        }
    }
}

BODY void rans_row_compare(struct rans_rows *a, struct rans_rows *b, const bool two,
                           const struct rans_view view) {
    if (two) {
        rans_compare((struct rans_rows *[2]){a, b}, (int[2]){0, 0}, 2);
        if (view.vectors == 8) rans_compare((struct rans_rows *[2]){a, b}, (int[2]){4, 4}, 2);
    } else {
        rans_compare((struct rans_rows *[2]){a, a}, (int[2]){0, 4}, view.vectors / 4);
    }
    a->tokens += view.vectors * W;
    if (two) b->tokens += view.vectors * W;
}
#undef RANS_EACH
#endif

BODY void rans_rows_begin(struct rans_rows *r, const struct rans_stream *stream, uint8_t *tokens,
                          const int vectors) {
    for (int v = 0; v < vectors; v++) r->state[v] = vu_load(stream->states + v * W);
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) r->words[g] = stream->words[g];
    r->tokens = tokens;
    r->halves = stream->halves;
}

BODY void rans_rows_end(const struct rans_rows *r, struct rans_stream *stream, const int vectors) {
    for (int v = 0; v < vectors; v++) vu_store(stream->states + v * W, r->state[v]);
    for (int g = 0; g <= rans_group_of(vectors - 1); g++) stream->words[g] = r->words[g];
    stream->halves = r->halves;
}

BODY void rans_rows_class(struct rans_rows *r, const struct rans_job *job, const void *tables,
                          size_t element, const struct rans_view view) {
    const unsigned class = job->classes == NULL ? 0 : job->classes[element >> 7];
    r->split = rans_split_of(job, class);
#ifdef W_SLOTS
    if (view.slot_bits != 0) {
        const struct rans_slots *table = (const struct rans_slots *)tables + class;
        r->slots = table->token;
        r->rests = vt_load(table->rest, view.size);
        r->starts = vt_load(table->start, view.size);
        return;
    }
#endif
    (void)view;
    r->table =
        (const uint32_t *)(const void *)((const uint8_t *)tables + class * rans_table_bytes(job));
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
#ifdef W_STARTS
        for (; view.starts && i < stop; i += lanes) rans_row_compare(&a, &b, two, view);
#endif
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
    const unsigned bits = job->prob_bits;
    const unsigned most = two && job[1].tokens > job[0].tokens ? job[1].tokens : job[0].tokens;
#define RANS_ROWS(...)                                                                             \
    rans_decode_rows(job, tables, stream, to, tokens, two,                                         \
                     (struct rans_view){.vectors = vectors, __VA_ARGS__})
#if defined(W_SLOTS)
    if (job[0].split != 0 && bits == 8) {
        RANS_ROWS(.slot_bits = 9, .size = 64, .halves = true);
    } else if (job[0].split != 0 && bits == 9) {
        RANS_ROWS(.slot_bits = 10, .size = 64, .halves = true, .packed = vectors == 4);
    } else if (job[0].split != 0) {
        RANS_ROWS(.halves = true);
    } else if (bits == 8 && most <= 16) {
        RANS_ROWS(.slot_bits = 8, .size = 16);
    } else if (bits == 8) {
        RANS_ROWS(.slot_bits = 8, .size = 64);
    } else if (bits == 9 && most <= 16) {
        RANS_ROWS(.slot_bits = 9, .size = 16);
    } else if (bits == 9 && most <= 32) {
        RANS_ROWS(.slot_bits = 9, .size = 32);
    } else if (bits == 9) {
        RANS_ROWS(.slot_bits = 9, .size = 64);
    } else if (bits == 10) {
        RANS_ROWS(.slot_bits = 10, .size = 64, .packed = two && vectors == 4);
    } else {
        RANS_ROWS(.slot_bits = 0);
    }
#else
    (void)bits, (void)most;
    if (job[0].split != 0) {
        RANS_ROWS(.halves = true);
#ifdef W_STARTS
    } else if (bits == 8 && most <= 16 && vectors % 4 == 0) {
        RANS_ROWS(.starts = true);
#endif
    } else {
        RANS_ROWS(.starts = false);
    }
#endif
#undef RANS_ROWS
}
#endif

#endif
