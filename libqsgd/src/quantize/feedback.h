/* Error feedback that cannot diverge (ENCODER.md section 7.3): every scale is the one that leaves
 * least of its bucket, so that no call leaves more than it was given. Stage: indices -> scale. */
#ifndef QSGD_QUANTIZE_FEEDBACK_H
#define QSGD_QUANTIZE_FEEDBACK_H

#include "quantize/bucket_scales.h"
#include "quantize/quantize.h"

/* After quantize_chunk: replaces the scales of a chunk's buckets, and may change indices; of longer
 * buckets, whose scales are replaced already, the indices only. */
void feedback_of_chunk(const struct tensor *t, const struct chunk_span *span,
                       struct quantize_scratch *scratch, struct chunk_indices *out);

/* Buckets longer than a chunk, before chunks are coded: task `chunk` of feedback_chunks quantizes
 * one; then feedback_store replaces the scales. */
uint64_t feedback_chunks(const struct tensor *t);
void feedback_survey(const struct tensor *t, uint64_t chunk, struct quantize_scratch *scratch);
void feedback_store(const struct tensor *t);

#endif
