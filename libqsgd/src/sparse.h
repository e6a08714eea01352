/* Walks over the non-zero indices of mostly zero runs, for the sparse codes (elias-*-sparse and
 * rice-sparse, FORMAT.md sections 8.2 and 8.3). */
#ifndef QSGD_SPARSE_H
#define QSGD_SPARSE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* First i >= from with k[i] != 0, or len. */
static inline size_t sparse_next(const int16_t *k, size_t from, size_t len) {
    size_t i = from;
    for (; len - i >= 4; i += 4) {
        uint64_t four;
        memcpy(&four, k + i, sizeof four);
        if (four != 0) break;
    }
    while (i < len && k[i] == 0) i++;
    return i;
}

static inline uint64_t sparse_count(const int16_t *k, size_t len) {
    uint64_t count = 0;
    for (size_t i = 0; i < len; i++) count += k[i] != 0 ? 1 : 0;
    return count;
}

#endif
