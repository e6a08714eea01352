/* Decodes rANS chunks in blocks that stay in cache: tokens, indices unless tokens are direct,
 * values, then the next block. Two chunks go at once where a worker has two, because the decoder's
 * steps wait for one another within a chunk. Stage: payload -> token -> value. */
#include "pipeline/decode_stream.h"

#include "codes/rans/plan.h"

#define BLOCK 1024

qsgd_status decode_chunk_open(const struct decode_call *call, uint64_t index, struct worker *worker,
                              bool second, struct decode_chunk *c, uint64_t *where) {
    c->index = index;
    c->span = layout_chunk(&call->q.layout, index);
    c->scratch = worker->codes;
    c->quantize = worker->quantize;
    if (second) {
        c->scratch.classes = worker->codes.more_classes;
        c->quantize.rotation = worker->quantize.second;
        c->quantize.noise += BLOCK + 2 * NOISE_TILE;
        c->quantize.scales += layout_most_buckets(&call->q.layout);
        c->quantize.zeros += zero_words(layout_longest(&call->q.layout));
        if (c->quantize.outliers != NULL) c->quantize.outliers++;
    }
    c->at = 0;
    const qsgd_status status =
        decode_parse_chunk(call, index, &c->scratch, &c->quantize, &c->chunk, &c->form, where);
    c->gathered = status == QSGD_OK && c->chunk.len < c->span.len;
    return status;
}

bool decode_chunk_streams(const struct decode_call *call, const struct decode_chunk *c) {
    const uint64_t end = c->span.first + c->span.len;
    return call->q.params.code == QSGD_CODE_RANS && payload_is_coded(&c->form) &&
           c->chunk.len > 0 && call->sink.dtype == QSGD_FLOAT32 && call->from <= c->span.first &&
           end <= call->to && tokens_are_levels(&call->q.levels, rans_possible(&c->form.plan));
}

/* Bytes of each one's tables, of `count`. */
static size_t tables_bytes(const struct code_scratch *scratch, int count) {
    return count == 1 ? scratch->decode_bytes : scratch->decode_bytes / 128 * 64;
}

bool decode_chunks_pair(const struct decode_chunk *a, const struct decode_chunk *b) {
    const size_t most = tables_bytes(&a->scratch, 2);
    if (a->quantize.rotation != NULL && b->quantize.rotation == NULL) return false;
    return a->chunk.len >= 2 * BLOCK && rans_reader_bytes(&a->form.plan) <= most &&
           rans_reader_bytes(&b->form.plan) <= most;
}

/* Values of n elements from `at` of the chunk on, from their indices, or direct tokens if k is
 * NULL.
 */
static void write_run(const struct dequantizer *d, uint64_t at, uint64_t n, const int16_t *k,
                      const uint8_t *tokens) {
    const struct chunk_span run = {.first = d->first + at, .len = n};
    if (k == NULL) {
        values_from_tokens(d, run.first, run.first + n, tokens);
    } else {
        values_from_indices(d, &run, run.first, run.first + n, k);
    }
}

/* Values of what lies before the next element that is live, which is returned; *end is where the
 * run of live ones ends. */
static uint64_t skip_dead(const struct dequantizer *d, const struct live *live, uint64_t at,
                          uint64_t *end) {
    bool is_live = false;
    *end = at;
    while (at < live->len && !is_live) {
        *end = live_run(live, at, &is_live);
        if (is_live) break;
        values_from_nothing(d, d->first + at, d->first + *end);
        at = *end;
    }
    return at;
}

/* The next n live elements, among others. */
static void write_gathered(const struct decode_call *call, const struct dequantizer *d,
                           struct decode_chunk *c, uint64_t n, const int16_t *k,
                           const uint8_t *tokens) {
    const struct live live = decode_live(call, &c->span, &c->quantize, &c->form);
    for (uint64_t i = 0, end; i < n;) {
        c->at = skip_dead(d, &live, c->at, &end);
        const uint64_t some = min_u64(end - c->at, n - i);
        write_run(d, c->at, some, k == NULL ? NULL : k + i, k == NULL ? tokens + i : NULL);
        c->at += some;
        i += some;
    }
}

/* Values of the block [from, to) of what is coded of the chunk, from its tokens. */
static void write_block(const struct decode_call *call, struct decode_chunk *c, uint64_t from,
                        uint64_t to, const uint8_t *tokens) {
    const struct dequantizer d = decode_values(call, &c->span, &c->quantize, &c->form);
    int16_t *k = c->indices.direct ? NULL : c->quantize.indices;
    if (k != NULL) tokens_reader_read(&c->indices, tokens, (size_t)(to - from), k);
    if (c->gathered) {
        write_gathered(call, &d, c, to - from, k, tokens);
    } else {
        write_run(&d, from, to - from, k, tokens);
    }
}

/* What follows the last live element. */
static void write_rest(const struct decode_call *call, struct decode_chunk *c) {
    if (!c->gathered) return;
    const struct dequantizer d = decode_values(call, &c->span, &c->quantize, &c->form);
    const struct live live = decode_live(call, &c->span, &c->quantize, &c->form);
    uint64_t end;
    skip_dead(&d, &live, c->at, &end);
}

_Static_assert(2 * (BLOCK + 2 * NOISE_TILE) <= QUANTIZE_NOISE_OF_TWO, "noise of two");
_Static_assert(BLOCK <= RANS_SPLIT_BLOCK, "halves of a block");

/* Noise of the block [from, to), for its symbols and its values. */
static void make_noise(const struct decode_call *call, struct decode_chunk *c, uint64_t from,
                       uint64_t to) {
    struct quantize_scratch *q = &c->quantize;
    if (c->form.plan.rans.split == 0) return;
    const uint64_t first = c->chunk.first + from;
    q->noise_from = first - first % NOISE_TILE;
    q->noise_to = c->chunk.first + to;
    kernels_noise(call->q.kernels, &call->q.key, q->noise_from, q->noise_to, q->noise);
    c->reader.noise = q->noise + (first - q->noise_from);
}

void decode_stream(const struct decode_call *call, struct decode_chunk *const *c, int count,
                   struct worker *worker, qsgd_status *status) {
    uint8_t *const tokens[2] = {worker->codes.tokens, worker->codes.tokens + BLOCK};
    uint8_t *tables = worker->codes.decode;
    const size_t bytes = tables_bytes(&worker->codes, count);
    struct rans_reader *reader[2] = {&c[0]->reader, &c[count - 1]->reader};
    uint64_t longest = 0;
    for (int i = 0; i < count; i++, tables += bytes) {
        const struct code_plan *plan = &c[i]->form.plan;
        rans_reader_open(reader[i], &c[i]->chunk, plan, tables, bytes);
        tokens_reader_open(&c[i]->indices, &c[i]->chunk, rans_possible(plan), plan->tail,
                           plan->end);
        if (c[i]->chunk.len > longest) longest = c[i]->chunk.len;
    }
    for (uint64_t from = 0; from < longest; from += BLOCK) {
        const uint64_t to = from + BLOCK;
        const bool both = count == 2 && to <= c[0]->chunk.len && to <= c[1]->chunk.len;
        for (int i = 0; i < count; i++) {
            if (from < c[i]->chunk.len) make_noise(call, c[i], from, min_u64(to, c[i]->chunk.len));
        }
        if (both) rans_reader_read_two(reader, (size_t)from, (size_t)to, tokens);
        for (int i = 0; i < count; i++) {
            const uint64_t len = c[i]->chunk.len;
            if (from >= len) continue;
            const uint64_t stop = min_u64(to, len);
            if (!both) rans_reader_read(reader[i], (size_t)from, (size_t)stop, tokens[i]);
            write_block(call, c[i], from, stop, tokens[i]);
        }
    }
    for (int i = 0; i < count; i++) {
        write_rest(call, c[i]);
        status[i] = rans_reader_end(reader[i]);
        if (status[i] == QSGD_OK) status[i] = tokens_reader_end(&c[i]->indices);
    }
}
