#include "codes/zero_sets.h"

#include <string.h>

#include "codes/logarithms.h"
#include "grid/item_sets.h"
#include "kernels/kernels.h"

_Static_assert(ZERO_GROUP == 1 << ZERO_GROUP_LOG2, "kernels find the smallest groups");

static uint64_t groups_of(uint64_t len, unsigned log2) { return div_up(len, (uint64_t)1 << log2); }

/* ---- which groups ---------------------------------------------------------------------------- */

/* Bit 2 i to bit i. */
static uint32_t even_bits(uint32_t v) {
    v &= 0x55555555;
    v = (v | v >> 1) & 0x33333333;
    v = (v | v >> 2) & 0x0F0F0F0F;
    v = (v | v >> 4) & 0x00FF00FF;
    return (v | v >> 8) & 0xFFFF;
}

/* True if each two of so many groups are alike; the last may have no other. */
static bool pairs_are_alike(const uint32_t *words, uint64_t groups) {
    uint32_t differ = 0;
    for (uint64_t w = 0; w < groups / 32; w++) differ |= words[w] ^ words[w] >> 1;
    if (groups % 32 != 0) {
        const uint32_t last = words[groups / 32];
        const uint32_t whole = ((uint32_t)1 << groups % 32 / 2 * 2) - 1;
        differ |= (last ^ last >> 1) & whole;
    }
    return (differ & 0x55555555) == 0;
}

void zero_groups_join(struct zero_groups *zeros, uint64_t len, uint32_t *words) {
    if (zeros->words == NULL) return;
    for (;; zeros->log2++) {
        const uint64_t groups = groups_of(len, zeros->log2), count = div_up(groups, 32);
        if (groups == 1 || !pairs_are_alike(words, groups)) return;
        for (uint64_t w = 0; w < count; w += 2) {
            const uint32_t other = w + 1 < count ? even_bits(words[w + 1]) << 16 : 0;
            words[w / 2] = even_bits(words[w]) | other;
        }
    }
}

/* What elements cost that are 0 or not, by how often they are, in units of 2^-16 bits. */
static uint64_t zero_bits(uint64_t n, uint64_t zeros) {
    return count_lg(n) - count_lg(zeros) - count_lg(n - zeros);
}

/* How many of the live elements are 0. */
static uint64_t zeros_among(const struct kernels *kernels, const struct live *live,
                            const struct coded_items *items) {
    uint64_t zeros = 0;
    for (uint64_t at = 0, end; at < live->len; at = end) {
        bool is_live;
        end = live_run(live, at, &is_live);
        if (!is_live) continue;
        const struct coded_items run = coded_items_from(items, at);
        zeros += end - at - kernels->count_nonzeros(run.k, run.tokens, (size_t)(end - at));
    }
    return zeros;
}

struct zero_groups zero_groups_of_indices(const struct kernels *kernels, const struct live *live,
                                          const struct coded_items *items, uint32_t *words) {
    struct live with = *live, without = *live;
    without.zeros.words = NULL;
    if (!kernels->zero_groups(items->k, items->tokens, (size_t)live->len, words)) {
        return without.zeros;
    }
    with.zeros = (struct zero_groups){words, ZERO_GROUP_LOG2, live->zeros.outliers};
    zero_groups_join(&with.zeros, live->len, words);
    const uint64_t n = live_count(&without), left = live_count(&with),
                   z = zeros_among(kernels, &without, items);
    const uint64_t set = (uint64_t)zero_sets_write(&with.zeros, live->len, NULL) << 19;
    const bool repays = zero_bits(n, z) > zero_bits(left, z - (n - left)) + set;
    return repays ? with.zeros : without.zeros;
}

/* ---- in a payload's head --------------------------------------------------------------------- */

uint64_t zero_sets_bound(uint64_t len) { return 1 + set_bound(groups_of(len, ZERO_GROUP_LOG2)); }

static uint32_t word_of(const void *context, uint64_t word) {
    const struct zero_groups *zeros = context;
    return zeros->words[word];
}

size_t zero_sets_write(const struct zero_groups *zeros, uint64_t len, uint8_t *dst) {
    if (dst != NULL) dst[0] = (uint8_t)zeros->log2;
    return 1 + set_write(groups_of(len, zeros->log2), word_of, zeros, dst == NULL ? NULL : dst + 1);
}

size_t zero_sets_read(const uint8_t *p, size_t bytes, uint64_t len, uint32_t *words,
                      struct zero_groups *zeros) {
    struct item_set set;
    if (bytes < 1 || p[0] < ZERO_GROUP_LOG2 || p[0] > ZERO_SET_MOST_LOG2) return 0;
    const uint64_t groups = groups_of(len, p[0]);
    const size_t used = set_parse(&set, p + 1, bytes - 1, groups);
    if (used == 0 || set.count == 0) return 0;
    for (uint64_t w = 0; w < div_up(groups, SET_WORD); w++) words[w] = set_next(&set, w);
    *zeros = (struct zero_groups){words, p[0], NULL};
    return 1 + used;
}
