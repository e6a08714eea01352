/* Interleaved rANS by rows of vectors: words to tokens (rans_rows.h), the inverse of rans_write.h.
 */
#ifndef QSGD_KERNELS_RANS_READ_H
#define QSGD_KERNELS_RANS_READ_H

#include "kernels/rans_rows.h"
#include "kernels/rans_scalar.h"

#ifdef W_RENORM
/* What stays the same in a loop, as constants of the inlined bodies. */
struct rans_view {
    int vectors;   /* that a row takes */
    int slot_bits; /* of what is looked up in registers: P, or P + 1; 0: in memory */
    int size;      /* in-register tables of so many symbols */
    bool halves;   /* some class is split; slot_bits: P + 1 */
    bool packed;   /* four vectors' slots are looked up at once */
    bool starts;   /* slots are compared with where tokens start */
    bool part;     /* rows do not fill their vectors */
};

/* One chunk, or two that are decoded side by side. */
struct rans_pair {
    const struct rans_job *job;
    const void *const *tables;
    struct rans_stream *const *stream;
    uint8_t *const *tokens;
    size_t lane; /* that rows begin with: 0 unless there are more than RANS_ROW_LANES */
};

/* Of one chunk, while rows are decoded. */
struct rans_rows {
    vu state[RANS_ROW_LANES / W];
    vu found[RANS_ROW_LANES / W]; /* of the row at hand: symbols, or entries of the wide table */
    const uint8_t *words[RANS_ROW_GROUPS];
    const uint8_t *const *ends; /* of the groups' words */
    size_t lane, lanes;         /* the first, and how many */
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
        const size_t part = rans_part(r->lanes, v);
        const vu half = vu_and(rans_load_tokens(r->halves + v * W, part, !view.part), split);
        slot[v] = vu_or(slot[v], vu_sll(half, (int)prob_bits - 5));
    }
}

static_assert(RANS_HALF == 1 << 5, "halves move from bit 5 to bit P");

/* A row's slots: their tokens, which are stored. */
BODY void rans_row_find(struct rans_rows *r, unsigned prob_bits, const struct rans_view view) {
    const int vectors = view.vectors;
    vu slot[RANS_ROW_LANES / W];
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
        const vu token = vu_and(r->found[v], vu_set1(0xFF));
        if (view.part) {
            vu_store_u8_some(r->tokens + v * W, token, rans_part(r->lanes, v));
        } else {
            vu_store_u8(r->tokens + v * W, token);
        }
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
        vu low = x;
        if (view.part) { /* other lanes stay as they are */
            const vm part = vm_first(rans_part(r->lanes, v));
            low = vu_select(part, x, vu_set1(RANS_LOW));
            x = vu_select(part, x, r->state[v]);
        }
        const int g = rans_group_of(v);
        r->state[v] = vu_pull_words(r->words + g, r->ends + g, x, vu_below_2_16(low));
    }
    r->tokens += r->lanes;
    if (view.halves) r->halves += r->lanes;
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
            const int g = rans_group_of(v);
            r[c]->state[v] = vu_pull_words(r[c]->words + g, r[c]->ends + g, x, vu_below_2_16(x));
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
                          size_t lane, size_t lanes, const struct rans_view view) {
    const uint32_t *const states = stream->states + lane;
    const size_t group = lane / RANS_GROUP_LANES;
    for (int v = 0; v < view.vectors; v++) {
        r->state[v] =
            view.part ? vu_load_some(states + v * W, rans_part(lanes, v)) : vu_load(states + v * W);
    }
    for (int g = 0; g < rans_groups_of(lanes); g++) r->words[g] = stream->words[group + (size_t)g];
    r->ends = stream->end + group;
    r->tokens = tokens;
    r->halves = stream->halves;
    r->lane = lane;
    r->lanes = lanes;
}

BODY void rans_rows_end(const struct rans_rows *r, struct rans_stream *stream,
                        const struct rans_view view) {
    uint32_t *const states = stream->states + r->lane;
    const uint8_t **const words = stream->words + r->lane / RANS_GROUP_LANES;
    for (int v = 0; v < view.vectors; v++) {
        if (view.part) {
            vu_store_some(states + v * W, r->state[v], rans_part(r->lanes, v));
        } else {
            vu_store(states + v * W, r->state[v]);
        }
    }
    for (int g = 0; g < rans_groups_of(r->lanes); g++) words[g] = r->words[g];
    stream->halves = r->halves;
}

BODY void rans_rows_class(struct rans_rows *r, const struct rans_job *job, const void *tables,
                          size_t element, const struct rans_view view) {
    const unsigned of = job->classes == NULL ? 0 : job->classes[element >> 7];
    r->split = rans_split_of(job, of);
#ifdef W_SLOTS
    if (view.slot_bits != 0) {
        const struct rans_slots *table = (const struct rans_slots *)tables + of;
        r->slots = table->token;
        r->rests = vt_load(table->rest, view.size);
        r->starts = vt_load(table->start, view.size);
        return;
    }
#endif
    (void)view;
    r->table =
        (const uint32_t *)(const void *)((const uint8_t *)tables + of * rans_table_bytes(job));
}

#ifndef RANS_PARTS
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
#endif

BODY size_t rans_rows_left(struct rans_rows *r, struct rans_stream *stream) {
    size_t rows = SIZE_MAX;
#ifndef RANS_PARTS
    for (int g = 0; g < rans_groups_of(r->lanes); g++) {
        const size_t most = rans_group_rows(&r->words[g], stream, g);
        rows = most < rows ? most : rows;
    }
#endif
    (void)r, (void)stream;
    return rows;
}

/* Whole rows, or, in parts, rows of so many lanes as view says to be read from `lanes`, of one
 * chunk or of two in turn, from stream[0]->at on; both stand at the same element. Stops before `to`
 * at a shorter row, or where words may run out. a and b are variables, not an array, so that
 * compilers keep them in registers. */
BODY void rans_decode_rows(const struct rans_pair *pair, size_t to, size_t lanes, const bool two,
                           const struct rans_view view) {
    const struct rans_job *job = pair->job;
    struct rans_stream *const *stream = pair->stream;
    const size_t first = stream[0]->at, end = first + (to - first) / lanes * lanes;
    const bool classes = job[0].classes != NULL || (two && job[1].classes != NULL);
    const unsigned prob_bits = job[0].prob_bits;
    struct rans_rows a, b;
    size_t i = first, safe = 0;
    rans_rows_begin(&a, stream[0], pair->tokens[0], pair->lane, lanes, view);
    if (two) rans_rows_begin(&b, stream[1], pair->tokens[1], pair->lane, lanes, view);
    while (i < end) {
        size_t stop = classes && end - i > 128 - i % 128 ? i + 128 - i % 128 : end;
        if (safe == 0) {
            safe = rans_rows_left(&a, stream[0]);
            const size_t other = two ? rans_rows_left(&b, stream[1]) : safe;
            safe = other < safe ? other : safe;
            if (safe == 0) break;
        }
        if ((stop - i) / lanes > safe) stop = i + safe * lanes;
        safe -= (stop - i) / lanes;
        rans_rows_class(&a, &job[0], pair->tables[0], i, view);
        if (two) rans_rows_class(&b, &job[1], pair->tables[1], i, view);
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
    lanes_sync();
    rans_rows_end(&a, stream[0], view);
    stream[0]->at = i;
    if (two) {
        rans_rows_end(&b, stream[1], view);
        stream[1]->at = i;
    }
    lanes_sync();
}

/* The common shapes get loops of their own. */
BODY void rans_decode_shaped(const struct rans_pair *pair, size_t to, const bool two,
                             const int vectors) {
    const struct rans_job *job = pair->job;
    const unsigned bits = job->prob_bits;
    const unsigned most = two && job[1].tokens > job[0].tokens ? job[1].tokens : job[0].tokens;
    const bool split = job[0].split != 0;
    (void)bits, (void)most;
#define RANS_ROWS(slot_bits, size, packed, starts)                                                 \
    do {                                                                                           \
        const struct rans_view view = {vectors, slot_bits, size, false, packed, starts, false};    \
        rans_decode_rows(pair, to, (size_t)vectors * W, two, view);                                \
        return;                                                                                    \
    } while (0)
#define RANS_SPLIT_ROWS(slot_bits, size, packed)                                                   \
    do {                                                                                           \
        const struct rans_view view = {vectors, slot_bits, size, true, packed, false, false};      \
        rans_decode_rows(pair, to, (size_t)vectors * W, two, view);                                \
        return;                                                                                    \
    } while (0)
#if defined(W_SLOTS)
    if (split && bits == 8) RANS_SPLIT_ROWS(9, 64, false);
    if (split && bits == 9) RANS_SPLIT_ROWS(10, 64, vectors == 4);
    if (split) RANS_SPLIT_ROWS(0, 0, false);
    if (bits == 8 && most <= 16) RANS_ROWS(8, 16, false, false);
    if (bits == 8) RANS_ROWS(8, 64, false, false);
    if (bits == 9 && most <= 16) RANS_ROWS(9, 16, false, false);
    if (bits == 9 && most <= 32) RANS_ROWS(9, 32, false, false);
    if (bits == 9) RANS_ROWS(9, 64, false, false);
    if (bits == 10) RANS_ROWS(10, 64, two && vectors == 4, false);
#else
    if (split) RANS_SPLIT_ROWS(0, 0, false);
#endif
#ifdef W_STARTS
    if (bits == 8 && most <= 16 && vectors % 4 == 0) RANS_ROWS(0, 0, false, true);
#endif
    RANS_ROWS(0, 0, false, false);
#undef RANS_ROWS
#undef RANS_SPLIT_ROWS
}

#ifdef RANS_PARTS
/* Rows of so many lanes, which fill their vectors in part. */
BODY void rans_decode_part(const struct rans_pair *one, size_t to, size_t lanes) {
    const int vectors = RANS_ROW_LANES / W;
    const struct rans_view split = {vectors, 0, 0, true, false, false, true};
    const struct rans_view plain = {vectors, 0, 0, false, false, false, true};
    if (one->job->split != 0) {
        rans_decode_rows(one, to, lanes, false, split);
    } else {
        rans_decode_rows(one, to, lanes, false, plain);
    }
}

/* More lanes than a row holds: by pieces of rows. */
BODY void rans_decode_wide(const struct rans_job *job, const void *tables,
                           struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2, from = stream->at;
    for (size_t at = from; at < to; at += RANS_ROW_LANES) {
        uint8_t *out = tokens + (at - from);
        const struct rans_pair row = {job, &tables, &stream, &out, at & (lanes - 1)};
        if (to - at >= RANS_ROW_LANES) {
            rans_decode_shaped(&row, at + RANS_ROW_LANES, false, RANS_ROW_LANES / W);
        } else {
            rans_decode_part(&row, to, to - at);
        }
    }
}

/* All of one chunk's elements [at, to): rows, and a shorter one at the end. */
BODY void rans_decode_parts(const struct rans_job *job, const void *tables,
                            struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2, from = stream->at;
    const size_t whole = from + (to - from) / lanes * lanes;
    const struct rans_pair rows = {job, &tables, &stream, &tokens, 0};
    if (lanes > RANS_ROW_LANES) {
        rans_decode_wide(job, tables, stream, to, tokens);
        return;
    }
    if (lanes == RANS_ROW_LANES) {
        rans_decode_shaped(&rows, whole, false, RANS_ROW_LANES / W);
    } else if (lanes == W) {
        rans_decode_shaped(&rows, whole, false, 1);
    } else {
        rans_decode_part(&rows, whole, lanes);
    }
    uint8_t *last = tokens + (whole - from);
    const struct rans_pair row = {job, &tables, &stream, &last, 0};
    if (whole < to) rans_decode_part(&row, to, to - whole);
}
#endif
#endif

#endif
