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

struct before_chunks {
    struct tensor t;
    struct shared_tables shared; /* code QSGD_CODE_RAW: there are none */
    struct runner runner;
    struct worker *workers;
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

/* What chunks need of others before they start: the tensor's sum, scales of long buckets. */
qsgd_status before_chunks_scales(struct before_chunks *f, qsgd_error *error);

/* The first error of the chunk tasks, which is a non-finite bucket; QSGD_OK if there is none. */
qsgd_status before_chunks_error(const struct before_chunks *f, qsgd_error *error);

#endif
