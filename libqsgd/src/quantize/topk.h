/* Top-k: which elements of a bucket are taken (ENCODER.md section 6.4). */
#ifndef QSGD_QUANTIZE_TOPK_H
#define QSGD_QUANTIZE_TOPK_H

#include "quantize/source.h"

/* Which elements of a bucket are taken. */
struct topk_cut {
    uint32_t bits;     /* magnitudes above are taken */
    uint64_t position; /* and those equal up to this position in the bucket */
};

struct topk_entry {
    uint32_t bits;
    uint64_t position;
};

static inline uint64_t ceil_sqrt(uint64_t n) {
    uint64_t low = 0, high = (uint64_t)1 << 24; /* n <= 2^47 */
    while (low < high) {
        uint64_t mid = (low + high) / 2;
        if (mid * mid >= n) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

/* Entries of the heap that topk_select needs. */
static inline uint64_t topk_heap_entries(const struct layout *layout) {
    return ceil_sqrt(min_u64(layout->bucket, layout->n)) + 1;
}

/* The cut of one bucket. block: room for quantize_block elements. */
struct topk_cut topk_select(const struct layout *l, const struct source *source, uint64_t bucket,
                            double sum_of_squares, struct topk_entry *heap, float *block);

#endif
