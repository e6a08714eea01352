/* What every call that quantizes shares: its memory, the scales of long buckets, and its errors.
 * Used by pipeline/encode.c (tensor to frame), pipeline/quantize.c (tensor to indices) and
 * pipeline/indices.c (indices to frame). */
#ifndef QSGD_PIPELINE_BEFORE_CHUNKS_H
#define QSGD_PIPELINE_BEFORE_CHUNKS_H

#include "pipeline/workers.h"
#include "quantize/bucket_scales.h"

struct before_chunks {
    struct tensor t;
    struct shared_tables shared; /* code QSGD_CODE_RAW: there are none */
    struct worker *workers;
};

/* Carves workers, partials and cuts, or only counts if memory->base is NULL. One layout for all
 * callers, so that qsgd_encode_workspace serves them all. */
void before_chunks_carve(struct before_chunks *f, struct memory *memory, uint32_t workers,
                         bool copies);

/* Carves the caller's workspace, if it is large enough. */
qsgd_status before_chunks_open(struct before_chunks *f, uint32_t workers, bool copies,
                               void *workspace, uint64_t workspace_bytes, struct qsgd_error *error);

/* What chunks need of others before they start: the tensor's sum, scales of long buckets. */
void before_chunks_scales(struct before_chunks *f, const struct qsgd_encode_options *o);

/* The first error of the chunk tasks, which is a non-finite bucket; QSGD_OK if there is none. */
qsgd_status before_chunks_error(const struct before_chunks *f, uint32_t workers,
                                struct qsgd_error *error);

#endif
