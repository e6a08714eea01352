/* The scales of a chunk of a rotated frame (FORMAT.md section 7): a set says which buckets are
 * rotated, and so cut into parts that have a scale each; of others one is stored. In memory all
 * parts have one, those of buckets that are not rotated the same. Both directions. */
#ifndef QSGD_GRID_PARTS_H
#define QSGD_GRID_PARTS_H

#include "grid/item_sets.h"
#include "grid/layout.h"
#include "grid/scales.h"

/* The parts of a chunk, and their scales. */
struct parts {
    const struct layout *layout;
    struct chunk_span span;
    struct scale_array scales;
};

/* True if some bucket is rotated. */
bool parts_rotated(const struct parts *p);

/* Scales as they are stored, to entries[span.buckets]; returns how many. */
uint64_t parts_pack(const struct parts *p, float *entries);

/* Bytes of the set of rotated buckets; written to dst, unless that is NULL; and of any, at most. */
size_t parts_write(const struct parts *p, uint8_t *dst);
uint64_t parts_bound(uint64_t buckets);

/* Checks the set that starts at `from`. Returns its bytes, and how many scales are stored; 0 if it
 * is malformed, names nothing, or a bucket that is too short to be rotated. */
size_t parts_parse(const struct parts *p, const uint8_t *from, size_t bytes, struct item_set *set,
                   uint64_t *entries);

/* How many are stored if no bucket is rotated. */
uint64_t parts_whole(const struct parts *p);

/* Scales of all parts from those that are stored, which are p->scales' first `entries`. set: NULL
 * if no bucket is rotated. */
void parts_unpack(const struct parts *p, const struct item_set *set, uint64_t entries);

#endif
