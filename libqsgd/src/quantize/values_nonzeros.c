/* Values of a mostly zero chunk, from its non-zero indices alone (FORMAT.md section 7): the output
 * is cleared, then the few values are put in. Stage: index -> value; see quantize/values.c. */
#include "quantize/values_nonzeros.h"

#include <string.h>

#include "base/dtype.h"

/* What is left out is a zero times alpha, which must be a zero. */
bool values_skip_zeros(const struct quantizer *q, const struct sink *sink, uint64_t from,
                       uint64_t to) {
    if (q->params.rotation != 0) return false; /* zeros take part in the rotation */
    if (!sink->add) return true;
    if ((scale_bits(sink->alpha) & 0x7FFFFFFF) >= SCALE_INF_BITS) return false;
    const uint8_t *sums = sink->data + (from - sink->origin) * sizeof(float);
    return q->kernels->keeps_with_zero((const float *)(const void *)sums, (size_t)(to - from));
}

/* The whole of a bucket of scale NaN, as far as it lies in [from, to). */
static void put_idle(const struct quantizer *q, float scale, uint64_t from, uint64_t to,
                     float *block, const struct sink *sink) {
    const size_t item = dtype_bytes(sink->dtype);
    for (uint64_t i = from; i < to;) {
        const size_t n = (size_t)min_u64(QUANTIZE_BLOCK, to - i);
        values_of_run(q, scale, 0, NULL, NULL, n, block);
        if (sink->add) {
            values_add_to(block, n, sink->alpha, sink->data + (i - sink->origin) * item);
        } else {
            dtype_from_float(sink->dtype, block, n, sink->data + (i - sink->origin) * item);
        }
        i += n;
    }
}

/* n non-zeros of one bucket; at[i] counts from element `first`. */
static void put_values(const struct quantizer *q, float scale, const uint32_t *at, const int16_t *k,
                       size_t n, uint64_t first, float *block, const struct sink *sink) {
    const size_t item = dtype_bytes(sink->dtype);
    for (size_t i = 0; i < n;) {
        const size_t some = (size_t)min_u64(QUANTIZE_BLOCK, n - i);
        values_of_run(q, scale, 0, k + i, NULL, some, block);
        for (size_t j = 0; j < some; j++) {
            uint8_t *to = sink->data + (first + at[i + j] - sink->origin) * item;
            if (sink->add) {
                values_add_to(block + j, 1, sink->alpha, to);
            } else if (sink->dtype == QSGD_FLOAT32) {
                memcpy(to, block + j, sizeof *block);
            } else {
                dtype_from_float(sink->dtype, block + j, 1, to);
            }
        }
        i += some;
    }
}

void values_of_nonzeros(const struct quantizer *q, const struct chunk_span *span, uint64_t from,
                        uint64_t to, const uint32_t *at, const int16_t *k, size_t count,
                        const struct scale_array *scales, struct quantize_scratch *scratch,
                        const struct sink *sink) {
    const struct layout *l = &q->layout;
    const size_t item = dtype_bytes(sink->dtype);
    /* Index 0 is +0, all of whose bits are 0 in every type. */
    if (!sink->add) {
        memset(sink->data + (from - sink->origin) * item, 0, (size_t)(to - from) * item);
    }
    size_t i = 0;
    while (i < count && span->first + at[i] < from) i++;
    for (uint64_t bucket = from / l->bucket; from < to; bucket++) {
        const uint64_t end = min_u64(to, (bucket + 1) * l->bucket);
        const float scale = scale_get(scales, bucket);
        const size_t begin = i;
        while (i < count && span->first + at[i] < end) i++;
        if (!scale_is_idle(scale)) {
            put_values(q, scale, at + begin, k + begin, i - begin, span->first, scratch->block,
                       sink);
        } else if (scale != 0) {
            put_idle(q, scale, from, end, scratch->block, sink);
        }
        from = end;
    }
}
