/* Which elements of a chunk are coded: not those of idle buckets, nor, unless their bucket is
 * rotated, of groups that are all 0, which a payload's head names (FORMAT.md section 7). */
#ifndef QSGD_GRID_LIVE_H
#define QSGD_GRID_LIVE_H

#include "grid/layout.h"
#include "grid/outliers.h"
#include "grid/scales.h"

#define ZERO_GROUP_LOG2 5 /* of the elements of the smallest group */

/* 32-bit words that hold a bit per smallest group of a chunk. */
static inline uint64_t zero_words(uint64_t len) {
    return div_up(len, (uint64_t)32 << ZERO_GROUP_LOG2);
}

/* Groups of 2^log2 elements of a chunk that are all 0, a bit each, the first one lowest; and the
 * outliers among them and elsewhere, which are exact in their way. */
struct zero_groups {
    const uint32_t *words; /* NULL: there are none */
    unsigned log2;
    const struct outliers *outliers; /* NULL: there are none */
};

static inline bool zeros_any(const struct zero_groups *z) {
    return z->words != NULL || z->outliers != NULL;
}

static inline bool zero_group_at(const struct zero_groups *z, uint64_t group) {
    return (z->words[group / 32] >> group % 32 & 1) != 0;
}

struct live {
    struct zero_groups zeros;
    struct scale_array scales;
    const struct layout *layout;
    uint64_t first, len; /* the chunk */
};

/* The elements of a chunk, as far as its buckets go. */
static inline struct live live_of(const struct layout *l, const struct chunk_span *span,
                                  struct scale_array scales) {
    return (struct live){{NULL, ZERO_GROUP_LOG2, NULL}, scales, l, span->first, span->len};
}

/* A run from element `at` of the chunk on, all of it live or all of it not. Returns where it ends.
 */
uint64_t live_run(const struct live *l, uint64_t at, bool *live);

/* Sets bit 7 of groups[g] where live element g * size lies in a rotated bucket. */
void live_mark_rotated(const struct live *l, uint64_t size, uint8_t *groups);

/* Elements that are live. */
uint64_t live_count(const struct live *l);

/* A run of elements [at, end) of the chunk that are in groups of zeros, or are not, whatever their
 * buckets; an outlier is a run by itself, of zeros. Returns where it ends. */
uint64_t zero_run(const struct zero_groups *z, uint64_t at, uint64_t end, bool *zeros);

/* Moves what is there of each element, `item` bytes of it, so that the live ones stand at the
 * start; and back, from the last live_count of `len` places, over what lies between. */
void live_gather(const struct live *l, void *items, size_t item);
void live_scatter(const struct live *l, void *items, size_t item);

/* Undoes live_gather; what is not live becomes 0. */
void live_ungather(const struct live *l, void *items, size_t item);

#endif
