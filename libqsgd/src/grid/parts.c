#include "grid/parts.h"

uint64_t parts_whole(const struct parts *p) { return div_up(p->span.len, p->layout->bucket); }

uint64_t parts_bound(uint64_t buckets) { return set_bound(buckets); }

/* Elements of bucket `i` of the chunk, before it is cut. */
static uint64_t whole_len(const struct parts *p, uint64_t i) {
    return layout_whole_len(p->layout, p->span.first + i * p->layout->bucket);
}

/* The number of its first part. */
static uint64_t first_part(const struct parts *p, uint64_t i) {
    return p->span.bucket + i * p->layout->parts;
}

static bool is_rotated(const struct parts *p, uint64_t i) {
    return scale_rotated(&p->scales, first_part(p, i));
}

bool parts_rotated(const struct parts *p) {
    bool any = false;
    for (uint64_t i = 0; i < parts_whole(p); i++) any |= is_rotated(p, i);
    return any;
}

uint64_t parts_pack(const struct parts *p, float *entries) {
    const struct scale_array to = scales_at(entries, 0);
    uint64_t count = 0;
    for (uint64_t i = 0; i < parts_whole(p); i++) {
        const uint64_t first = first_part(p, i);
        const uint64_t stored = is_rotated(p, i) ? layout_parts_of(whole_len(p, i)) : 1;
        for (uint64_t j = 0; j < stored; j++) {
            scale_open(&to, count++, scale_get(&p->scales, first + j), false);
        }
    }
    return count;
}

static uint32_t rotated_word(const void *context, uint64_t word) {
    const struct parts *p = context;
    const uint64_t from = word * SET_WORD, to = min_u64(from + SET_WORD, parts_whole(p));
    uint32_t bits = 0;
    for (uint64_t i = from; i < to; i++) bits |= (uint32_t)is_rotated(p, i) << (i - from);
    return bits;
}

size_t parts_write(const struct parts *p, uint8_t *dst) {
    return set_write(parts_whole(p), rotated_word, p, dst);
}

size_t parts_parse(const struct parts *p, const uint8_t *from, size_t bytes, struct item_set *set,
                   uint64_t *entries) {
    const uint64_t whole = parts_whole(p);
    const size_t used = set_parse(set, from, bytes, whole);
    if (used == 0 || set->count == 0) return 0;
    struct item_set read = *set;
    uint32_t word = 0;
    *entries = 0;
    for (uint64_t i = 0; i < whole; i++, word >>= 1) {
        if (i % SET_WORD == 0) word = set_next(&read, i / SET_WORD);
        const bool rotated = (word & 1) != 0;
        const uint64_t len = whole_len(p, i);
        if (rotated && len < PART_LEAST) return 0;
        *entries += rotated ? layout_parts_of(len) : 1;
    }
    return used;
}

/* Stored scales move to the end, from where all parts' are filled: never before they were read. */
void parts_unpack(const struct parts *p, const struct item_set *set, uint64_t entries) {
    struct item_set read = {NULL, NULL, 0, false, 0};
    const uint64_t first = p->span.bucket, moved = p->span.buckets - entries;
    uint64_t from = first + moved;
    uint32_t word = 0;
    if (set != NULL) read = *set;
    memmove(p->scales.bytes + 4 * (from - p->scales.first),
            p->scales.bytes + 4 * (first - p->scales.first), 4 * (size_t)entries);
    for (uint64_t i = 0; i < parts_whole(p); i++, word >>= 1) {
        if (set != NULL && i % SET_WORD == 0) word = set_next(&read, i / SET_WORD);
        const bool rotated = (word & 1) != 0;
        const uint64_t len = whole_len(p, i), parts = layout_parts_of(len);
        float scale = scale_get(&p->scales, from);
        for (uint64_t j = 0; j < parts; j++) {
            const bool rest = j + 1 == parts && len % PART_LEAST != 0;
            if (rotated) scale = scale_get(&p->scales, from++);
            scale_open(&p->scales, first_part(p, i) + j, scale, rotated && !rest);
        }
        if (!rotated) from++;
    }
}
