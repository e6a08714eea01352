#include "pipeline/decode_exact.h"

#include <string.h>

#include "base/dtype.h"
#include "codes/lossless/read.h"

/* Elements [from, to), of which p is the first, to a sink of another type, or one that adds.
 * swapped: they are little-endian. */
static void convert(const struct decode_call *call, const uint8_t *p, bool swapped, uint64_t from,
                    uint64_t to, float *block) {
    const uint32_t dtype = call->frame.info.dtype;
    const size_t item = dtype_bytes(dtype);
    for (uint64_t i = from; i < to;) {
        uint8_t native[256 * 8];
        size_t n = (size_t)min_u64(256, to - i);
        const uint8_t *const at = p + (i - from) * item;
        if (swapped) {
            dtype_swap_copy(dtype, at, n, native);
        } else {
            memcpy(native, at, n * item);
        }
        if (dtype == QSGD_FLOAT32) {
            memcpy(block, native, n * item);
        } else {
            dtype_to_float(dtype, native, n, block);
            if (dtype == QSGD_FLOAT64) dtype_saturate(native, n, block);
        }
        values_put(&call->sink, i, block, n);
        i += n;
    }
}

static void raw_to_sink(const struct decode_call *call, const uint8_t *p, uint64_t from,
                        uint64_t to, float *block) {
    const uint32_t dtype = call->frame.info.dtype;
    const struct sink *sink = &call->sink;
    if (sink->dtype == dtype && !sink->add) {
        dtype_swap_copy(dtype, p, (size_t)(to - from),
                        sink->data + (from - sink->origin) * dtype_bytes(dtype));
    } else {
        convert(call, p, true, from, to, block);
    }
}

static qsgd_status read_lossless(const struct decode_call *call, uint64_t index, uint64_t from,
                                 uint64_t to, struct worker *worker, uint64_t *where) {
    const struct chunk_span span = layout_chunk(&call->q.layout, index);
    const uint32_t dtype = call->frame.info.dtype;
    const size_t item = dtype_bytes(dtype);
    const struct sink *sink = &call->sink;
    struct lossless_plan plan;
    qsgd_status status = decode_parse_lossless(call, index, worker, &plan, where);
    if (status != QSGD_OK) return status;
    *where = call->offsets[index];
    const bool same = sink->dtype == dtype && !sink->add, whole = to - from == span.len;
    uint8_t *const elements = worker->lossless.elements, *const first =
                                                             elements + (from - span.first) * item;
    uint8_t *const out = same ? sink->data + (from - sink->origin) * item : NULL;
    status = lossless_read(call->q.kernels, dtype, (size_t)span.len, &plan, &worker->lossless,
                           same && whole ? out : elements);
    if (status != QSGD_OK || (same && whole)) return status;
    if (same) {
        memcpy(out, first, (size_t)(to - from) * item);
    } else {
        convert(call, first, false, from, to, worker->quantize.block);
    }
    return QSGD_OK;
}

qsgd_status decode_exact(const struct decode_call *call, uint64_t index, uint64_t from, uint64_t to,
                         struct worker *worker, uint64_t *where) {
    size_t bytes;
    if (!frame_is_raw(&call->frame)) return read_lossless(call, index, from, to, worker, where);
    const uint8_t *p = decode_payload(call, index, &bytes);
    const uint64_t first = layout_chunk(&call->q.layout, index).first;
    raw_to_sink(call, p + (from - first) * dtype_bytes(call->frame.info.dtype), from, to,
                worker->quantize.block);
    return QSGD_OK;
}
