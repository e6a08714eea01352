/* How the signs of a chunk's indices are written (ENCODER.md section 8.1): turned by the noise, as
 * suits elements of either sign; as they are, or in the tokens of large indices, as suits elements
 * that lean to one side. Stage: indices -> payload. */
#ifndef QSGD_PIPELINE_SIGNS_H
#define QSGD_PIPELINE_SIGNS_H

#include "codes/payload.h"
#include "quantize/quantizer.h"

/* Writes the payload of a chunk, none of whose items were gathered, in the way that seems shortest;
 * indices come turned where the frame turns them. dst and what is returned are those of
 * payload_write. Afterwards items are gathered, and as head->signs says. */
size_t signs_write(const struct quantizer *q, const struct chunk_span *span,
                   const struct code_chunk *chunk, struct payload_head *head,
                   const struct coded_items *items, struct quantize_scratch *scratch, uint8_t *dst);

/* Undoes that, but that items that are not live are 0 now. */
void signs_restore(const struct quantizer *q, const struct chunk_span *span,
                   const struct code_chunk *chunk, struct payload_head *head,
                   const struct coded_items *items, struct quantize_scratch *scratch);

#endif
