/* Kernel bodies of interleaved rANS (FORMAT.md section 7.6): wide streams go by rows of vectors
 * (rans_write.h, rans_read.h), narrow ones and the last, partial row lane by lane (rans_scalar.h).
 */
#ifndef QSGD_KERNELS_RANS_H
#define QSGD_KERNELS_RANS_H

#include "kernels/rans_read.h"
#include "kernels/rans_scalar.h"
#include "kernels/rans_write.h"

KERNEL void kernel_rans_symbols(const uint16_t *freq, unsigned prob_bits,
                                struct rans_symbol_table *table) {
    uint32_t starts[64], start = 0;
    bool plus = false;
    for (unsigned t = 0; t < 64; t++) {
        starts[t] = start & ((1U << prob_bits) - 1); /* of a split class's second table, too */
        start += freq[t];
    }
    EACH(t, 0, 64, 1) {
        table->entry[t] = table->rcp[t] = 0;
        if (freq[t] != 0) plus |= rans_symbol(table, t, freq[t], starts[t], prob_bits);
    }
    table->plus = lanes_any(plus);
    lanes_sync();
}

#ifdef RANS_PARTS
KERNEL void kernel_rans_encode(const struct rans_job *job, const struct rans_symbol_table *tables,
                               const uint8_t *tokens, uint16_t *words[RANS_GROUPS],
                               uint32_t *states) {
    rans_encode_parts(job, tables, tokens, words, states);
}
#else
/* Elements [from, job->len), lane by lane, from the last to the first. */
KERNEL void rans_encode_lanes(const struct rans_job *job, const struct rans_symbol_table *tables,
                              const uint8_t *tokens, size_t from, uint16_t *words[RANS_GROUPS],
                              uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    for (size_t i = job->len; i > from;) {
        i--;
        const struct rans_symbol_table *table = tables + (job->classes ? job->classes[i >> 7] : 0);
        const size_t lane = i & (lanes - 1);
        uint16_t **group = &words[lane / RANS_GROUP_LANES];
        *group = rans_encode_lane(table, tokens[i], job->prob_bits, &states[lane], *group);
    }
}

KERNEL void kernel_rans_encode(const struct rans_job *job, const struct rans_symbol_table *tables,
                               const uint8_t *tokens, uint16_t *words[RANS_GROUPS],
                               uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    size_t rows = job->len >> job->lanes_log2;
#ifndef W_RENORM
    if (lanes > 8) rows = 0;
#endif
    if (lanes > RANS_ROW_LANES) rows = 0;
    rans_encode_lanes(job, tables, tokens, rows * lanes, words, states);
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
    const struct rans_span span = {0, rows, lanes};
    if (lanes == 64) {
        rans_encode_sized(job, tables, tokens, span, words, states, 64 / W, true);
    } else if (lanes == 32) {
        rans_encode_sized(job, tables, tokens, span, words, states, 32 / W, true);
    } else if (lanes == 16) {
        rans_encode_sized(job, tables, tokens, span, words, states, 16 / W, true);
    }
#endif
}
#endif

KERNEL void kernel_rans_decode_tables(const struct rans_job *job, void *tables) {
    for (unsigned c = 0; c < job->tables; c++) {
        uint8_t *table = (uint8_t *)tables + c * rans_table_bytes(job);
#ifdef W_SLOTS
        if (rans_look_bits(job) <= RANS_SLOT_BITS) {
            rans_build_slots(job->freq[c], job->prob_bits, (struct rans_slots *)(void *)table);
            continue;
        }
#endif
        rans_build_wide(job->freq[c], rans_split_of(job, c), (uint32_t *)(void *)table);
#ifdef W_STARTS
        if (rans_look_bits(job) == 8 && job->tokens <= 16) {
            rans_build_starts(job->freq[c], (struct rans_starts *)(void *)(table + 1024));
        }
#endif
    }
}

#ifndef RANS_PARTS
/* Elements [stream->at, to), lane by lane; in copies that the compiler knows to be its own. */
KERNEL void rans_decode_lanes(const struct rans_job *job, const void *tables,
                              struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    const uint8_t *half = stream->halves;
    struct rans_lookup table = rans_lookup_of(job, tables, stream->at);
    uint32_t states[RANS_LANES];
    const uint8_t *words[RANS_GROUPS];
    memcpy(states, stream->states, lanes * sizeof *states);
    memcpy(words, stream->words, sizeof words);
    for (size_t i = stream->at; i < to; i++) {
        if (i % 128 == 0) table = rans_lookup_of(job, tables, i);
        const size_t lane = i & (lanes - 1), g = lane / RANS_GROUP_LANES;
        *tokens++ = rans_decode_lane(&table, half == NULL ? 0 : *half++, &states[lane], &words[g],
                                     stream->end[g]);
    }
    memcpy(stream->states, states, lanes * sizeof *states);
    memcpy(stream->words, words, sizeof words);
    stream->halves = half;
    stream->at = to;
}

/* Whole rows of at most eight lanes. */
BODY void rans_decode_few(const struct rans_job *job, const void *tables,
                          struct rans_stream *stream, size_t to, uint8_t *tokens,
                          const bool halves) {
    if (job->lanes_log2 == 0) {
        rans_decode_narrow(job, tables, stream, to, tokens, 1, halves);
    } else if (job->lanes_log2 == 1) {
        rans_decode_narrow(job, tables, stream, to, tokens, 2, halves);
    } else if (job->lanes_log2 == 2) {
        rans_decode_narrow(job, tables, stream, to, tokens, 4, halves);
    } else if (job->lanes_log2 == 3) {
        rans_decode_narrow(job, tables, stream, to, tokens, 8, halves);
    }
}

#ifdef W_RENORM
/* Whole rows, where rows are vectors. */
BODY void rans_decode_vectors(const struct rans_pair *pair, size_t to, const bool two) {
    if (pair->job->lanes_log2 == 6) {
        rans_decode_shaped(pair, to, two, 64 / W);
    } else if (pair->job->lanes_log2 == 5) {
        rans_decode_shaped(pair, to, two, 32 / W);
    } else if (pair->job->lanes_log2 == 4) {
        rans_decode_shaped(pair, to, two, 16 / W);
    }
}
#endif

/* Elements [stream->at, to). */
BODY void rans_decode_all(const struct rans_job *job, const void *tables,
                          struct rans_stream *stream, size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2, from = stream->at;
    const size_t whole = from + (to - from) / lanes * lanes;
#ifdef W_RENORM
    const struct rans_pair one = {job, &tables, &stream, &tokens, 0};
    rans_decode_vectors(&one, to, false);
#endif
    if (job->split != 0) {
        rans_decode_few(job, tables, stream, whole, tokens, true);
    } else {
        stream->halves = NULL;
        rans_decode_few(job, tables, stream, whole, tokens, false);
    }
    if (stream->at < to) {
        rans_decode_lanes(job, tables, stream, to, tokens + (stream->at - from));
    }
}
#endif

KERNEL void kernel_rans_decode(const struct rans_job *job, const void *tables,
                               struct rans_stream *stream, size_t to, uint8_t *tokens) {
#ifdef RANS_PARTS
    rans_decode_parts(job, tables, stream, to, tokens);
#else
    rans_decode_all(job, tables, stream, to, tokens);
#endif
    bool bad = stream->bad;
    for (size_t l = 0; l >> job->lanes_log2 == 0; l += RANS_GROUP_LANES) {
        const size_t g = l / RANS_GROUP_LANES;
        bad |= stream->words[g] > stream->end[g];
    }
    lanes_sync();
    stream->bad = bad;
    lanes_sync();
}

KERNEL void kernel_rans_decode_two(const struct rans_job job[2], const void *const tables[2],
                                   struct rans_stream *const stream[2], size_t to,
                                   uint8_t *const tokens[2]) {
    const size_t from = stream[0]->at;
#if defined(W_SLOTS) || defined(W_STARTS)
    if (job[0].lanes_log2 == job[1].lanes_log2 && job[0].prob_bits == job[1].prob_bits &&
        (job[0].split != 0) == (job[1].split != 0) && stream[1]->at == from) {
        const struct rans_pair pair = {job, tables, stream, tokens, 0};
        rans_decode_vectors(&pair, to, true);
    }
#endif
    for (int c = 0; c < 2; c++) {
        kernel_rans_decode(&job[c], tables[c], stream[c], to, tokens[c] + (stream[c]->at - from));
    }
}

#endif
