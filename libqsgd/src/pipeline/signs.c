#include "pipeline/signs.h"

#include <string.h>

#include "codes/signs.h"
#include "kernels/kernels.h"
#include "quantize/values.h"

struct ways {
    const struct quantizer *q;
    const struct chunk_span *span;
    const struct code_chunk *chunk;
    struct payload_head *head;
    const struct coded_items *items;
    struct quantize_scratch *scratch;
};

/* Makes items, none of which are gathered, those of `signs`, from those of head->signs. */
static void become(struct ways *w, uint8_t signs) {
    const struct kernels *kernels = w->chunk->kernels;
    const uint8_t before = w->head->signs;
    int16_t *const k = w->items->k;
    if (before == signs) return;
    if ((before & SIGNS_IN_TOKENS) != 0) kernels->swap_signs(k, w->chunk->len);
    if (((before ^ signs) & SIGNS_PLAIN) != 0) {
        values_turn(w->q, w->span, &w->head->live.scales, w->scratch, k, w->items->tokens);
    }
    if ((signs & SIGNS_IN_TOKENS) != 0) kernels->swap_signs(k, w->chunk->len);
    w->head->signs = signs;
}

/* Items as they were before they were gathered. */
static void ungather(const struct ways *w) {
    const struct live *live = &w->head->live;
    if (live_count(live) == w->chunk->len) return;
    live_ungather(live, coded_items_at(w->items, 0), coded_item_bytes(w->items));
}

static size_t write_as(struct ways *w, uint8_t signs, uint8_t *dst) {
    struct code_chunk own = *w->chunk;
    become(w, signs);
    if ((signs & SIGNS_IN_TOKENS) != 0) own.shared = NULL;
    payload_gather(&own, w->head, w->items);
    return payload_write(&own, w->head, w->items->k, dst);
}

/* The same once more. */
static size_t write_again(struct ways *w, uint8_t signs, uint8_t *dst) {
    ungather(w);
    return write_as(w, signs, dst);
}

/* True if mode 1, by the width of the largest rank, might be shorter with plain signs. */
static bool width_may_shrink(const struct ways *w) {
    const struct code_chunk *c = w->chunk;
    if (!w->q->turned || c->levels->kind != QSGD_LEVELS_OPEN || code_find(c->code)->may_share) {
        return false;
    }
    const uint32_t largest = c->kernels->largest_zigzag(w->items->k, c->len);
    return largest != 0 && (largest & (largest - 1)) == 0;
}

/* Both ways, of which the shorter stays. */
static size_t write_both(struct ways *w, uint8_t other, const struct payload_space *to) {
    uint8_t *const dst = to->dst, *const at = to->spare == NULL ? dst : to->spare;
    const size_t first = write_as(w, 0, dst);
    size_t bytes = write_again(w, other, at);
    if (bytes == SIZE_MAX) bytes = write_again(w, other & SIGNS_PLAIN, at);
    if (first <= bytes) return to->spare == NULL ? write_again(w, 0, dst) : first;
    if (at != dst) memcpy(dst, at, bytes);
    return bytes;
}

size_t signs_write(const struct quantizer *q, const struct chunk_span *span,
                   const struct code_chunk *chunk, struct payload_head *head,
                   const struct coded_items *items, struct quantize_scratch *scratch,
                   const struct payload_space *to) {
    struct ways w = {q, span, chunk, head, items, scratch};
    head->signs = 0;
    const uint8_t best = signs_choose(chunk, head, items);
    if (best == 0 && width_may_shrink(&w)) return write_both(&w, SIGNS_PLAIN, to);
    const size_t bytes = write_as(&w, best, to->dst);
    return bytes != SIZE_MAX ? bytes : write_again(&w, best & SIGNS_PLAIN, to->dst);
}

void signs_restore(const struct quantizer *q, const struct chunk_span *span,
                   const struct code_chunk *chunk, struct payload_head *head,
                   const struct coded_items *items, struct quantize_scratch *scratch) {
    struct ways w = {q, span, chunk, head, items, scratch};
    ungather(&w);
    become(&w, 0);
}
