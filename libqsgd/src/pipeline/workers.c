/* Per-worker scratch and errors. */
#include "pipeline/workers.h"

#include <string.h>

#include "codes/scratch.h"

struct worker *workers_carve(struct memory *memory, const struct quantizer *q, uint32_t workers,
                             bool copies) {
    struct worker *all = memory_take(memory, workers * sizeof(struct worker));
    const size_t longest = (size_t)layout_longest(&q->layout);
    const bool raw = q->params.code == QSGD_CODE_RAW; /* needs one block of floats */
    for (uint32_t i = 0; i < workers; i++) {
        if (raw) {
            float *block = memory_take(memory, QUANTIZE_BLOCK * sizeof(float));
            if (all == NULL) continue;
            memset(&all[i], 0, sizeof all[i]);
            all[i].quantize.block = block;
            all[i].error_task = UINT64_MAX;
            continue;
        }
        struct quantize_scratch quantize;
        quantize_scratch_carve(&quantize, memory, q, copies);
        struct code_scratch codes;
        code_scratch_carve(&codes, memory, longest);
        if (all == NULL) continue;
        all[i].quantize = quantize;
        all[i].codes = codes;
        all[i].error_task = UINT64_MAX;
        all[i].error = QSGD_OK;
        memset(all[i].auto_bytes, 0, sizeof all[i].auto_bytes);
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
        .classes = p->classes == QSGD_CLASSES_ON ||
                   (p->classes == QSGD_CLASSES_AUTO &&
                    (p->bucket == 0 || p->bucket >= 4096 || p->norm == QSGD_NORM_BALANCED)),
        .turned = q->turned ? &q->key : NULL,
        .first = span->first,
        .shared = shared->code == QSGD_CODE_RAW ? NULL : shared,
        .scratch = scratch,
    };
}
