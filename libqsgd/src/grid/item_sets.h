/* Sets of a chunk's items (buckets, groups of elements) as frames store them: words of 32 items, of
 * which only those that are not empty are there; or the same of all other items, where that is
 * shorter (FORMAT.md section 7). */
#ifndef QSGD_GRID_ITEM_SETS_H
#define QSGD_GRID_ITEM_SETS_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SET_WORD 32 /* items of a word */

/* Items [SET_WORD word, ..) that are in the set, the first one lowest. */
typedef uint32_t set_word(const void *context, uint64_t word);

/* Bytes of any set of that many items, at most. */
uint64_t set_bound(uint64_t items);

/* Bytes of the set; written to dst, unless that is NULL. */
size_t set_write(uint64_t items, set_word *word, const void *context, uint8_t *dst);

/* A stored set, as it is read word by word. */
struct item_set {
    const uint8_t *flags, *words;
    uint64_t items;
    bool others;    /* stored are the items that are not in the set */
    uint64_t count; /* of items that are in it */
};

/* Checks the set that starts at p. Returns its bytes; 0 if it is cut short, malformed, or stored in
 * the way that set_write does not take. */
size_t set_parse(struct item_set *set, const uint8_t *p, size_t bytes, uint64_t items);

/* The next word: of words 0, 1, .., each asked for once and in order. */
uint32_t set_next(struct item_set *set, uint64_t word);

#endif
