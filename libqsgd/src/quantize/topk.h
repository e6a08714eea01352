/* Top-k: which elements of a bucket are taken (FORMAT.md section 6.4). */
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

/* Entries of the heap that topk_select needs. */
uint64_t topk_heap_entries(const struct layout *layout);

/* The cut of one bucket. block: room for quantize_block elements. */
struct topk_cut topk_select(const struct layout *l, const struct source *source, uint64_t bucket,
                            double sum_of_squares, struct topk_entry *heap, float *block);

#endif
