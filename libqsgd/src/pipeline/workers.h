/* Work on chunks: per-worker scratch, and the first error, the same whatever the order in which
 * tasks run. */
#ifndef QSGD_PIPELINE_WORKERS_H
#define QSGD_PIPELINE_WORKERS_H

#include "base/memory.h"
#include "codes/codes.h"
#include "codes/lossless/form.h"
#include "codes/payload.h"
#include "codes/shared_tables.h"
#include "qsgd.h"
#include "quantize/quantizer.h"

/* One worker's memory, carved from the caller's workspace. */
struct worker {
    struct quantize_scratch quantize;
    struct code_scratch codes;
    struct lossless_scratch lossless;
    /* the worker's first error, by task index */
    uint64_t error_task;
    qsgd_status error;
    uint64_t error_where; /* bucket, or byte offset in the frame: as the operation says */
    uint64_t auto_bytes[QSGD_CODE_RANS + 1]; /* encode with code auto: bytes by code */
};

/* Workers, with scratch for q's chunks. Memory may be NULL to count. */
struct worker *workers_carve(struct memory *memory, const struct quantizer *q, uint32_t workers,
                             enum quantize_use use);

/* The two halves of that for one of them: memory, some of which is written, and no error yet. */
void worker_begin(struct worker *w);
void worker_carve(struct worker *w, struct memory *memory, const struct quantizer *q,
                  enum quantize_use use);

static inline void worker_fail(struct worker *w, uint64_t task, qsgd_status status,
                               uint64_t where) {
    if (task >= w->error_task) return;
    w->error_task = task;
    w->error = status;
    w->error_where = where;
}

/* Worker with the error of the lowest task, or NULL. */
const struct worker *workers_error(const struct worker *workers, uint32_t count);

/* A payload's head, but for groups of zeros; the scales are those of the chunk's buckets. entries:
 * quantize_scratch's. */
struct payload_head quantizer_head(const struct quantizer *q, const struct chunk_span *span,
                                   struct scale_array scales, uint8_t damping, float *entries);

/* Groups of zeros that a payload of the chunk, none of whose items were gathered, names: those
 * found in the elements where these are marked, else those whose indices are all 0, if to name them
 * repays in chunk->code (QSGD_CODE_AUTO: in those that have no classes). */
void worker_zeros(const struct quantizer *q, const struct code_chunk *chunk,
                  const struct zero_groups *marked, const struct coded_items *items,
                  struct worker *w, struct live *live);

/* True if rANS may use several classes (ENCODER.md section 8.4). */
bool worker_may_use_classes(const qsgd_params *params);

/* What a code needs to know of a chunk. shared->code is QSGD_CODE_RAW if there are no tables. */
struct code_chunk worker_code_chunk(const struct quantizer *q, const struct shared_tables *shared,
                                    int32_t code, const struct chunk_span *span,
                                    struct code_scratch *scratch);

#endif
