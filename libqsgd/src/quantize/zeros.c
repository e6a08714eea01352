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

uint64_t zeros_find(const float *x, uint64_t len, uint64_t from, uint64_t to, uint32_t *words,
                    struct zero_groups *zeros) {
    for (uint64_t at = from; at < to; at += GROUP) {
        if (!all_zero(x + at, (size_t)min_u64(GROUP, len - at))) continue;
        words[at / GROUP / 32] |= (uint32_t)1 << at / GROUP % 32;
        zeros->words = words;
    }
    return from < to ? div_up(to, GROUP) * GROUP : from;
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

/* The groups that lie in elements [at, end) whole: from *first on; returns the one behind them. */
static uint64_t whole_groups(uint64_t at, uint64_t end, uint64_t len, uint64_t *first) {
    *first = div_up(at, GROUP);
    return end == len ? div_up(end, GROUP) : end / GROUP;
}

/* The chunk without groups of zeros: what is not live there lies in idle buckets. */
static struct live buckets_of(const struct live *live) {
    struct live buckets = *live;
    buckets.zeros = (struct zero_groups){NULL, ZERO_GROUP_LOG2, NULL};
    return buckets;
}

struct zero_groups zeros_in_use(const struct live *live, const struct zero_groups *zeros,
                                uint32_t *words) {
    const struct live buckets = buckets_of(live);
    uint32_t any = 0;
    for (uint64_t at = 0, end, g; zeros->words != NULL && at < live->len; at = end) {
        bool in_use;
        end = live_run(&buckets, at, &in_use);
        if (in_use) continue;
        const uint64_t stop = whole_groups(at, end, live->len, &g);
        for (; g < stop; g++) words[g / 32] &= ~((uint32_t)1 << g % 32);
    }
    for (uint64_t w = 0; zeros->words != NULL && w < zero_words(live->len); w++) any |= words[w];
    return (struct zero_groups){any != 0 ? words : NULL, ZERO_GROUP_LOG2, zeros->outliers};
}

void zeros_mark(const struct live *live, const struct zero_groups *zeros, int16_t idle,
                int16_t *k) {
    const struct live buckets = buckets_of(live);
    const struct zero_groups groups = {zeros->words, zeros->log2, NULL};
    bool zero, in_use;
    if (zeros->words == NULL) return;
    for (uint64_t at = 0, end; at < live->len; at = end) {
        end = zero_run(&groups, at, live->len, &zero);
        for (uint64_t i = at; zero && i < end; i++) k[i] = INDEX_OF_ZEROS;
    }
    for (uint64_t at = 0, end, first; at < live->len; at = end) {
        end = live_run(&buckets, at, &in_use);
        if (in_use) continue;
        const uint64_t stop = min_u64(whole_groups(at, end, live->len, &first) * GROUP, end);
        for (uint64_t i = first * GROUP; i < stop; i++) k[i] = idle;
    }
}
