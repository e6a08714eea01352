/* Bits are compared: -0 is a zero, too. */
#include "quantize/zeros.h"

#include <string.h>

#define GROUP (1U << ZERO_GROUP_LOG2)

/* Most groups are known by their first element not to be all 0. */
static bool all_zero(const float *x, size_t n) {
    uint32_t bits = 0, first;
    memcpy(&first, x, sizeof first);
    if (first << 1 != 0) return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t one;
        memcpy(&one, x + i, sizeof one);
        bits |= one << 1; /* -0 counts */
    }
    return bits == 0;
}

struct zero_groups zeros_of_elements(const float *x, uint64_t len, uint32_t *words) {
    uint32_t any = 0;
    for (uint64_t at = 0; at < len; at += 32 * GROUP) {
        uint32_t word = 0;
        for (unsigned g = 0; g < 32 && at + g * GROUP < len; g++) {
            const uint64_t from = at + g * GROUP, n = min_u64(GROUP, len - from);
            if (all_zero(x + from, (size_t)n)) word |= (uint32_t)1 << g;
        }
        *words++ = word;
        any |= word;
    }
    words -= zero_words(len);
    return (struct zero_groups){any != 0 ? words : NULL, ZERO_GROUP_LOG2, NULL};
}

bool zeros_alone(const struct zero_groups *zeros, const float *x, uint64_t from, uint64_t to) {
    const struct zero_groups groups = {zeros->words, zeros->log2, NULL};
    for (uint64_t at = from, end; at < to; at = end) {
        bool zero;
        end = zero_run(&groups, at, to, &zero);
        for (uint64_t i = at; i < end && !zero; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            if (bits << 1 == 0) return true;
        }
    }
    return false;
}

uint64_t zeros_count(const float *x, uint64_t len) {
    uint64_t count = 0;
    for (uint64_t at = 0; at < len; at += GROUP) {
        const uint64_t n = min_u64(GROUP, len - at);
        if (all_zero(x + at, (size_t)n)) count += n;
    }
    return count;
}

struct zero_groups zeros_of_marks(int16_t *k, uint64_t len, int16_t idle, uint32_t *words) {
    bool any = false;
    memset(words, 0, (size_t)zero_words(len) * sizeof *words);
    for (uint64_t at = 0; at < len; at += GROUP) { /* a group is marked as a whole, or not at all */
        const uint64_t end = min_u64(at + GROUP, len);
        if (k[at] != INDEX_OF_ZEROS) continue;
        any = true;
        words[at / GROUP / 32] |= (uint32_t)1 << at / GROUP % 32;
        for (uint64_t i = at; i < end; i++) k[i] = idle;
    }
    return (struct zero_groups){any ? words : NULL, ZERO_GROUP_LOG2, NULL};
}

/* True if the smallest group that starts at element `at` lies in idle buckets whole. */
static bool is_idle(const struct live *live, uint64_t at) {
    struct live buckets = *live;
    bool in_use;
    buckets.zeros = (struct zero_groups){NULL, ZERO_GROUP_LOG2, NULL};
    return live_run(&buckets, at, &in_use) >= min_u64(at + GROUP, live->len) && !in_use;
}

struct zero_groups zeros_in_use(const struct live *live, const struct zero_groups *zeros,
                                uint32_t *words) {
    bool any = false;
    for (uint64_t at = 0, group = 0; zeros->words != NULL && at < live->len; at += GROUP, group++) {
        if (!zero_group_at(zeros, group)) continue;
        if (is_idle(live, at)) words[group / 32] &= ~((uint32_t)1 << group % 32);
        any = any || zero_group_at(zeros, group);
    }
    return (struct zero_groups){any ? words : NULL, ZERO_GROUP_LOG2, zeros->outliers};
}

void zeros_mark(const struct live *live, const struct zero_groups *zeros, int16_t *k) {
    for (uint64_t at = 0, end; zeros->words != NULL && at < live->len; at = end) {
        end = min_u64(at + GROUP, live->len);
        if (!zero_group_at(zeros, at >> zeros->log2) || is_idle(live, at)) continue;
        for (uint64_t i = at; i < end; i++) k[i] = INDEX_OF_ZEROS;
    }
}
