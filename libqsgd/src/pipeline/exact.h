/* Frames that hold the elements themselves: raw ones as they are, lossless ones coded. Written
 * here, read in pipeline/decode_exact.c. */
#ifndef QSGD_PIPELINE_EXACT_H
#define QSGD_PIPELINE_EXACT_H

#include "pipeline/workers.h"
#include "quantize/quantize.h"

/* Bytes of the first payloads, of `first` elements, at most. */
uint64_t exact_bound(const struct quantizer *q, int32_t code, uint64_t chunks, uint64_t first);

/* Writes the payload of a chunk, elements with what a residual adds to them; returns its bytes. */
size_t exact_write(const struct tensor *t, int32_t code, const struct chunk_span *span,
                   struct worker *worker, uint8_t *dst);

/* Nothing is left of a chunk: a residual becomes +0. */
void exact_clear_residual(const struct source *source, const struct chunk_span *span);

#endif
