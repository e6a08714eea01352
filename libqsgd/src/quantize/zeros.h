/* Groups of elements that are all exactly 0, which stay so under dither and rotation (ENCODER.md
 * section 3). Stage: elements -> groups of zeros. */
#ifndef QSGD_QUANTIZE_ZEROS_H
#define QSGD_QUANTIZE_ZEROS_H

#include "grid/live.h"
#include "quantize/quantizer.h"

/* The index of an element in a group of zeros, where indices stand for themselves
 * (QSGD_INDEX_OF_ZEROS). */
#define INDEX_OF_ZEROS INT16_MIN

/* True if zeros do not decode to zeros by themselves: groups of them are then found in the
 * elements, else in the indices (codes/zero_sets.h). */
static inline bool zeros_are_marked(const struct quantizer *q) {
    return q->dithered || q->params.rotation != 0 || !q->levels.plain_zero;
}

/* Adds the smallest groups that start in elements [from, to) of a chunk, of len elements x, and are
 * all 0: to zero_words(len) words, which zeros->words becomes if there are any. `from` is where a
 * group starts. Returns where the first group starts that was not looked at. */
uint64_t zeros_find(const float *x, uint64_t len, uint64_t from, uint64_t to, uint32_t *words,
                    struct zero_groups *zeros);

/* True if any of elements [from, to) of a chunk x is 0 (as outliers are there), but in no group of
 * zeros.
 */
bool zeros_alone(const struct zero_groups *zeros, const float *x, uint64_t from, uint64_t to);

/* Elements of such groups, from x on. */
uint64_t zeros_count(const float *x, uint64_t len);

/* The same of indices that are INDEX_OF_ZEROS, all of which become `idle`. */
struct zero_groups zeros_of_marks(int16_t *k, uint64_t len, int16_t idle, uint32_t *words);

/* The smallest groups of zeros, in `words` where they are, without those that lie in idle buckets
 * whole. live: of the chunk; its own groups are not read. */
struct zero_groups zeros_in_use(const struct live *live, const struct zero_groups *zeros,
                                uint32_t *words);

/* Marks the indices of these groups, of any size, but for smallest ones that lie in idle buckets
 * whole: those are `idle`. live: of the chunk; its own groups are not read. */
void zeros_mark(const struct live *live, const struct zero_groups *zeros, int16_t idle, int16_t *k);

#endif
