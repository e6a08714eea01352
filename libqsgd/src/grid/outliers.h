/* Elements of a chunk that are sent as they are, because they would drown the others (FORMAT.md
 * section 7). How they are found: quantize/outliers.h. */
#ifndef QSGD_GRID_OUTLIERS_H
#define QSGD_GRID_OUTLIERS_H

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>

#include "qsgd.h"

#define OUTLIERS_MOST 255  /* of a chunk */
#define OUTLIER_RATIO 4096 /* to the mean magnitude of the others in use */
#define OUTLIERS_FROM 4097 /* elements of the longest chunk, from which on there may be some */

struct outliers {
    uint32_t count;
    uint32_t at[OUTLIERS_MOST]; /* ascending, counted from the chunk's start */
    float value[OUTLIERS_MOST];
};

/* NULL where there are none. */
static inline const struct outliers *outliers_some(const struct outliers *o) {
    return o == NULL || o->count == 0 ? NULL : o;
}

/* Number of the first one that is not before element `at`. */
uint32_t outliers_from(const struct outliers *o, uint64_t at);

/* Puts those among elements [at, at + n) in their places; o may be NULL. */
void outliers_put(const struct outliers *o, uint64_t at, size_t n, float *v);

/* Bytes that suffice, with such a longest chunk; bytes of them, of which there are some, written to
 * dst, unless that is NULL.
 */
size_t outliers_bound(uint64_t longest);
size_t outliers_write(const struct outliers *o, uint8_t *dst);

/* Reads those of a chunk of len elements. Returns the bytes, or 0 if they are malformed. */
size_t outliers_read(const uint8_t *p, size_t bytes, uint64_t len, struct outliers *o);

#endif
