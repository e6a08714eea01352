#include "codes/zero_sets.h"

#include <string.h>

#include "codes/logarithms.h"
#include "grid/item_sets.h"

static uint64_t groups_of(uint64_t len, unsigned log2) { return div_up(len, (uint64_t)1 << log2); }

/* ---- which groups ---------------------------------------------------------------------------- */

/* Each two bits to one; *alike is cleared if a pair differs. The last group may have no other. */
static void join_pairs(const struct zero_groups *z, uint64_t groups, uint32_t *to, bool *alike) {
    for (uint64_t g = 0; g < groups; g += 2) {
        const bool one = zero_group_at(z, g),
                   other = g + 1 < groups ? zero_group_at(z, g + 1) : one;
        *alike = *alike && one == other;
        if (to == NULL) continue;
        const uint32_t bit = (uint32_t)1 << g / 2 % 32;
        to[g / 64] = one ? to[g / 64] | bit : to[g / 64] & ~bit;
    }
}

void zero_groups_join(struct zero_groups *zeros, uint64_t len, uint32_t *words) {
    for (bool alike = true; zeros->words != NULL;) {
        const uint64_t groups = groups_of(len, zeros->log2);
        if (groups == 1) return;
        join_pairs(zeros, groups, NULL, &alike);
        if (!alike) return;
        join_pairs(zeros, groups, words, &alike);
        zeros->log2++;
        const uint64_t left = groups_of(len, zeros->log2);
        if (left % 32 != 0) words[left / 32] &= ((uint32_t)1 << left % 32) - 1;
    }
}

/* True if so many bytes are all 0: eight at a time, of which most groups need one. */
static bool all_zero(const uint8_t *p, size_t bytes) {
    uint64_t word;
    for (; bytes >= sizeof word; bytes -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        if (word != 0) return false;
    }
    while (bytes > 0 && *p == 0) bytes--, p++;
    return bytes == 0;
}

static bool group_is_zero(const struct coded_items *items, uint64_t at, uint64_t end) {
    return all_zero(coded_items_at(items, at), (size_t)(end - at) * coded_item_bytes(items));
}

static uint64_t zeros_of_run(const struct coded_items *items, uint64_t at, uint64_t end) {
    uint32_t zeros = 0; /* no chunk is longer */
    if (items->k != NULL) {
        for (uint64_t i = at; i < end; i++) zeros += items->k[i] == 0;
    } else {
        for (uint64_t i = at; i < end; i++) zeros += items->tokens[i] == 0;
    }
    return zeros;
}

/* What elements cost that are 0 or not, by how often they are, in units of 2^-16 bits. */
static uint64_t zero_bits(uint64_t n, uint64_t zeros) {
    return count_lg(n) - count_lg(zeros) - count_lg(n - zeros);
}

static uint64_t zeros_among(const struct live *live, const struct coded_items *items) {
    uint64_t zeros = 0;
    for (uint64_t at = 0, end; at < live->len; at = end) {
        bool is_live;
        end = live_run(live, at, &is_live);
        if (is_live) zeros += zeros_of_run(items, at, end);
    }
    return zeros;
}

struct zero_groups zero_groups_of_indices(const struct live *live, const struct coded_items *items,
                                          uint32_t *words) {
    const uint64_t group = (uint64_t)1 << ZERO_GROUP_LOG2;
    struct live with = *live, without = *live;
    bool any = false;
    memset(words, 0, (size_t)zero_words(live->len) * sizeof *words);
    for (uint64_t at = 0; at < live->len; at += group) {
        if (!group_is_zero(items, at, min_u64(at + group, live->len))) continue;
        words[at / group / 32] |= (uint32_t)1 << at / group % 32;
        any = true;
    }
    without.zeros.words = NULL;
    if (!any) return without.zeros;
    with.zeros = (struct zero_groups){words, ZERO_GROUP_LOG2, live->zeros.outliers};
    zero_groups_join(&with.zeros, live->len, words);
    const uint64_t n = live_count(&without), left = live_count(&with),
                   z = zeros_among(&without, items);
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
