/* Where buckets, chunks and segments lie (FORMAT.md section 5). Integers only. */
#ifndef QSGD_GRID_LAYOUT_H
#define QSGD_GRID_LAYOUT_H

#include "base/begin.h"

#include <stdbool.h>
#include <stdint.h>

enum { CHUNK_LOG2_LEAST = 10, CHUNK_LOG2_MOST = 18 };
enum { SEGMENT_LEAST = 256, SEGMENT_MOST = 1024 }; /* elements of a full segment */

struct layout {
    uint64_t n;          /* elements */
    uint64_t bucket;     /* b: elements of a full bucket, >= 1 */
    uint64_t buckets;    /* nb; 0 for raw frames */
    uint64_t chunk;      /* elements of a full chunk */
    uint64_t chunks;     /* nc */
    uint64_t per_bucket; /* chunks of a full bucket, where buckets are cut into pieces; else 0 */
    uint64_t segment;    /* elements of a full segment */
};

/* One chunk: elements [first, first + len) and the buckets that they touch. */
struct chunk_span {
    uint64_t first, len;
    uint64_t bucket, buckets; /* first bucket, number of buckets */
};

static inline uint64_t div_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }
static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

static inline struct layout layout_of(uint64_t n, uint64_t bucket, unsigned chunk_log2, bool raw) {
    struct layout l = {.n = n, .bucket = bucket};
    const uint64_t c = (uint64_t)1 << chunk_log2;
    if (l.bucket == 0 || l.bucket > n) l.bucket = n > 0 ? n : 1;
    if (raw) {
        l.bucket = 1;
        l.chunk = l.segment = c;
        l.chunks = div_up(n, c);
        return l;
    }
    l.buckets = div_up(n, l.bucket);
    l.segment = SEGMENT_MOST;
    if (l.bucket <= SEGMENT_MOST) l.segment = l.bucket * div_up(SEGMENT_LEAST, l.bucket);
    if (l.bucket > c) {
        l.chunk = c;
        l.per_bucket = div_up(l.bucket, c);
        l.chunks = n / l.bucket * l.per_bucket + div_up(n % l.bucket, c);
    } else {
        l.chunk = c / l.bucket * l.bucket;
        l.chunks = div_up(n, l.chunk);
    }
    return l;
}

static inline struct chunk_span layout_chunk(const struct layout *l, uint64_t index) {
    struct chunk_span span;
    if (l->per_bucket != 0) {
        uint64_t in_bucket = index % l->per_bucket;
        span.bucket = index / l->per_bucket;
        span.buckets = 1;
        span.first = span.bucket * l->bucket + in_bucket * l->chunk;
        uint64_t end = min_u64((span.bucket + 1) * l->bucket, l->n);
        span.len = min_u64(l->chunk, end - span.first);
        return span;
    }
    span.first = index * l->chunk;
    span.len = min_u64(l->chunk, l->n - span.first);
    span.bucket = span.first / l->bucket;
    span.buckets = l->buckets == 0 ? 0 : div_up(span.len, l->bucket);
    return span;
}

/* The chunk that holds an element. */
static inline uint64_t layout_chunk_of(const struct layout *l, uint64_t element) {
    if (l->per_bucket == 0) return element / l->chunk;
    return element / l->bucket * l->per_bucket + element % l->bucket / l->chunk;
}

static inline uint64_t layout_bucket_len(const struct layout *l, uint64_t bucket) {
    return min_u64(l->bucket, l->n - bucket * l->bucket);
}

/* Buckets of any chunk, at most. */
static inline uint64_t layout_most_buckets(const struct layout *l) {
    return l->per_bucket != 0 ? 1 : div_up(min_u64(l->chunk, l->n), l->bucket);
}

/* Longest chunk there is: sizes per-worker scratch. */
static inline uint64_t layout_longest(const struct layout *l) { return min_u64(l->chunk, l->n); }

#endif
