/* Interleaved rANS: tokens of a chunk to words and back (FORMAT.md section 7.6). The model is
 * codes/rans/model.c, the inner loops are kernels (kernels/rans.h). */
#include <string.h>

#include "base/bits.h"
#include "codes/codes.h"
#include "codes/rans/model.h"
#include "codes/rans/plan.h"
#include "codes/rans/price.h"
#include "codes/rans/reader.h"
#include "codes/rans/split.h"
#include "codes/rans/states.h"
#include "codes/rans/tables.h"
#include "codes/tokens.h"
#include "kernels/kernels.h"

/* ---- write ---------------------------------------------------------------------------------- */

#if QSGD_ENCODER

static void tail_to_states(const struct rans_tail *tail, const uint8_t *tokens, size_t lanes,
                           uint32_t *states) {
    const uint8_t *p = tokens + tail->body;
    for (size_t l = 0; l < lanes; l++) {
        uint32_t digit = 1;
        states[l] = RANS_LOW;
        for (size_t j = 0; j < tail->each; j++, digit *= tail->base) states[l] += *p++ * digit;
    }
}

static void rans_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    if (k != NULL) tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
    rans_model_choose(chunk, k, chunk->scratch->tokens, plan);
}

/* False if a token has no frequency: only with tables from another frame. */
static bool tables_cover(const struct code_chunk *chunk, const struct code_plan *plan) {
    const uint8_t *tokens = chunk->scratch->tokens, *symbols = chunk->scratch->symbols;
    for (size_t i = 0; i < chunk->len; i++) {
        const unsigned half = plan->rans.split != 0 ? symbols[i] & RANS_HALF : 0;
        if (!rans_covers(chunk, plan, i, half, tokens[i])) return false;
    }
    return true;
}

/* Codes all tokens. Group g's words are [first[g], end[g]). */
static void encode_words(const struct code_chunk *chunk, const struct code_plan *plan,
                         uint32_t *states, uint16_t **first, uint16_t **end) {
    struct rans_symbol_table tables[CODE_CLASSES];
    const uint8_t *tokens = chunk->scratch->tokens;
    const uint8_t *symbols = plan->rans.split != 0 ? chunk->scratch->symbols : tokens;
    const struct rans_tail tail = rans_tail_of(plan, chunk->len);
    struct rans_job job = rans_job_of(chunk, plan, &tail);
    /* a word per element at most, and what is overwritten before them */
    const size_t rows = (chunk->len >> plan->rans.lanes_log2) + 1;
    const size_t room =
        plan->rans.lanes_log2 < 4 ? chunk->len + 32 : RANS_GROUP_LANES * rows + RANS_GROUP_LANES;
    for (unsigned i = 0; i < plan->rans.classes; i++) {
        chunk->kernels->rans_symbols(plan->rans.freq[i], plan->rans.prob_bits, &tables[i]);
        job.plus |= tables[i].plus;
    }
    for (unsigned g = 0; g < rans_lane_groups(plan); g++) {
        first[g] = end[g] = chunk->scratch->words + (g + 1) * room;
    }
    tail_to_states(&tail, tokens, (size_t)1 << plan->rans.lanes_log2, states);
    chunk->kernels->rans_encode(&job, tables, symbols, first, states);
}

static size_t rans_write(const struct code_chunk *chunk, const int16_t *k,
                         const struct code_plan *plan, uint8_t *dst, size_t cap) {
    uint32_t states[RANS_LANES];
    uint16_t *first[RANS_GROUPS], *end[RANS_GROUPS];
    uint8_t head[RANS_GROUPS * VARINT_MAX_BYTES];
    if (chunk->weight != 0) return rans_price(chunk, plan);
    const size_t lanes = (size_t)1 << plan->rans.lanes_log2;
    const unsigned groups = rans_lane_groups(plan);
    const unsigned limit = rans_token_limit(plan);
    const bool extra = tokens_have_extra(chunk->levels, limit);
    if (plan->body != NULL) { /* a parsed plan: tokens are not there yet, tables may not fit */
        tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
        if (plan->rans.split != 0) rans_split_symbols(chunk, plan);
        if (!tables_cover(chunk, plan)) return SIZE_MAX;
    }
    encode_words(chunk, plan, states, first, end);
    size_t head_bytes = 0, words = 0;
    for (unsigned g = 0; g < groups; g++) {
        const size_t count = (size_t)(end[g] - first[g]);
        words += count;
        if (g + 1 < groups || extra) head_bytes += varint_write(head + head_bytes, count);
    }
    uint8_t *p = rans_tables_write(chunk, plan, dst, dst + cap), *stop = dst + cap;
    if (p == NULL || (size_t)(stop - p) < head_bytes + 2 * words) return SIZE_MAX;
    memcpy(p, head, head_bytes);
    p = rans_states_write(states, lanes, p + head_bytes, stop);
    if (p == NULL || (size_t)(stop - p) < 2 * words) return SIZE_MAX;
    for (unsigned g = 0; g < groups; g++) {
        const size_t count = (size_t)(end[g] - first[g]);
        store_le16s(p, first[g], count);
        p += 2 * count;
    }
    p = tokens_write_extra(chunk, limit, k, p, stop);
    return p == NULL ? SIZE_MAX : (size_t)(p - dst);
}

#endif /* QSGD_ENCODER */

/* ---- read ----------------------------------------------------------------------------------- */

static qsgd_status rans_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                              struct code_plan *plan, size_t *where) {
    const uint8_t *end = p + bytes, *next = p;
    *where = 0;
    qsgd_status status = rans_tables_parse(chunk, p, end, plan, &next);
    if (status != QSGD_OK) return status;
    uint32_t states[RANS_LANES];
    const unsigned groups = rans_lane_groups(plan);
    const unsigned limit = rans_token_limit(plan);
    const bool extra = tokens_have_extra(chunk->levels, limit);
    uint64_t counts[RANS_GROUPS] = {0}, words = 0;
    *where = (size_t)(next - p);
    for (unsigned g = 0; g < (extra ? groups : groups - 1); g++) {
        const size_t used = varint_read(next, end, &counts[g]);
        if (used == 0) return QSGD_ERR_CODE_TABLE;
        if (counts[g] > bytes / 2) return QSGD_ERR_STREAM;
        next += used;
        words += counts[g];
    }
    plan->body = next;
    status = rans_states_read(next, end, (size_t)1 << plan->rans.lanes_log2, states, &next);
    if (status != QSGD_OK) return status;
    const size_t left = (size_t)(end - next);
    if (words > left / 2) return QSGD_ERR_STREAM;
    if (!extra && left % 2 != 0) return QSGD_ERR_PADDING;
    plan->rans.words[0] = next;
    for (unsigned g = 0; g + 1 < groups; g++) {
        plan->rans.words[g + 1] = plan->rans.words[g] + 2 * (size_t)counts[g];
    }
    plan->tail = extra ? plan->rans.words[0] + 2 * (size_t)words : end;
    plan->end = end;
    return tokens_parse_extra(chunk, limit, plan->tail, end);
}

static qsgd_status rans_read(const struct code_chunk *chunk, const struct code_plan *plan,
                             int16_t *k) {
    struct rans_reader r;
    uint8_t *tokens = chunk->scratch->tokens;
    rans_reader_open(&r, chunk, plan, chunk->scratch->decode, chunk->scratch->decode_bytes);
    rans_reader_read(&r, 0, chunk->len, tokens);
    qsgd_status status =
        tokens_to_indices(chunk, tokens, rans_possible(plan), plan->tail, plan->end, k);
    const qsgd_status end = rans_reader_end(&r);
    return end == QSGD_OK ? status : end;
}

const struct code code_rans = {
    .name = "rans",
    .may_be_constant = true,
    .may_share = true,
    .from_tokens = true,
    .plan = ENCODES(rans_plan),
    .write = ENCODES(rans_write),
    .parse = rans_parse,
    .read = rans_read,
};
