/* Decodes words block by block: the body by the kernels, the tail from the states that they end in.
 */
#include "codes/rans/reader.h"

#include <string.h>

#include "base/bits.h"
#include "codes/rans/search.h"
#include "codes/rans/states.h"

/* Tokens [from, to) of the tail, to `tokens`. False if a state is none that an encoder starts from.
 */
static bool tail_from_states(const struct rans_reader *r, size_t from, size_t to, uint8_t *tokens) {
    const struct code_chunk *chunk = r->chunk;
    const struct rans_tail *tail = &r->tail;
    uint8_t halves[RANS_SPLIT_BLOCK] = {0};
    size_t i = tail->body;
    for (size_t l = 0; l >> r->plan->rans.lanes_log2 == 0; l++) {
        uint32_t rest = r->stream.states[l] - RANS_LOW;
        for (size_t j = 0; j < tail->each; j++, i++, rest /= tail->base) {
            const uint32_t t = rest % tail->base;
            const size_t in_block = (i - tail->body) % RANS_SPLIT_BLOCK;
            if (in_block == 0 && r->plan->rans.split != 0) {
                const size_t left = chunk->len - i;
                rans_split_halves(chunk, i, left < sizeof halves ? chunk->len : i + sizeof halves,
                                  halves);
            }
            if (!rans_covers(chunk, r->plan, i, halves[in_block], t)) return false;
            if (i >= from && i < to) tokens[i - from] = (uint8_t)t;
        }
        if (rest != 0) return false;
    }
    return true;
}

size_t rans_reader_bytes(const struct code_plan *plan) {
    size_t each = sizeof(uint32_t) << (plan->rans.prob_bits + (plan->rans.split != 0));
    if (each < RANS_TABLE_LEAST) each = RANS_TABLE_LEAST;
    return plan->rans.classes * each;
}

void rans_reader_open(struct rans_reader *r, const struct code_chunk *chunk,
                      const struct code_plan *plan, void *tables, size_t bytes) {
    const uint8_t *next;
    r->chunk = chunk;
    r->plan = plan;
    r->tables = tables;
    r->search = rans_reader_bytes(plan) > bytes;
    r->noise = NULL;
    r->tail = rans_tail_of(plan, chunk->len);
    r->job = rans_job_of(chunk, plan, &r->tail);
    const unsigned groups = rans_lane_groups(plan);
    rans_states_read(plan->body, plan->end, (size_t)1 << plan->rans.lanes_log2, r->stream.states,
                     &next); /* parsed before */
    for (unsigned g = 0; g < groups; g++) {
        r->stream.words[g] = plan->rans.words[g];
        r->stream.end[g] = g + 1 < groups ? plan->rans.words[g + 1] : plan->tail;
    }
    memset(r->stream.padded, 0, sizeof r->stream.padded);
    r->stream.at = 0;
    r->stream.bad = false;
    if (r->search) {
        rans_search_build(&r->job, tables);
    } else {
        chunk->kernels->rans_decode_tables(&r->job, tables);
    }
}

/* What is left of elements [from, to) once the body is decoded. Lanes come to rest with the last
 * element, also where the tail is empty. */
static void read_tail(struct rans_reader *r, size_t from, size_t to, uint8_t *tokens) {
    const size_t body = r->tail.body;
    if (to <= body && to < r->chunk->len) return;
    const size_t first = from > body ? from : body;
    if (tail_from_states(r, first, to, tokens + (first - from))) return;
    if (first < to) memset(tokens + (first - from), r->plan->rans.table[0][0].mode, to - first);
    r->stream.bad = true;
}

/* Halves of elements [from, to), which are at most a block, for the stream. */
static void read_halves(struct rans_reader *r, size_t from, size_t to) {
    if (r->job.split == 0) return;
    if (r->noise != NULL) {
        r->chunk->kernels->halves(r->noise, to - from, r->halves);
    } else {
        rans_split_halves(r->chunk, from, to, r->halves);
    }
    r->stream.halves = r->halves;
}

void rans_reader_read(struct rans_reader *r, size_t from, size_t to, uint8_t *tokens) {
    const size_t stop = to < r->tail.body ? to : r->tail.body;
    for (size_t i = from; i < stop;) {
        const bool all = r->job.split == 0 || stop - i <= RANS_SPLIT_BLOCK;
        const size_t next = all ? stop : i + RANS_SPLIT_BLOCK;
        read_halves(r, i, next);
        uint8_t *out = tokens + (i - from);
        if (r->search) {
            rans_search_decode(&r->job, r->tables, &r->stream, next, out);
        } else {
            r->chunk->kernels->rans_decode(&r->job, r->tables, &r->stream, next, out);
        }
        i = next;
    }
    read_tail(r, from, to, tokens);
}

void rans_reader_read_two(struct rans_reader *const r[2], size_t from, size_t to,
                          uint8_t *const tokens[2]) {
    const size_t body = r[0]->tail.body < r[1]->tail.body ? r[0]->tail.body : r[1]->tail.body;
    if (to > body) { /* the last block */
        for (int c = 0; c < 2; c++) rans_reader_read(r[c], from, to, tokens[c]);
        return;
    }
    for (int c = 0; c < 2; c++) read_halves(r[c], from, to);
    const struct rans_job job[2] = {r[0]->job, r[1]->job};
    const void *const tables[2] = {r[0]->tables, r[1]->tables};
    struct rans_stream *const stream[2] = {&r[0]->stream, &r[1]->stream};
    r[0]->chunk->kernels->rans_decode_two(job, tables, stream, to, tokens);
}

qsgd_status rans_reader_end(const struct rans_reader *r) {
    if (r->stream.bad) return QSGD_ERR_STREAM;
    for (unsigned g = 0; g < rans_lane_groups(r->plan); g++) {
        if (r->stream.words[g] != r->stream.end[g]) return QSGD_ERR_PADDING;
    }
    return QSGD_OK;
}
