#include "pipeline/exact.h"

#include <string.h>

#include "base/dtype.h"
#include "codes/lossless/write.h"

uint64_t exact_bound(const struct quantizer *q, int32_t code, uint64_t chunks, uint64_t first) {
    const uint64_t elements = first * dtype_bytes(q->dtype);
    return code == QSGD_CODE_RAW ? elements : elements + chunks * lossless_bound(0, 0);
}

#if QSGD_ENCODER

static size_t write_raw(const struct source *source, const struct chunk_span *span,
                        struct worker *worker, uint8_t *dst) {
    const size_t item = dtype_bytes(source->dtype), len = (size_t)span->len;
    float *const block = worker->quantize.block;
    if (source->residual == NULL) {
        dtype_swap_copy(source->dtype, source->data + span->first * item, len, dst);
        return len * item;
    }
    for (size_t i = 0; i < len; i += QUANTIZE_SMALL_BLOCK) {
        const size_t n = (size_t)min_u64(QUANTIZE_SMALL_BLOCK, len - i);
        dtype_swap_copy(source->dtype, source_read(source, span->first + i, n, block), n,
                        dst + item * i);
    }
    return len * item;
}

size_t exact_write(const struct tensor *t, int32_t code, const struct chunk_span *span,
                   struct worker *worker, uint8_t *dst) {
    const struct source *source = &t->source;
    if (code == QSGD_CODE_RAW) return write_raw(source, span, worker, dst);
    const void *elements = source->data + span->first * dtype_bytes(source->dtype);
    if (source->residual != NULL) {
        elements = source_read(source, span->first, span->len, worker->lossless.elements);
    }
    return lossless_write(t->q.kernels, source->dtype, elements, (size_t)span->len,
                          &worker->lossless, dst);
}

void exact_clear_residual(const struct source *source, const struct chunk_span *span) {
    if (source->residual == NULL) return;
    memset(source->residual + span->first, 0, (size_t)span->len * sizeof(float));
}

#endif
