/* Interleaved rANS: tokens of a chunk to words and back (FORMAT.md section 8.5). The model is
 * rans_model.c, the inner loops are kernels (rans.h). */
#include <string.h>

#include "bits.h"
#include "codes.h"
#include "kernels/kernels.h"
#include "rans_halves.h"
#include "rans_model.h"
#include "rans_reader.h"
#include "tensor.h"
#include "tokens.h"

static struct rans_tail tail_of(const struct code_plan *plan, size_t len) {
    const struct rans_rest rest = rans_rest_of(rans_token_limit(plan));
    struct rans_tail tail = {.width = rest.width, .each = rest.each};
    if (tail.each > len >> plan->lanes_log2) tail.each = len >> plan->lanes_log2;
    tail.body = len - (tail.each << plan->lanes_log2);
    return tail;
}

static struct rans_job job_of(const struct code_chunk *chunk, const struct code_plan *plan,
                              const struct rans_tail *tail) {
    return (struct rans_job){.classes = plan->classes > 1 ? chunk->scratch->classes : NULL,
                             .len = tail->body,
                             .lanes_log2 = plan->lanes_log2,
                             .prob_bits = plan->prob_bits,
                             .tokens = plan->split != 0 ? CODE_TOKENS : rans_token_limit(plan),
                             .tables = plan->classes,
                             .split = plan->split,
                             .freq = plan->freq};
}

static void tail_to_states(const struct rans_tail *tail, const uint8_t *tokens, size_t lanes,
                           uint32_t *states) {
    const uint8_t *p = tokens + tail->body;
    for (size_t l = 0; l < lanes; l++) {
        states[l] = RANS_LOW;
        for (size_t j = 0; j < tail->each; j++) states[l] += (uint32_t)*p++ << (tail->width * j);
    }
}

/* The table of element i's class has a frequency for token t; half: the element's. */
static bool plan_covers(const struct code_chunk *chunk, const struct code_plan *plan, size_t i,
                        unsigned half, unsigned t) {
    const unsigned class = plan->classes > 1 ? chunk->scratch->classes[i / CODE_GROUP] : 0;
    if (!rans_is_split(plan, class)) return plan->freq[class][t] != 0;
    return t < RANS_HALF && plan->freq[class][half + t] != 0;
}

/* The tail's tokens. False if a state is none that an encoder starts from. */
static bool tail_from_states(const struct code_chunk *chunk, const struct code_plan *plan,
                             const struct rans_tail *tail, const uint32_t *states,
                             uint8_t *tokens) {
    const size_t lanes = (size_t)1 << plan->lanes_log2;
    uint8_t halves[RANS_TAIL_MOST] = {0}, *half = halves;
    size_t i = tail->body;
    if (plan->split != 0) rans_halves_of(chunk, i, chunk->len, halves);
    for (size_t l = 0; l < lanes; l++) {
        uint32_t rest = states[l] - RANS_LOW;
        for (size_t j = 0; j < tail->each; j++, i++, rest >>= tail->width) {
            const uint32_t t = rest & ((1U << tail->width) - 1);
            if (!plan_covers(chunk, plan, i, *half++, t)) return false;
            *tokens++ = (uint8_t)t;
        }
        if (rest != 0) return false;
    }
    return true;
}

static void rans_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    if (k != NULL) tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
    rans_model_choose(chunk, k, chunk->scratch->tokens, plan);
}

/* False if a token has no frequency: only with tables from another frame. */
static bool tables_cover(const struct code_chunk *chunk, const struct code_plan *plan) {
    const uint8_t *tokens = chunk->scratch->tokens, *symbols = chunk->scratch->symbols;
    for (size_t i = 0; i < chunk->len; i++) {
        const unsigned half = plan->split != 0 ? symbols[i] & RANS_HALF : 0;
        if (!plan_covers(chunk, plan, i, half, tokens[i])) return false;
    }
    return true;
}

static unsigned groups_of(const struct code_plan *plan) {
    const unsigned lanes = 1U << plan->lanes_log2;
    return lanes <= RANS_GROUP_LANES ? 1 : lanes / RANS_GROUP_LANES;
}

/* Codes all tokens. Group g's words are [first[g], end[g]). */
static void encode_words(const struct code_chunk *chunk, const struct code_plan *plan,
                         uint32_t *states, uint16_t **first, uint16_t **end) {
    struct rans_symbol_table tables[CODE_CLASSES];
    const uint8_t *tokens = chunk->scratch->tokens;
    const uint8_t *symbols = plan->split != 0 ? chunk->scratch->symbols : tokens;
    const struct rans_tail tail = tail_of(plan, chunk->len);
    struct rans_job job = job_of(chunk, plan, &tail);
    /* a word per element at most, and what is overwritten before them */
    const size_t rows = (chunk->len >> plan->lanes_log2) + 1;
    const size_t room =
        plan->lanes_log2 < 4 ? chunk->len + 32 : RANS_GROUP_LANES * rows + RANS_GROUP_LANES;
    for (unsigned i = 0; i < plan->classes; i++) {
        chunk->kernels->rans_symbols(plan->freq[i], plan->prob_bits, &tables[i]);
        job.plus |= tables[i].plus;
    }
    for (unsigned g = 0; g < groups_of(plan); g++) {
        first[g] = end[g] = chunk->scratch->words + (g + 1) * room;
    }
    tail_to_states(&tail, tokens, (size_t)1 << plan->lanes_log2, states);
    chunk->kernels->rans_encode(&job, tables, symbols, first, states);
}

static size_t rans_write(const struct code_chunk *chunk, const int16_t *k,
                         const struct code_plan *plan, uint8_t *dst, size_t cap) {
    uint32_t states[RANS_LANES];
    uint16_t *first[RANS_GROUPS], *end[RANS_GROUPS];
    uint8_t head[RANS_GROUPS * VARINT_MAX_BYTES];
    const size_t lanes = (size_t)1 << plan->lanes_log2;
    const unsigned groups = groups_of(plan);
    const bool direct = tokens_direct(chunk->levels);
    if (plan->body != NULL) { /* a parsed plan: tokens are not there yet, tables may not fit */
        tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
        if (plan->split != 0) rans_halves_symbols(chunk, plan);
        if (!tables_cover(chunk, plan)) return SIZE_MAX;
    }
    encode_words(chunk, plan, states, first, end);
    size_t head_bytes = 0, words = 0;
    for (unsigned g = 0; g < groups; g++) {
        const size_t count = (size_t)(end[g] - first[g]);
        words += count;
        if (g + 1 < groups || !direct) head_bytes += varint_write(head + head_bytes, count);
    }
    uint8_t *p = rans_tables_write(chunk, plan, dst, dst + cap), *stop = dst + cap;
    if (p == NULL || (size_t)(stop - p) < head_bytes + 4 * lanes + 2 * words) return SIZE_MAX;
    memcpy(p, head, head_bytes);
    p += head_bytes;
    for (size_t l = 0; l < lanes; l++, p += 4) store_le32(p, states[l]);
    for (unsigned g = 0; g < groups; g++) {
        const size_t count = (size_t)(end[g] - first[g]);
        tensor_swap_copy(QSGD_UINT16, first[g], count, p);
        p += 2 * count;
    }
    p = tokens_write_extra(chunk, k, p, stop);
    return p == NULL ? SIZE_MAX : (size_t)(p - dst);
}

static qsgd_status rans_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                              struct code_plan *plan, size_t *where) {
    const uint8_t *end = p + bytes, *next = p;
    *where = 0;
    qsgd_status status = rans_tables_parse(chunk, p, end, plan, &next);
    if (status != QSGD_OK) return status;
    const size_t states_bytes = (size_t)4 << plan->lanes_log2;
    const unsigned groups = groups_of(plan);
    const bool direct = tokens_direct(chunk->levels);
    uint64_t counts[RANS_GROUPS] = {0}, words = 0;
    *where = (size_t)(next - p);
    for (unsigned g = 0; g < (direct ? groups - 1 : groups); g++) {
        const size_t used = varint_read(next, end, &counts[g]);
        if (used == 0) return QSGD_ERR_CODE_TABLE;
        if (counts[g] > bytes / 2) return QSGD_ERR_STREAM;
        next += used;
        words += counts[g];
    }
    if ((size_t)(end - next) < states_bytes) return QSGD_ERR_STREAM;
    for (size_t i = 0; i < states_bytes; i += 4) {
        if (load_le32(next + i) < RANS_LOW) return QSGD_ERR_STREAM;
    }
    const size_t left = (size_t)(end - next) - states_bytes;
    if (words > left / 2) return QSGD_ERR_STREAM;
    if (direct && left % 2 != 0) return QSGD_ERR_PADDING;
    plan->body = next;
    plan->words[0] = next + states_bytes;
    for (unsigned g = 0; g + 1 < groups; g++) {
        plan->words[g + 1] = plan->words[g] + 2 * (size_t)counts[g];
    }
    plan->tail = direct ? end : plan->words[0] + 2 * (size_t)words;
    plan->end = end;
    return QSGD_OK;
}

/* ---- read ------------------------------------------------------------------------------------ */

void rans_reader_open(struct rans_reader *r, const struct code_chunk *chunk,
                      const struct code_plan *plan, void *tables) {
    const size_t lanes = (size_t)1 << plan->lanes_log2;
    const uint8_t *p = plan->body;
    r->chunk = chunk;
    r->plan = plan;
    r->tables = tables;
    r->noise = NULL;
    r->tail = tail_of(plan, chunk->len);
    r->job = job_of(chunk, plan, &r->tail);
    const unsigned groups = groups_of(plan);
    for (size_t l = 0; l < lanes; l++, p += 4) r->stream.states[l] = load_le32(p);
    for (unsigned g = 0; g < groups; g++) {
        r->stream.words[g] = plan->words[g];
        r->stream.end[g] = g + 1 < groups ? plan->words[g + 1] : plan->tail;
        r->stream.padded[g] = false;
    }
    r->stream.at = 0;
    r->stream.bad = false;
    chunk->kernels->rans_tables(&r->job, tables);
}

/* What is left of elements [from, to) once the body is decoded. Lanes come to rest with the last
 * element, also where the tail is empty. */
static void read_tail(struct rans_reader *r, size_t from, size_t to, uint8_t *tokens) {
    const size_t body = r->tail.body;
    if (to <= body && to < r->chunk->len) return;
    uint8_t tail[RANS_TAIL_MOST];
    if (!tail_from_states(r->chunk, r->plan, &r->tail, r->stream.states, tail)) {
        memset(tail, r->plan->table[0][0].mode, sizeof tail);
        r->stream.bad = true;
    }
    const size_t first = from > body ? from : body;
    if (first < to) memcpy(tokens + (first - from), tail + (first - body), to - first);
}

/* Halves of elements [from, to), which are at most a block, for the stream. */
static void read_halves(struct rans_reader *r, size_t from, size_t to) {
    if (r->job.split == 0) return;
    if (r->noise != NULL) {
        r->chunk->kernels->halves(r->noise, to - from, r->halves);
    } else {
        rans_halves_of(r->chunk, from, to, r->halves);
    }
    r->stream.halves = r->halves;
}

void rans_reader_read(struct rans_reader *r, size_t from, size_t to, uint8_t *tokens) {
    const size_t stop = to < r->tail.body ? to : r->tail.body;
    for (size_t i = from; i < stop;) {
        const bool all = r->job.split == 0 || stop - i <= RANS_HALVES_BLOCK;
        const size_t next = all ? stop : i + RANS_HALVES_BLOCK;
        read_halves(r, i, next);
        r->chunk->kernels->rans_decode(&r->job, r->tables, &r->stream, next, tokens + (i - from));
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
    for (unsigned g = 0; g < groups_of(r->plan); g++) {
        if (r->stream.words[g] != r->stream.end[g]) return QSGD_ERR_PADDING;
    }
    return QSGD_OK;
}

uint64_t rans_possible(const struct code_plan *plan) {
    uint64_t used = 0;
    for (unsigned c = 0; c < plan->classes; c++) {
        for (unsigned half = 0; half < rans_tables_of(plan, c); half++) {
            const uint16_t *freq = rans_freq(plan, c, half);
            for (unsigned t = 0; t < plan->table[c][half].tokens; t++) {
                used |= (uint64_t)(freq[t] != 0) << t;
            }
        }
    }
    return used;
}

static qsgd_status rans_read(const struct code_chunk *chunk, const struct code_plan *plan,
                             int16_t *k) {
    struct rans_reader r;
    uint8_t *tokens = chunk->scratch->tokens;
    rans_reader_open(&r, chunk, plan, chunk->scratch->decode);
    rans_reader_read(&r, 0, chunk->len, tokens);
    qsgd_status status =
        tokens_to_indices(chunk, tokens, rans_possible(plan), plan->tail, plan->end, k);
    const qsgd_status end = rans_reader_end(&r);
    return end == QSGD_OK ? status : end;
}

const struct qsgd_code code_rans = {
    .name = "rans",
    .may_be_constant = true,
    .may_share = true,
    .from_tokens = true,
    .plan = rans_plan,
    .write = rans_write,
    .parse = rans_parse,
    .read = rans_read,
};
