/* Per-worker scratch and errors. */
#include "pipeline/workers.h"

#include <string.h>

#include "base/dtype.h"
#include "codes/rans/compact.h"
#include "codes/scratch.h"
#include "quantize/zeros.h"

/* What quantizes and what codes take turns in some of the memory: while decoding, only block by
 * block. */
void worker_carve(struct worker *w, struct memory *memory, const struct quantizer *q,
                  enum quantize_use use) {
    const bool decodes = use == QUANTIZE_DECODES;
    struct code_use code = {q->params.code, (size_t)layout_longest(&q->layout),
                            decodes ? CODE_DECODES : CODE_ENCODES, q->turned};
    if (code_is_exact(q->params.code)) { /* needs one block of floats */
        w->quantize.block = memory_take(memory, QUANTIZE_SMALL_BLOCK * sizeof(float));
        if (q->params.code == QSGD_CODE_RAW) return;
        code.code = QSGD_CODE_RANS;
        w->lossless.codes = &w->codes;
        lossless_scratch_carve(&w->lossless, memory, code.len, q->dtype);
        code_scratch_carve(&w->codes, memory, &code);
        code_passing_carve(&w->codes, memory, &code);
        return;
    }
    quantize_scratch_carve(&w->quantize, memory, q, use);
    code_scratch_carve(&w->codes, memory, &code);
    const uint64_t from = memory->used;
    quantize_passing_carve(&w->quantize, memory, q, use);
    const uint64_t to = memory->used;
    if (!decodes) memory->used = from;
    code_passing_carve(&w->codes, memory, &code);
    if (memory->used < to) memory->used = to;
}

void worker_begin(struct worker *w) {
    w->error_task = UINT64_MAX;
    w->error = QSGD_OK;
    memset(w->auto_bytes, 0, sizeof w->auto_bytes);
}

struct worker *workers_carve(struct memory *memory, const struct quantizer *q, uint32_t workers,
                             enum quantize_use use) {
    struct worker *all = memory_take(memory, workers * sizeof(struct worker));
    for (uint32_t i = 0; i < workers; i++) {
        struct worker counted, *const w = all == NULL ? &counted : &all[i];
        worker_carve(w, memory, q, use);
        worker_begin(w);
    }
    return all;
}

const struct worker *workers_error(const struct worker *workers, uint32_t count) {
    const struct worker *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (workers[i].error == QSGD_OK) continue;
        if (first == NULL || workers[i].error_task < first->error_task) first = &workers[i];
    }
    return first;
}

struct payload_head quantizer_head(const struct quantizer *q, const struct chunk_span *span,
                                   struct scale_array scales, uint8_t damping, float *entries) {
    const uint8_t *first =
        scales.bytes == NULL ? NULL : scales.bytes + 4 * (span->bucket - scales.first);
    struct payload_head head = {
        .has_damping = q->dithered,
        .turns = q->turned,
        .turns_all = quantizer_dithers(q, true),
        .damping = damping,
        .scales = {(const float *)(const void *)first, span->buckets,
                   scale_kind(q->params.scale_dtype)},
        .live = live_of(&q->layout, span, scales),
    };
    if (q->layout.parts == 0) return head;
    head.parts = (struct parts){&q->layout, *span, scales};
    if (first == NULL) return head;
    head.rotated = parts_rotated(&head.parts);
    head.scales.scales = entries;
    head.scales.count = parts_pack(&head.parts, entries);
    return head;
}

#if QSGD_ENCODER

void worker_zeros(const struct quantizer *q, const struct code_chunk *chunk,
                  const struct zero_groups *marked, const struct coded_items *items,
                  struct worker *w, struct live *live) {
    if (!zeros_are_marked(q)) {
        live->zeros = (struct zero_groups){NULL, ZERO_GROUP_LOG2, marked->outliers};
        if (code_find(chunk->code)->sparse) return; /* which says where the others are */
        live->zeros = zero_groups_of_indices(q->kernels, live, items, w->quantize.zeros);
        if (live->zeros.words != NULL && chunk->code == QSGD_CODE_RANS && chunk->classes &&
            !rans_gains_by_zeros(chunk, live, items)) {
            live->zeros.words = NULL;
        }
        return;
    }
    live->zeros = zeros_in_use(live, marked, w->quantize.zeros);
    zero_groups_join(&live->zeros, live->len, w->quantize.zeros);
}

#endif /* QSGD_ENCODER */

bool worker_may_use_classes(const qsgd_params *p) {
    if (p->classes != QSGD_CLASSES_AUTO) return p->classes == QSGD_CLASSES_ON;
    return p->bucket == 0 || p->bucket >= 4096 || p->norm == QSGD_NORM_BALANCED;
}

struct code_chunk worker_code_chunk(const struct quantizer *q, const struct shared_tables *shared,
                                    int32_t code, const struct chunk_span *span,
                                    struct code_scratch *scratch) {
    const struct qsgd_params *p = &q->params;
    return (struct code_chunk){
        .levels = &q->levels,
        .kernels = q->kernels,
        .code = code,
        .len = (size_t)span->len,
        .segment = (size_t)q->layout.segment,
        .classes = worker_may_use_classes(p),
        .turned = q->turned ? &q->key : NULL,
        .first = q->origin + span->first,
        .shared = shared->code == QSGD_CODE_RAW ? NULL : shared,
        .scratch = scratch,
    };
}
