/* Sizes by code, of which QSGD_CODE_AUTO takes the least. */
#ifndef QSGD_PIPELINE_SURVEY_H
#define QSGD_PIPELINE_SURVEY_H

#include "codes/payload.h"
#include "pipeline/workers.h"
#include "quantize/quantize.h"

/* Adds what each code would take for a chunk, none of whose indices c->k were moved, to the
 * worker's auto_bytes; they are moved then. All add the same scales; rANS alone may name other
 * zeros. dst: room for a payload. */
void survey_codes(const struct quantizer *q, const struct chunk_span *span,
                  const struct code_chunk *chunk, const struct payload_head *head,
                  const struct chunk_indices *c, struct worker *worker, uint8_t *dst);

#endif
