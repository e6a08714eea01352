/* Decodes rANS chunks of direct tokens in blocks that stay in cache: tokens, then values, then the
 * next block. Two chunks go at once where a worker has two, because the decoder's steps wait for
 * one another within a chunk. Stage: payload -> token -> value. */
#include "decode_tokens.h"

#define BLOCK 1024

qsgd_status decode_chunk_open(const struct decode_call *call, uint64_t index, struct worker *worker,
                              bool second, struct decode_chunk *c, uint64_t *where) {
    c->index = index;
    c->span = layout_chunk(&call->q.layout, index);
    c->scratch = worker->codes;
    if (second) c->scratch.classes = worker->codes.more_classes;
    return decode_parse_chunk(call, index, &c->scratch, &c->chunk, &c->form, where);
}

/* Bits of the direct tokens that name a level. */
static uint64_t tokens_of_levels(const struct levels *levels) {
    uint64_t mask = 0;
    for (uint32_t t = 0; t < 32; t++) {
        mask |= (uint64_t)levels_has(levels, levels_unzigzag(t)) << t;
    }
    return mask;
}

bool decode_chunk_streams(const struct decode_call *call, const struct decode_chunk *c) {
    const struct levels *levels = &call->q.levels;
    const uint64_t end = c->span.first + c->span.len;
    return call->q.params.code == QSGD_CODE_RANS && c->form.mode == MODE_CODED &&
           call->sink.dtype == QSGD_FLOAT32 && levels->largest <= LEVELS_DIRECT &&
           call->from <= c->span.first && end <= call->to &&
           (rans_possible(&c->form.plan) & ~tokens_of_levels(levels)) == 0;
}

static size_t table_words(const struct decode_chunk *c) {
    return (size_t)c->form.plan.classes << c->form.plan.prob_bits;
}

bool decode_chunks_pair(const struct decode_chunk *a, const struct decode_chunk *b) {
    const size_t half = CODE_CLASSES * RANS_TABLE_BYTES / 2 / sizeof(uint32_t);
    return a->span.len >= 2 * BLOCK && table_words(a) <= half && table_words(b) <= half;
}

void decode_tokens(const struct decode_call *call, struct decode_chunk *const *c, int count,
                   struct worker *worker, qsgd_status *status) {
    const struct scale_array scales = frame_scales(&call->frame);
    uint8_t *const tokens[2] = {worker->codes.tokens, worker->codes.tokens + BLOCK};
    uint8_t *tables = (uint8_t *)worker->codes.decode;
    struct rans_reader *reader[2] = {&c[0]->reader, &c[count - 1]->reader};
    uint64_t longest = 0;
    for (int i = 0; i < count; i++, tables += CODE_CLASSES * RANS_TABLE_BYTES / 2) {
        rans_reader_open(reader[i], &c[i]->chunk, &c[i]->form.plan, tables);
        if (c[i]->span.len > longest) longest = c[i]->span.len;
    }
    for (uint64_t from = 0; from < longest; from += BLOCK) {
        const uint64_t to = from + BLOCK;
        const bool both = count == 2 && to <= c[0]->span.len && to <= c[1]->span.len;
        if (both) rans_reader_read_two(reader, (size_t)from, (size_t)to, tokens);
        for (int i = 0; i < count; i++) {
            const struct chunk_span *span = &c[i]->span;
            if (from >= span->len) continue;
            const uint64_t stop = min_u64(to, span->len);
            if (!both) rans_reader_read(reader[i], (size_t)from, (size_t)stop, tokens[i]);
            values_of_tokens(&call->q, span->first + from, span->first + stop, tokens[i], &scales,
                             c[i]->form.alpha, &worker->quantise, &call->sink);
        }
    }
    for (int i = 0; i < count; i++) status[i] = rans_reader_end(reader[i]);
}
