#include "grid/live.h"

#include <string.h>

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
    uint64_t group = at >> z->log2;
    *zeros = zero_group_at(z, group);
    do {
        group++;
    } while (group << z->log2 < end && zero_group_at(z, group) == *zeros);
    return min_u64(group << z->log2, end);
}

/* Where the bucket of element `at` ends. */
static uint64_t bucket_end(const struct live *l, uint64_t at, bool *idle) {
    const uint64_t bucket = (l->first + at) / l->bucket;
    *idle = scale_is_idle(scale_get(&l->scales, bucket));
    return min_u64((bucket + 1) * l->bucket - l->first, l->len);
}

/* The same with as little as is known at once. */
static uint64_t live_step(const struct live *l, uint64_t at, bool *live) {
    bool idle, zeros = false;
    const uint64_t end = bucket_end(l, at, &idle);
    const uint64_t stop = idle ? end : zero_run(&l->zeros, at, end, &zeros);
    *live = !idle && !zeros;
    return stop;
}

uint64_t live_run(const struct live *l, uint64_t at, bool *live) {
    bool next;
    uint64_t end = live_step(l, at, live);
    while (end < l->len) {
        const uint64_t after = live_step(l, end, &next);
        if (next != *live) break;
        end = after;
    }
    return end;
}

uint64_t live_count(const struct live *l) {
    uint64_t count = 0;
    for (uint64_t at = 0, end; at < l->len; at = end) {
        bool live;
        end = live_step(l, at, &live);
        if (live) count += end - at;
    }
    return count;
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

void live_scatter(const struct live *l, void *items, size_t item) {
    uint8_t *p = items, *from = p + (l->len - live_count(l)) * item;
    for (uint64_t at = 0, end; at < l->len; at = end) {
        bool live;
        end = live_run(l, at, &live);
        const size_t bytes = (size_t)(end - at) * item;
        if (!live) continue;
        memmove(p + at * item, from, bytes); /* never behind where it comes from */
        from += bytes;
    }
}
