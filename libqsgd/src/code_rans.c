/* Interleaved rANS: tokens of a chunk to words and back (FORMAT.md section 8.5). The model is
 * rans_model.c, the inner loops are kernels (rans.h). */
#include <string.h>

#include "bits.h"
#include "codes.h"
#include "kernels.h"
#include "rans_model.h"
#include "tokens.h"

static struct rans_job job_of(const struct code_chunk *chunk, const struct code_plan *plan) {
    return (struct rans_job){.classes = plan->classes > 1 ? chunk->scratch->classes : NULL,
                             .len = chunk->len,
                             .lanes_log2 = plan->lanes_log2,
                             .prob_bits = plan->prob_bits};
}

static void rans_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
    rans_model_choose(chunk, k, chunk->scratch->tokens, plan);
}

/* False if a token has no frequency: only with tables from another frame. */
static bool tables_cover(const struct code_chunk *chunk, const struct code_plan *plan) {
    for (size_t i = 0; i < chunk->len; i++) {
        unsigned class = plan->classes > 1 ? chunk->scratch->classes[i / CODE_GROUP] : 0;
        if (plan->freq[class][chunk->scratch->tokens[i]] == 0) return false;
    }
    return true;
}

static void build_symbols(const struct code_plan *plan, struct rans_symbol_table *tables) {
    for (unsigned i = 0; i < plan->classes; i++) {
        uint32_t start = 0;
        for (unsigned t = 0; t < CODE_TOKENS; t++) {
            uint32_t f = plan->freq[i][t];
            tables[i].freq_start[t] = f | start << 16;
            tables[i].rcp[t] = f == 0 ? 0 : UINT32_MAX / f;
            start += f;
        }
    }
}

static size_t rans_write(const struct code_chunk *chunk, const int16_t *k,
                         const struct code_plan *plan, uint8_t *dst, size_t cap) {
    struct rans_symbol_table tables[CODE_CLASSES];
    uint32_t states[32];
    uint16_t *end = chunk->scratch->words + 2 * chunk->len + 64;
    const size_t lanes = (size_t)1 << plan->lanes_log2;
    struct rans_job job = job_of(chunk, plan);
    if (plan->body != NULL) { /* a parsed plan: tokens are not there yet, tables may not fit */
        tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
        if (!tables_cover(chunk, plan)) return SIZE_MAX;
    }
    build_symbols(plan, tables);
    for (unsigned i = 0; i < plan->classes; i++) {
        if (plan->table_tokens[i] > job.tokens) job.tokens = plan->table_tokens[i];
    }
    const uint16_t *words =
        chunk->kernels->rans_encode(&job, tables, chunk->scratch->tokens, end, states);
    const size_t count = (size_t)(end - words);

    uint8_t *p = rans_model_write(chunk, plan, dst, dst + cap), *stop = dst + cap;
    if (p == NULL) return SIZE_MAX;
    uint8_t head[VARINT_MAX_BYTES];
    const size_t head_bytes = tokens_direct(chunk->levels) ? 0 : varint_write(head, count);
    if ((size_t)(stop - p) < head_bytes + 4 * lanes + 2 * count) return SIZE_MAX;
    memcpy(p, head, head_bytes);
    p += head_bytes;
    for (size_t l = 0; l < lanes; l++, p += 4) store_le32(p, states[l]);
    for (size_t i = 0; i < count; i++, p += 2) store_le16(p, words[i]);
    p = tokens_write_extra(chunk, k, p, stop);
    return p == NULL ? SIZE_MAX : (size_t)(p - dst);
}

static qsgd_status rans_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                              struct code_plan *plan, size_t *where) {
    const uint8_t *end = p + bytes, *next = p;
    *where = 0;
    qsgd_status status = rans_model_parse(chunk, p, end, plan, &next);
    if (status != QSGD_OK) return status;
    const size_t lanes_bytes = (size_t)4 << plan->lanes_log2;
    *where = (size_t)(next - p);
    uint64_t count = 0;
    const bool direct = tokens_direct(chunk->levels);
    if (!direct) {
        size_t used = varint_read(next, end, &count);
        if (used == 0) return QSGD_ERR_CODE_TABLE;
        next += used;
    }
    if ((size_t)(end - next) < lanes_bytes) return QSGD_ERR_STREAM;
    for (size_t i = 0; i < lanes_bytes; i += 4) {
        if (load_le32(next + i) < 65536) return QSGD_ERR_STREAM;
    }
    const size_t left = (size_t)(end - next) - lanes_bytes;
    if (direct && left % 2 != 0) return QSGD_ERR_PADDING;
    if (!direct && count > left / 2) return QSGD_ERR_STREAM;
    plan->body = next;
    plan->tail = direct ? end : next + lanes_bytes + 2 * (size_t)count;
    plan->end = end;
    return QSGD_OK;
}

/* Slots of every class: token | (f - 1) << 8 | (slot - c) << 20. */
static void build_decode(const struct code_plan *plan, uint32_t *decode) {
    for (unsigned i = 0; i < plan->classes; i++) {
        for (uint32_t t = 0; t < CODE_TOKENS; t++) {
            uint32_t f = plan->freq[i][t], entry = t | (f - 1) << 8;
            for (uint32_t s = 0; s < f; s++) *decode++ = entry + (s << 20);
        }
    }
}

static qsgd_status rans_read(const struct code_chunk *chunk, const struct code_plan *plan,
                             int16_t *k) {
    uint32_t states[32];
    const size_t lanes = (size_t)1 << plan->lanes_log2;
    const struct rans_job job = job_of(chunk, plan);
    const uint8_t *p = plan->body;
    build_decode(plan, chunk->scratch->decode);
    for (size_t l = 0; l < lanes; l++, p += 4) states[l] = load_le32(p);
    p = chunk->kernels->rans_decode(&job, chunk->scratch->decode, states, p, plan->tail,
                                    chunk->scratch->tokens);
    uint64_t used = 0;
    for (unsigned i = 0; i < plan->classes; i++) {
        for (unsigned t = 0; t < CODE_TOKENS; t++) used |= (uint64_t)(plan->freq[i][t] != 0) << t;
    }
    qsgd_status status =
        tokens_to_indices(chunk, chunk->scratch->tokens, used, plan->tail, plan->end, k);
    if (p == NULL) return QSGD_ERR_STREAM;
    if (p != plan->tail) return QSGD_ERR_PADDING;
    for (size_t l = 0; l < lanes; l++) {
        if (states[l] != 65536) return QSGD_ERR_STREAM;
    }
    return status;
}

const struct qsgd_code code_rans = {
    .name = "rans",
    .may_be_constant = true,
    .plan = rans_plan,
    .write = rans_write,
    .parse = rans_parse,
    .read = rans_read,
};
