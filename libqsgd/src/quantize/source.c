/* Elements of any float type as float32, with their residual; and brought into range. */
#include "quantize/source.h"

#include <string.h>

#include "base/dtype.h"
#include "base/fpenv.h"
#include "grid/scales.h"

/* Elements [first, first + len) of the tensor. */
static const float *read_all(const struct source *source, uint64_t first, uint64_t len, float *to) {
    const uint8_t *data = source->data + first * dtype_bytes(source->dtype);
    if (!source_converts(source)) return (const float *)(const void *)data;
    dtype_to_float(source->dtype, data, (size_t)len, to);
    if (source->residual != NULL) {
        for (uint64_t i = 0; i < len; i++) {
            float r;
            memcpy(&r, source->residual + first + i, sizeof r);
            const float kept = r * source->keep; /* rounded on its own */
            to[i] += kept;
        }
    }
    return to;
}

/* Where element `first` of the units that are there lies; *n: how many from there on follow. Which
 * of 2^every_log2 units is there looks random, as rows and columns of tensors come in steps. */
static uint64_t place_of(const struct source *source, uint64_t first, uint64_t *n) {
    const uint64_t unit = first / source->unit, at = first % source->unit;
    const uint64_t every = (uint64_t)1 << source->every_log2;
    *n = source->unit - at;
    return (unit * every + ((uint32_t)unit * 2654435769U >> 16 & (every - 1))) * source->unit + at;
}

const float *source_read(const struct source *source, uint64_t first, uint64_t len, float *to) {
    if (source->every_log2 == 0) return read_all(source, first, len, to);
    for (uint64_t i = 0, n; i < len; i += n) {
        const uint64_t from = place_of(source, first + i, &n);
        if (n > len - i) n = len - i;
        read_all(source, from, n, to + i);
    }
    return to;
}

const float *source_in_range(const float *x, size_t n, float range, float *block) {
    if (range == 1.0F) return x; /* nearly always */
    memcpy(block, x, n * sizeof *x);
    for (size_t i = 0; i < n; i++) block[i] *= range;
    return block;
}

uint64_t source_first_nonfinite(const struct source *source, const struct layout *l,
                                uint64_t bucket) {
    const uint64_t first = layout_bucket(l, bucket).first, whole = first / l->bucket * l->bucket;
    const uint64_t end = whole + layout_whole_len(l, whole); /* none of whose parts is finite */
    uint64_t found = first;
    fpenv env = fpenv_enter(); /* a residual is added, or float64 rounded */
    for (uint64_t i = first; i < end; i++) {
        float x;
        memcpy(&x, source_read(source, i, 1, &x), sizeof x);
        if ((float_bits(x) & 0x7FFFFFFF) < SCALE_INF_BITS) continue;
        found = i;
        break;
    }
    fpenv_leave(env);
    return found;
}
