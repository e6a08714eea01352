/* The papers' deterministic quantizer: the fewest largest elements whose magnitudes sum to the l2
 * norm (Alistarh et al., section 4; ENCODER.md section 6.4). At most ceil(sqrt n) + 1 of n are
 * taken, so a heap of that many finds them in one pass. */
#include "quantize/topk.h"

#include <string.h>

#include "base/bits.h"
#include "base/square_root.h"

/* True if a is taken after b: smaller, or equal and later. */
static bool after(const struct topk_entry *a, const struct topk_entry *b) {
    return a->bits < b->bits || (a->bits == b->bits && a->position > b->position);
}

/* Heap with the entry that is taken last at its root. */
static void sift_down(struct topk_entry *heap, uint64_t count, uint64_t at) {
    struct topk_entry moved = heap[at];
    for (;;) {
        uint64_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && after(&heap[child + 1], &heap[child])) child++;
        if (!after(&heap[child], &moved)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void sift_up(struct topk_entry *heap, uint64_t at) {
    struct topk_entry moved = heap[at];
    while (at > 0 && after(&moved, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

static uint64_t collect(const struct layout *l, const struct source *source, uint64_t bucket,
                        struct topk_entry *heap, float *block) {
    const uint64_t len = layout_bucket_len(l, bucket), first = bucket * l->bucket;
    const uint64_t most = ceil_sqrt(len) + 1;
    const uint64_t step = quantize_block(l);
    uint64_t count = 0;
    for (uint64_t i = 0; i < len; i += step) {
        uint64_t n = min_u64(step, len - i);
        const float *x = source_read(source, first + i, n, block);
        for (uint64_t j = 0; j < n; j++) {
            struct topk_entry entry = {0, i + j};
            memcpy(&entry.bits, x + j, sizeof entry.bits);
            entry.bits &= 0x7FFFFFFF;
            if (entry.bits == 0) continue;
            if (count < most) {
                heap[count] = entry;
                sift_up(heap, count++);
            } else if (after(&heap[0], &entry)) {
                heap[0] = entry;
                sift_down(heap, count, 0);
            }
        }
    }
    return count;
}

struct topk_cut topk_select(const struct layout *l, const struct source *source, uint64_t bucket,
                            double sum_of_squares, struct topk_entry *heap, float *block) {
    const uint64_t count = collect(l, source, bucket, heap, block);
    for (uint64_t left = count; left > 1;) { /* heap sort: the first taken comes to the front */
        left--;
        struct topk_entry last = heap[0];
        heap[0] = heap[left];
        heap[left] = last;
        sift_down(heap, left, 0);
    }
    const double norm = square_root(sum_of_squares);
    struct topk_cut cut = {UINT32_MAX, 0};
    double sum = 0;
    for (uint64_t i = 0; i < count && sum < norm; i++) {
        sum += (double)float_from_bits(heap[i].bits);
        cut = (struct topk_cut){heap[i].bits, heap[i].position};
    }
    return cut;
}
