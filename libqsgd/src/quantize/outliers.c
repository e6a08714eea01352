#include "quantize/outliers.h"

#include <string.h>

#include "grid/scales.h"

#define ROUNDS 3 /* one outlier may hide another */
/* A round finds k of a block if each is OUTLIER_RATIO times the mean of the others: (k - 1) *
 * OUTLIER_RATIO < NORM_BLOCK. */
#define ROUND_MOST (NORM_BLOCK / OUTLIER_RATIO + 1)
#define SAMPLE 256 /* of most blocks, enough */

/* False if a block of n elements, of that largest magnitude, has no outlier for sure: a part of its
 * magnitudes says enough, unless it has a long tail. */
static bool may_have(const struct kernels *kernels, const float *x, size_t n, float most) {
    const double share = (double)most * (double)(n + OUTLIER_RATIO) / (OUTLIER_RATIO * 0.999);
    double sum = 0, part;
    for (size_t i = 0; i < n; i += SAMPLE) {
        kernels->sum_magnitudes(x + i, n - i < SAMPLE ? n - i : SAMPLE, &part);
        sum += part;
        if (share < sum) return false;
    }
    return true;
}

/* |*x|, at any alignment. */
static float magnitude(const float *x) {
    float one;
    memcpy(&one, x, sizeof one);
    return float_from_bits(float_bits(one) & 0x7FFFFFFF);
}

/* The next round of a block: the places of magnitudes above the bound. Returns how many. */
static uint32_t find(const struct kernels *kernels, const float *x, size_t n, uint32_t *at) {
    double sum, others = 0;
    uint32_t count = 0;
    kernels->sum_magnitudes(x, n, &sum);
    for (size_t i = 0; i < n; i++) others += magnitude(x + i) != 0;
    for (size_t i = 0; i < n; i++) {
        const double size = (double)magnitude(x + i);
        if (size * (others - 1) > (sum - size) * OUTLIER_RATIO) at[count++] = (uint32_t)i;
    }
    return count;
}

/* In order of their places: rounds find larger ones first. */
static void insert(struct outliers *o, uint32_t at, float value) {
    uint32_t i = o->count++;
    for (; i > 0 && o->at[i - 1] > at; i--) {
        o->at[i] = o->at[i - 1];
        o->value[i] = o->value[i - 1];
    }
    o->at[i] = at;
    o->value[i] = value;
}

/* Outliers of a block that starts at element `start` of the run. All that a chunk may have, 5 a
 * round of each of 16 blocks at most, have room. */
static void take_out(const struct kernels *kernels, float *block, size_t n, uint64_t start,
                     struct outliers *found) {
    uint32_t at[ROUND_MOST];
    for (int round = 0; round < ROUNDS; round++) {
        const uint32_t count = find(kernels, block, n, at);
        if (count == 0) return;
        for (uint32_t i = 0; i < count; i++) {
            if (found != NULL) insert(found, (uint32_t)start + at[i], block[at[i]]);
            block[at[i]] = 0;
        }
    }
}

/* Of a block: outliers are so beside the others in it. */
static uint64_t block_elements(const struct quantizer *q) {
    return min_u64(q->layout.chunk, NORM_BLOCK);
}

bool outliers_suspected(const struct quantizer *q, const float *x, uint64_t len, uint32_t largest) {
    const uint64_t most = block_elements(q);
    if (largest >= SCALE_INF_BITS) return true; /* of some block, others are to be looked at */
    for (uint64_t i = 0; i < len && largest != 0; i += most) {
        const size_t n = (size_t)min_u64(most, len - i);
        if (may_have(q->kernels, x + i, n, float_from_bits(largest))) return true;
    }
    return false;
}

const float *outliers_read_without(const struct quantizer *q, const struct source *source,
                                   uint64_t first, uint64_t len, struct quantize_scratch *scratch,
                                   struct outliers *found) {
    const struct kernels *kernels = q->kernels;
    const float *x = source_read(source, first, len, scratch->elements);
    const uint64_t most = block_elements(q);
    uint32_t at[ROUND_MOST];
    if (found != NULL) found->count = 0;
    for (uint64_t i = 0; i < len; i += most) {
        const size_t n = (size_t)min_u64(most, len - i);
        const uint32_t largest = kernels->max_bits(x + i, n);
        if (largest == 0 || largest >= SCALE_INF_BITS) continue;
        if (!may_have(kernels, x + i, n, float_from_bits(largest))) continue;
        if (find(kernels, x + i, n, at) == 0) continue;
        if (x != scratch->elements) {
            memcpy(scratch->elements, x, (size_t)len * sizeof *x);
            x = scratch->elements;
        }
        take_out(kernels, scratch->elements + i, n, i, found);
    }
    return x;
}
