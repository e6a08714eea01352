/* Values of a mostly zero chunk, from its non-zero indices alone (FORMAT.md 8.4): the output
 * is cleared, then the few values are put in. Stage: index -> value; see quantize/values.c. */
#include "quantize/values_nonzeros.h"

#include <string.h>

#include "base/dtype.h"

/* What is left out is a zero times alpha, which must be a zero. */
bool values_skip_zeros(const struct quantizer *q, const struct sink *sink, uint64_t from,
                       uint64_t to) {
    if (q->params.rotation != 0) return false; /* zeros take part in the rotation */
    if (!sink->add) return true;
    if ((float_bits(sink->alpha) & 0x7FFFFFFF) >= SCALE_INF_BITS) return false;
    const uint8_t *sums = sink->data + (from - sink->origin) * sizeof(float);
    return q->kernels->keeps_with_zero((const float *)(const void *)sums, (size_t)(to - from));
}

/* The whole of a bucket of scale NaN, as far as it lies in [from, to). */
static void put_idle(const struct dequantizer *d, float scale, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to;) {
        const size_t n = (size_t)min_u64(quantize_block(&d->q->layout), to - i);
        values_of_bucket(d->q, scale, NULL, n, d->scratch->block);
        values_put(d->sink, i, d->scratch->block, n);
        i += n;
    }
}

/* n non-zeros of one bucket; at[i] counts from element `first`. */
static void put_nonzeros(const struct dequantizer *d, float scale, const uint32_t *at,
                         const int16_t *k, size_t n, uint64_t first) {
    const struct sink *sink = d->sink;
    const size_t item = dtype_bytes(sink->dtype);
    float *block = d->scratch->block;
    for (size_t i = 0; i < n;) {
        const size_t some = (size_t)min_u64(quantize_block(&d->q->layout), n - i);
        values_of_bucket(d->q, scale, k + i, some, block);
        for (size_t j = 0; j < some; j++) {
            uint8_t *to = sink->data + (first + at[i + j] - sink->origin) * item;
            if (sink->add) {
                values_add_to(block + j, 1, sink->alpha, to);
            } else if (sink->dtype == QSGD_FLOAT32) {
                memcpy(to, block + j, sizeof(float));
            } else {
                dtype_from_float(sink->dtype, block + j, 1, to);
            }
        }
        i += some;
    }
}

void values_from_nonzeros(const struct dequantizer *d, const struct chunk_span *span, uint64_t from,
                          uint64_t to, const uint32_t *at, const int16_t *k, size_t count) {
    const struct layout *l = &d->q->layout;
    const struct sink *sink = d->sink;
    const size_t item = dtype_bytes(sink->dtype);
    /* Index 0 is +0, all of whose bits are 0 in every type. */
    if (!sink->add) {
        memset(sink->data + (from - sink->origin) * item, 0, (size_t)(to - from) * item);
    }
    size_t i = 0;
    while (i < count && span->first + at[i] < from) i++;
    for (struct bucket_span b = layout_bucket_at(l, from); from < to; layout_next_bucket(l, &b)) {
        const uint64_t end = min_u64(to, b.end);
        const float scale = scale_get(&d->scales, b.bucket);
        const size_t begin = i;
        while (i < count && span->first + at[i] < end) i++;
        if (!scale_is_idle(scale)) {
            put_nonzeros(d, scale, at + begin, k + begin, i - begin, span->first);
        } else if (scale != 0) {
            put_idle(d, scale, from, end);
        }
        from = end;
    }
}
