/* What every call that quantizes shares: its memory, the scales of long buckets, and its errors.
 * Used by pipeline/encode.c (tensor to frame), pipeline/quantize.c (tensor to indices) and
 * pipeline/indices.c (indices to frame). */
#ifndef QSGD_PIPELINE_BEFORE_CHUNKS_H
#define QSGD_PIPELINE_BEFORE_CHUNKS_H

#include "codes/payload.h"
#include "pipeline/arguments.h"
#include "pipeline/runner.h"
#include "pipeline/workers.h"
#include "quantize/bucket_scales.h"
#include "quantize/measure.h"

struct before_chunks {
    struct tensor t;
    struct shared_tables shared; /* code QSGD_CODE_RAW: there are none */
    struct runner runner;
    struct worker *workers;
    bool sums_known;           /* those of t's blocks: they do not depend on the step */
    struct chunk_loss *losses; /* of each chunk, if t.q.measured */
    uint8_t *spill; /* a payload per worker, of spill_bytes, where dst has no room to write one */
    uint64_t spill_bytes;
};

/* Bytes that a chunk of that length needs while it is written: its payload's bound, and the reach
 * of writers that store whole words. scales: those are written, too. */
static inline uint64_t chunk_room(const struct quantizer *q, uint64_t len, bool scales) {
    const uint64_t all = q->layout.per_bucket != 0 ? 1 : div_up(len, q->layout.bucket);
    const int kind = scale_kind(q->params.scale_dtype);
    return payload_head_bound(len, scales ? all : 0, kind) + payload_body_bound(&q->levels, len) +
           4;
}

/* Opens the caller's workspace, for f->t.q. One layout for all callers, so that qsgd_encode_sizes
 * serves them all. */
qsgd_status before_chunks_open(struct before_chunks *f, const struct encode_call *call,
                               qsgd_memory workspace, qsgd_error *error);

/* What before_chunks_open takes of a workspace. */
uint64_t before_chunks_bytes(const struct encode_call *call, const struct quantizer *q);

/* Memory of the sums of t's blocks, which comes first in the workspace. */
uint64_t before_chunks_sums_bytes(const struct encode_call *call, const struct quantizer *q);

/* The same as before_chunks_open in memory of one's own, which may be NULL to count: for trials, of
 * elements that are copied. */
void before_chunks_carve(struct before_chunks *f, const struct encode_call *call,
                         struct memory *memory, enum quantize_use use);

/* The sums of all blocks of the tensor that scales will be of, and then these: what chunks need of
 * others before they start. */
qsgd_status before_chunks_sums(struct before_chunks *f, qsgd_error *error);
qsgd_status before_chunks_scales(struct before_chunks *f, qsgd_error *error);

/* What all chunks lose together, if t.q.measured; else nothing of nothing. */
struct chunk_loss before_chunks_loss(const struct before_chunks *f);

/* The first error of the chunk tasks, which is a non-finite bucket; QSGD_OK if there is none. */
qsgd_status before_chunks_error(const struct before_chunks *f, qsgd_error *error);

#endif
