#include "grid/outliers.h"

#include "base/bits.h"

uint32_t outliers_from(const struct outliers *o, uint64_t at) {
    uint32_t from = 0, to = o->count;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        if (o->at[middle] < at) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

void outliers_put(const struct outliers *o, uint64_t at, size_t n, float *v) {
    if (o == NULL) return;
    for (uint32_t i = outliers_from(o, at); i < o->count && o->at[i] < at + n; i++) {
        v[o->at[i] - at] = o->value[i];
    }
}

size_t outliers_bound(uint64_t longest) {
    return longest < OUTLIERS_FROM ? 0 : 1 + (size_t)OUTLIERS_MOST * (3 + sizeof(float));
}

size_t outliers_write(const struct outliers *o, uint8_t *dst) {
    uint8_t spare[VARINT_MAX_BYTES];
    size_t at = 1;
    uint64_t next = 0;
    if (dst != NULL) dst[0] = (uint8_t)o->count;
    for (uint32_t i = 0; i < o->count; i++) {
        at += varint_write(dst == NULL ? spare : dst + at, o->at[i] - next);
        next = (uint64_t)o->at[i] + 1;
    }
    for (uint32_t i = 0; i < o->count; i++, at += 4) {
        if (dst != NULL) store_le32(dst + at, float_bits(o->value[i]));
    }
    return at;
}

size_t outliers_read(const uint8_t *p, size_t bytes, uint64_t len, struct outliers *o) {
    if (bytes < 1 || p[0] == 0) return 0;
    size_t at = 1;
    uint64_t next = 0;
    o->count = p[0];
    for (uint32_t i = 0; i < o->count; i++) {
        uint64_t gap;
        const size_t used = varint_read(p + at, p + bytes, &gap);
        if (used == 0 || gap >= len - next) return 0; /* next <= len: 0 is left at the end */
        o->at[i] = (uint32_t)(next + gap);
        next += gap + 1;
        at += used;
    }
    if (bytes - at < 4 * (size_t)o->count) return 0;
    for (uint32_t i = 0; i < o->count; i++, at += 4) {
        const uint32_t value = load_le32(p + at);
        if ((value & 0x7F800000) == 0x7F800000 || value << 1 == 0) return 0; /* finite, not 0 */
        o->value[i] = float_from_bits(value);
    }
    return at;
}
