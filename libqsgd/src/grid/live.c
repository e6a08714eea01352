#include "grid/live.h"

#include <string.h>

/* The first group behind `group` that is not as it is, but at most that behind `last`. */
static uint64_t alike_until(const struct zero_groups *z, uint64_t group, uint64_t last,
                            bool zeros) {
    const uint32_t flip = zeros ? UINT32_MAX : 0; /* bits of groups that differ become 1 */
    uint64_t word = group / 32;
    uint32_t differ = (z->words[word] ^ flip) >> group % 32;
    if (differ != 0) return group + lowest_bit(differ);
    while (++word <= last / 32) {
        differ = z->words[word] ^ flip;
        if (differ != 0) return 32 * word + lowest_bit(differ);
    }
    return last + 1;
}

uint64_t zero_run(const struct zero_groups *z, uint64_t at, uint64_t end, bool *zeros) {
    if (z->outliers != NULL) {
        const uint32_t i = outliers_from(z->outliers, at);
        const uint64_t next = i < z->outliers->count ? z->outliers->at[i] : UINT64_MAX;
        *zeros = true;
        if (next == at) return at + 1;
        end = min_u64(end, next);
    }
    if (z->words == NULL) {
        *zeros = false;
        return end;
    }
    const uint64_t group = at >> z->log2;
    *zeros = zero_group_at(z, group);
    return min_u64(alike_until(z, group, (end - 1) >> z->log2, *zeros) << z->log2, end);
}

/* The bucket of element `at` of the chunk, where it ends, and how its elements are coded. */
struct bucket {
    uint64_t end;
    bool idle, rotated;
};

static struct bucket bucket_of(const struct live *l, const struct bucket_span *span) {
    const uint64_t end = min_u64(span->end - l->first, l->len);
    return (struct bucket){end, scale_is_idle(scale_get(&l->scales, span->bucket)),
                           scale_rotated(&l->scales, span->bucket)};
}

/* The same with as little as is known at once; *span: the bucket of the last step, or of this one.
 */
static uint64_t live_step(const struct live *l, struct bucket_span *span, uint64_t at, bool *live) {
    bool zeros = false;
    if (l->first + at >= span->end) layout_next_bucket(l->layout, span);
    const struct bucket b = bucket_of(l, span);
    const uint64_t stop = b.idle || b.rotated ? b.end : zero_run(&l->zeros, at, b.end, &zeros);
    *live = !b.idle && !zeros;
    return stop;
}

uint64_t live_run(const struct live *l, uint64_t at, bool *live) {
    bool next;
    struct bucket_span span = layout_bucket_at(l->layout, l->first + at);
    uint64_t end = live_step(l, &span, at, live);
    while (end < l->len) {
        const uint64_t after = live_step(l, &span, end, &next);
        if (next != *live) break;
        end = after;
    }
    return end;
}

/* Live elements of a bucket from element `at` of the chunk on. */
static uint64_t bucket_count(const struct live *l, const struct bucket *b, uint64_t at) {
    uint64_t count = 0;
    bool zeros = false;
    if (b->idle) return 0;
    if (b->rotated) return b->end - at;
    for (uint64_t end; at < b->end; at = end) {
        end = zero_run(&l->zeros, at, b->end, &zeros);
        if (!zeros) count += end - at;
    }
    return count;
}

/* True if all buckets of the chunk, the first of which this is, are coded but for groups of zeros.
 */
static bool all_plain(const struct live *l, uint64_t bucket) {
    const uint64_t last = layout_bucket_at(l->layout, l->first + l->len - 1).bucket;
    bool idle = false, rotated = false;
    for (uint64_t b = bucket; b <= last; b++) {
        idle |= scale_is_idle(scale_get(&l->scales, b));
        rotated |= zeros_any(&l->zeros) && scale_rotated(&l->scales, b);
    }
    return !idle && !rotated;
}

/* Elements in groups of zeros, the last of which may be short. */
static uint64_t zeros_in_groups(const struct zero_groups *z, uint64_t len) {
    const uint64_t groups = div_up(len, (uint64_t)1 << z->log2);
    uint64_t count = 0;
    for (uint64_t w = 0; w < div_up(groups, 32); w++) count += count_bits(z->words[w]);
    const uint64_t missing = (groups << z->log2) - len;
    return (count << z->log2) - (zero_group_at(z, groups - 1) ? missing : 0);
}

uint64_t live_count(const struct live *l) {
    uint64_t count = 0, at = 0;
    if (l->len == 0) return 0;
    struct bucket_span span = layout_bucket_at(l->layout, l->first);
    if (l->zeros.outliers == NULL && all_plain(l, span.bucket)) { /* as most are */
        return l->len - (l->zeros.words == NULL ? 0 : zeros_in_groups(&l->zeros, l->len));
    }
    for (struct bucket b; at < l->len; at = b.end) { /* without a division a bucket */
        b = bucket_of(l, &span);
        count += bucket_count(l, &b, at);
        layout_next_bucket(l->layout, &span);
    }
    return count;
}

void live_mark_rotated(const struct live *l, uint64_t size, uint8_t *groups) {
    struct bucket_span span = layout_bucket_at(l->layout, l->first);
    uint64_t group = 0, count = 0, at = 0;
    for (struct bucket b; at < l->len; at = b.end) {
        b = bucket_of(l, &span);
        count += bucket_count(l, &b, at);
        for (; group * size < count; group++) {
            groups[group] = (uint8_t)(groups[group] | (b.rotated ? 128 : 0));
        }
        layout_next_bucket(l->layout, &span);
    }
}

void live_gather(const struct live *l, void *items, size_t item) {
    uint8_t *p = items, *to = items;
    for (uint64_t at = 0, end; at < l->len; at = end) {
        bool live;
        end = live_run(l, at, &live);
        const size_t bytes = (size_t)(end - at) * item;
        if (!live) continue;
        memmove(to, p + at * item, bytes);
        to += bytes;
    }
}

/* Moves live items, which begin at `from` and end at the chunk's end, to their places: never behind
 * where they come from. */
static void spread(const struct live *l, uint8_t *p, const uint8_t *from, size_t item,
                   bool clears) {
    for (uint64_t at = 0, end; at < l->len; at = end) {
        bool live;
        end = live_run(l, at, &live);
        const size_t bytes = (size_t)(end - at) * item;
        if (live) {
            memmove(p + at * item, from, bytes);
            from += bytes;
        } else if (clears) {
            memset(p + at * item, 0, bytes);
        }
    }
}

void live_scatter(const struct live *l, void *items, size_t item) {
    uint8_t *p = items;
    spread(l, p, p + (l->len - live_count(l)) * item, item, false);
}

void live_ungather(const struct live *l, void *items, size_t item) {
    const uint64_t count = live_count(l);
    uint8_t *p = items, *from = p + (l->len - count) * item;
    memmove(from, p, (size_t)count * item);
    spread(l, p, from, item, true);
}
