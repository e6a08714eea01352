/* Where the elements of a tensor come from: the caller's memory, of any float type. Stage: tensor
 * -> elements. */
#ifndef QSGD_QUANTIZE_SOURCE_H
#define QSGD_QUANTIZE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grid/layout.h"
#include "qsgd.h"

/* Elements that are held at once, at most, and of what is short: multiples of NOISE_TILE. */
#define QUANTIZE_BLOCK 4096
#define QUANTIZE_SMALL_BLOCK 1024

/* That of a tensor, whose chunks are no longer than QUANTIZE_BLOCK if they are short. */
static inline uint64_t quantize_block(const struct layout *l) {
    return layout_longest(l) > QUANTIZE_BLOCK ? QUANTIZE_BLOCK : QUANTIZE_SMALL_BLOCK;
}

/* Where elements come from: src of any float type, with an optional residual and given scales. */
struct source {
    const uint8_t *data;
    uint32_t dtype;
    float *residual;
    float keep;         /* what of it counts, 0 .. 1 */
    const float *given; /* scales, or NULL */
    /* Trials: of each 2^every_log2 units of so many elements one is there, and counts as if others
     * were not (ENCODER.md section 10.2). 0: all are. */
    uint64_t unit;
    unsigned every_log2;
};

/* True if elements must be copied to float32 before use. */
static inline bool source_converts(const struct source *source) {
    return source->dtype != QSGD_FLOAT32 || source->residual != NULL || source->every_log2 != 0;
}

/* Elements [first, first + len) as float32: a pointer into the source, or into `to`. */
const float *source_read(const struct source *source, uint64_t first, uint64_t len, float *to);

/* n elements, at most a block, times X (FORMAT.md 8.4): x itself where X is 1, or in `block`.
 */
const float *source_in_range(const float *x, size_t n, float range, float *block);

/* First element of bucket that is not finite, or the bucket's first if none is. */
uint64_t source_first_nonfinite(const struct source *source, const struct layout *l,
                                uint64_t bucket);

#endif
