/* Interleaved rANS by rows of vectors: tokens to words (rans_rows.h). The way back is rans_read.h.
 */
#ifndef QSGD_KERNELS_RANS_WRITE_H
#define QSGD_KERNELS_RANS_WRITE_H

#include "kernels/rans_rows.h"

#ifdef W_RENORM

/* What stays the same in a loop, as constants of the inlined bodies. */
struct rans_shape {
    int vectors; /* that a row takes */
    int size;    /* in-register tables of so many tokens; 0: tables in memory */
    bool plus;   /* some quotient takes x + 1 */
    bool whole;  /* rows fill their vectors */
};

/* Rows [from, to), of so many lanes each. */
struct rans_span {
    size_t from, to, lanes;
};

BODY vu rans_encode_vector(vu entry, vu rcp, unsigned prob_bits, const bool plus, vu x) {
    vu of = plus ? vu_add(x, vu_and(vu_srl(entry, 17), vu_set1(1))) : x;
    vu q = vu_srlv(vu_mulhi(of, rcp), vu_and(vu_srl(entry, 13), vu_set1(15)));
    vu rest = vu_xor(vu_srl(entry, (int)(32 - prob_bits)), vu_set1((1U << prob_bits) - 1));
    return vu_add(vu_add(x, vu_and(entry, vu_set1(0x1FFF))), vu_mullo(q, rest));
}

/* Puts out the words of a row's lanes that would overflow, from the last lane to the first. */
BODY void rans_shrink(vu *state, const vu *entry, unsigned prob_bits, const struct rans_shape shape,
                      size_t lanes, uint16_t **words) {
    const int top = (int)(32 - prob_bits);
    vm full[RANS_ROW_LANES / W];
    vu x[RANS_ROW_LANES / W];
    for (int v = 0; v < shape.vectors; v++) { /* below 2^12, so that a signed comparison will do */
        x[v] = state[v];
        vu high = vu_srl(x[v], top);
        if (!shape.whole) high = vu_where(vm_first(rans_part(lanes, v)), high);
        full[v] = vu_gt31(high, vu_srl(entry[v], top));
        state[v] = vu_select(full[v], vu_srl(x[v], 16), x[v]);
    }
    for (int v = shape.vectors - 1; v >= 0; v--) {
        vu_push_words(words + rans_group_of(v), x[v], full[v]);
    }
}

/* Of one class, in registers where they fit. */
struct rans_encoder {
    const struct rans_symbol_table *table;
    vt entries, rcps;
};

BODY struct rans_encoder rans_encoder_of(const struct rans_symbol_table *table, const int size) {
    const int held = size == 0 ? 16 : size;
    const struct rans_encoder e = {table, vt_load(table->entry, held), vt_load(table->rcp, held)};
    return e;
}

/* One row. */
BODY void rans_encode_row(const struct rans_encoder *e, const uint8_t *tokens, unsigned prob_bits,
                          const struct rans_shape shape, size_t lanes, vu *state,
                          uint16_t **words) {
    vu entry[RANS_ROW_LANES / W], rcp[RANS_ROW_LANES / W];
    for (int v = 0; v < shape.vectors; v++) {
        const vu t = rans_load_tokens(tokens + v * W, rans_part(lanes, v), shape.whole);
        entry[v] = shape.size ? vt_at(&e->entries, t, shape.size) : vu_gather(e->table->entry, t);
        rcp[v] = shape.size ? vt_at(&e->rcps, t, shape.size) : vu_gather(e->table->rcp, t);
    }
    rans_shrink(state, entry, prob_bits, shape, lanes, words);
    for (int v = 0; v < shape.vectors; v++) {
        const vu next = rans_encode_vector(entry[v], rcp[v], prob_bits, shape.plus, state[v]);
        state[v] = shape.whole ? next : vu_select(vm_first(rans_part(lanes, v)), next, state[v]);
    }
}

/* From the last row to the first. */
BODY void rans_encode_rows(const struct rans_job *job, const struct rans_symbol_table *tables,
                           const uint8_t *tokens, const struct rans_span span, uint16_t **ends,
                           uint32_t *states, const struct rans_shape shape) {
    const size_t lanes = shape.whole ? (size_t)shape.vectors * W : span.lanes;
    const size_t stride = (size_t)1 << job->lanes_log2, per_group = 128 / stride;
    const int groups = rans_groups_of(lanes);
    vu state[RANS_ROW_LANES / W];
    struct rans_encoder e = rans_encoder_of(tables, shape.size);
    uint16_t *words[RANS_ROW_GROUPS]; /* copies, which stay in registers */
    for (int g = 0; g < groups; g++) words[g] = ends[g];
    for (int v = 0; v < shape.vectors; v++) {
        state[v] = shape.whole ? vu_load(states + v * W)
                               : vu_load_some(states + v * W, rans_part(lanes, v));
    }
    for (size_t row = span.to; row > span.from;) {
        size_t stop = span.from;
        if (job->classes != NULL) {
            const size_t group = (row - 1) / per_group;
            if (group * per_group > stop) stop = group * per_group;
            e = rans_encoder_of(tables + job->classes[group], shape.size);
        }
        for (; row > stop; row--) {
            rans_encode_row(&e, tokens + (row - 1) * stride, job->prob_bits, shape, lanes, state,
                            words);
        }
    }
    lanes_sync();
    for (int v = 0; v < shape.vectors; v++) {
        if (shape.whole) {
            vu_store(states + v * W, state[v]);
        } else {
            vu_store_some(states + v * W, state[v], rans_part(lanes, v));
        }
    }
    for (int g = 0; g < groups; g++) ends[g] = words[g];
    lanes_sync();
}

/* The common shapes get loops of their own. */
BODY void rans_encode_sized(const struct rans_job *job, const struct rans_symbol_table *tables,
                            const uint8_t *tokens, const struct rans_span span, uint16_t **words,
                            uint32_t *states, const int vectors, const bool whole) {
#define RANS_ROWS(size, plus)                                                                      \
    do {                                                                                           \
        const struct rans_shape shape = {vectors, size, plus, whole};                              \
        rans_encode_rows(job, tables, tokens, span, words, states, shape);                         \
        return;                                                                                    \
    } while (0)
#if W_TABLE >= 64
    if (job->plus && job->tokens <= 16) RANS_ROWS(16, true);
    if (job->plus && job->tokens <= 32) RANS_ROWS(32, true);
    if (job->plus) RANS_ROWS(64, true);
    if (job->tokens <= 16) RANS_ROWS(16, false);
    if (job->tokens <= 32) RANS_ROWS(32, false);
    RANS_ROWS(64, false);
#else
    if (job->plus) RANS_ROWS(0, true);
    if (job->tokens <= 16) RANS_ROWS(16, false);
    RANS_ROWS(0, false);
#endif
#undef RANS_ROWS
}

#ifdef RANS_PARTS
/* More lanes than a row holds: by pieces of rows, from the last to the first. */
BODY void rans_encode_wide(const struct rans_job *job, const struct rans_symbol_table *tables,
                           const uint8_t *tokens, uint16_t **words, uint32_t *states) {
    struct rans_job piece = *job;
    piece.lanes_log2 = RANS_ROW_LOG2;
    for (size_t end = job->len; end > 0;) {
        const size_t first = (end - 1) / RANS_ROW_LANES * RANS_ROW_LANES;
        const size_t lane = first & (((size_t)1 << job->lanes_log2) - 1);
        const struct rans_span row = {0, 1, end - first};
        uint16_t **const group = words + lane / RANS_GROUP_LANES;
        if (job->classes != NULL) piece.classes = job->classes + first / 128;
        if (row.lanes == RANS_ROW_LANES) {
            rans_encode_sized(&piece, tables, tokens + first, row, group, states + lane,
                              RANS_ROW_LANES / W, true);
        } else {
            rans_encode_sized(&piece, tables, tokens + first, row, group, states + lane,
                              RANS_ROW_LANES / W, false);
        }
        end = first;
    }
}

/* A row that fills some vectors in part; then the whole rows, which may do so too. */
BODY void rans_encode_parts(const struct rans_job *job, const struct rans_symbol_table *tables,
                            const uint8_t *tokens, uint16_t **words, uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2, rows = job->len >> job->lanes_log2;
    const struct rans_span last = {rows, rows + 1, job->len & (lanes - 1)};
    const struct rans_span whole = {0, rows, lanes};
    if (lanes > RANS_ROW_LANES) {
        rans_encode_wide(job, tables, tokens, words, states);
        return;
    }
    if (last.lanes != 0) {
        rans_encode_sized(job, tables, tokens, last, words, states, RANS_ROW_LANES / W, false);
    }
    if (lanes == RANS_ROW_LANES) {
        rans_encode_sized(job, tables, tokens, whole, words, states, RANS_ROW_LANES / W, true);
    } else if (lanes == W) {
        rans_encode_sized(job, tables, tokens, whole, words, states, 1, true);
    } else {
        rans_encode_sized(job, tables, tokens, whole, words, states, 1, false);
    }
}
#endif
#endif

#endif
