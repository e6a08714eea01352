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
    uint64_t bucket;     /* b: elements of a full bucket, before it is cut, >= 1 */
    uint64_t buckets;    /* nb; 0 for raw frames */
    uint64_t chunk;      /* elements of a full chunk */
    uint64_t chunks;     /* nc */
    uint64_t per_bucket; /* chunks of a full bucket, where buckets are cut into pieces; else 0 */
    uint64_t segment;    /* elements of a full segment */
    uint64_t parts;      /* if buckets may be rotated: what a full one is cut into; else 0 */
};

/* One chunk: elements [first, first + len) and the buckets that they touch. */
struct chunk_span {
    uint64_t first, len;
    uint64_t bucket, buckets; /* first bucket, number of buckets */
};

/* What buckets are to a frame. */
enum layout_kind { LAYOUT_RAW, LAYOUT_WHOLE, LAYOUT_CUT };

static inline enum layout_kind layout_kind_of(bool raw, bool rotated) {
    if (raw) return LAYOUT_RAW;
    return rotated ? LAYOUT_CUT : LAYOUT_WHOLE;
}

#define PART_LEAST 128 /* elements: shorter buckets of rotated frames are not rotated */

static inline uint64_t div_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }
static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Buckets that one of len elements is cut into in rotated frames: powers of two, the largest first,
 * and what remains below PART_LEAST. */
static inline uint64_t layout_parts_of(uint64_t len) {
    uint64_t parts = len % PART_LEAST != 0;
    for (uint64_t bits = len / PART_LEAST; bits != 0; bits &= bits - 1) parts++;
    return parts;
}

/* As many as any bucket of at most len elements is cut into, and perhaps one more. */
static inline uint64_t layout_parts_most(uint64_t len) {
    uint64_t parts = 1;
    for (; len >= PART_LEAST; len /= 2) parts++;
    return parts;
}

static inline struct layout layout_of(uint64_t n, uint64_t bucket, unsigned chunk_log2,
                                      enum layout_kind kind) {
    struct layout l = {.n = n, .bucket = bucket};
    const uint64_t c = (uint64_t)1 << chunk_log2;
    if (l.bucket == 0 || l.bucket > n) l.bucket = n > 0 ? n : 1;
    if (kind == LAYOUT_RAW) {
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
    if (kind == LAYOUT_CUT && l.bucket >= PART_LEAST) { /* others are whole anyway */
        l.parts = layout_parts_of(l.bucket);
        l.buckets = n / l.bucket * l.parts + layout_parts_of(n % l.bucket);
    }
    return l;
}

/* ---- buckets --------------------------------------------------------------------------------- */

/* Elements of the bucket, before it is cut, that starts at element `first`. */
static inline uint64_t layout_whole_len(const struct layout *l, uint64_t first) {
    return min_u64(l->bucket, l->n - first);
}

/* Of a bucket of len elements, the part that place p lies in: its start, *end, and how many parts
 * come before it. Parts are the binary digits of len: the first one in which p differs is the
 * part's.
 */
static inline uint64_t layout_part(uint64_t len, uint64_t p, uint64_t *end, uint64_t *before) {
    uint64_t digit = PART_LEAST / 2;
    while ((len ^ p) >= 2 * digit) digit *= 2;
    const uint64_t start =
        digit < PART_LEAST ? len & ~(uint64_t)(PART_LEAST - 1) : len & ~(2 * digit - 1);
    *end = digit < PART_LEAST ? len : start + digit;
    *before = layout_parts_of(start);
    return start;
}

/* The bucket that holds an element, where it starts, and the element behind it. */
struct bucket_span {
    uint64_t bucket, first, end;
};

static inline struct bucket_span layout_bucket_at(const struct layout *l, uint64_t element) {
    const uint64_t whole = element / l->bucket, first = whole * l->bucket;
    const uint64_t len = layout_whole_len(l, first);
    if (l->parts == 0) return (struct bucket_span){whole, first, first + len};
    uint64_t end, before;
    const uint64_t start = layout_part(len, element - first, &end, &before);
    return (struct bucket_span){whole * l->parts + before, first + start, first + end};
}

/* A bucket by its number. */
static inline struct bucket_span layout_bucket(const struct layout *l, uint64_t bucket) {
    if (l->parts == 0) return layout_bucket_at(l, bucket * l->bucket);
    uint64_t whole = bucket / l->parts;
    if (whole > l->n / l->bucket) whole = l->n / l->bucket;
    const uint64_t first = whole * l->bucket, len = layout_whole_len(l, first);
    uint64_t part = bucket - whole * l->parts, start = 0, end = 0, before;
    for (;; part--, start = end) {
        layout_part(len, start, &end, &before);
        if (part == 0) return (struct bucket_span){bucket, first + start, first + end};
    }
}

/* The one behind it, if there is one. */
static inline void layout_next_bucket(const struct layout *l, struct bucket_span *span) {
    if (l->parts != 0) {
        *span = layout_bucket_at(l, min_u64(span->end, l->n - 1));
        return;
    }
    span->bucket++;
    span->first = span->end;
    span->end = min_u64(span->end + l->bucket, l->n);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* Number of the chunk that starts at element `first` of that bucket. */
static inline uint64_t layout_chunk_at(const struct layout *l, uint64_t bucket, uint64_t first) {
    if (l->per_bucket == 0) return first / l->chunk;
    return bucket * l->per_bucket + (first - bucket * l->bucket) / l->chunk;
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
    if (l->parts == 0) return span;
    span.bucket *= l->parts; /* chunks hold whole buckets, but the tensor's last one */
    span.buckets = span.len / l->bucket * l->parts + layout_parts_of(span.len % l->bucket);
    return span;
}

/* The chunk that holds an element. */
static inline uint64_t layout_chunk_of(const struct layout *l, uint64_t element) {
    if (l->per_bucket == 0) return element / l->chunk;
    return element / l->bucket * l->per_bucket + element % l->bucket / l->chunk;
}

static inline uint64_t layout_bucket_len(const struct layout *l, uint64_t bucket) {
    const struct bucket_span span = layout_bucket(l, bucket);
    return span.end - span.first;
}

/* Buckets of any chunk, at most. */
static inline uint64_t layout_most_buckets(const struct layout *l) {
    if (l->per_bucket != 0) return 1;
    const uint64_t longest = min_u64(l->chunk, l->n), whole = div_up(longest, l->bucket);
    /* of the last bucket there may be more parts than of a full one */
    return l->parts == 0 ? whole : whole * l->parts + layout_parts_most(l->bucket);
}

/* Longest chunk there is: sizes per-worker scratch. */
static inline uint64_t layout_longest(const struct layout *l) { return min_u64(l->chunk, l->n); }

#endif
