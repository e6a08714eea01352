/* Groups of zeros in a payload's head (FORMAT.md section 7): their size, and which they are; and
 * where zeros decode to zeros anyway, whether it repays to name them (ENCODER.md 8.1). */
#ifndef QSGD_CODES_ZERO_SETS_H
#define QSGD_CODES_ZERO_SETS_H

#include "grid/live.h"
#include "qsgd.h"

#define ZERO_SET_MOST_LOG2 18 /* no chunk is longer */

/* Joins groups, in `words` where they are, while each two are alike, and so name the same
 * elements. */
void zero_groups_join(struct zero_groups *zeros, uint64_t len, uint32_t *words);

struct kernels;

/* What is coded of a chunk: indices, or direct tokens if k is NULL. */
struct coded_items {
    int16_t *k;
    uint8_t *tokens;
};

static inline size_t coded_item_bytes(const struct coded_items *items) {
    return items->k != NULL ? sizeof *items->k : sizeof *items->tokens;
}

static inline struct coded_items coded_items_from(const struct coded_items *items, uint64_t at) {
    return items->k != NULL ? (struct coded_items){items->k + at, NULL}
                            : (struct coded_items){NULL, items->tokens + at};
}

static inline void *coded_items_at(const struct coded_items *items, uint64_t at) {
    return items->k != NULL ? (void *)(items->k + at) : items->tokens + at;
}

/* Groups whose indices are all 0, in zero_words(live->len) words; none where to name them takes
 * more than it saves. Of live->zeros, outliers alone are read. */
struct zero_groups zero_groups_of_indices(const struct kernels *kernels, const struct live *live,
                                          const struct coded_items *items, uint32_t *words);

/* Bytes that suffice; bytes of the groups (of which there are some) of a chunk of len elements,
 * written to dst, unless that is NULL. */
uint64_t zero_sets_bound(uint64_t len);
size_t zero_sets_write(const struct zero_groups *zeros, uint64_t len, uint8_t *dst);

/* Reads them into words[zero_words(len)]. Returns the bytes, or 0 if they are malformed. */
size_t zero_sets_read(const uint8_t *p, size_t bytes, uint64_t len, uint32_t *words,
                      struct zero_groups *zeros);

#endif
