/* How the signs of a chunk's indices are written (ENCODER.md section 8.1): turned by the noise, as
 * suits elements of either sign; as they are, or in the tokens of large indices, as suits elements
 * that lean to one side. Stage: indices -> payload. */
#ifndef QSGD_PIPELINE_SIGNS_H
#define QSGD_PIPELINE_SIGNS_H

#include "codes/payload.h"
#include "quantize/quantizer.h"

/* Where a payload goes; and as much memory to try another way in, or NULL: then it is written once
 * more where the first way was the shorter one. Both the same: the length alone is wanted. */
struct payload_space {
    uint8_t *dst, *spare;
};

/* Writes the payload of a chunk, none of whose items were gathered, in the way that seems shortest;
 * indices come turned where the frame turns them. Returns what payload_write does. Afterwards items
 * are gathered, and as head->signs says: as in the way that was tried last. */
size_t signs_write(const struct quantizer *q, const struct chunk_span *span,
                   const struct code_chunk *chunk, struct payload_head *head,
                   const struct coded_items *items, struct quantize_scratch *scratch,
                   const struct payload_space *to);

/* Undoes that, but that items that are not live are 0 now. */
void signs_restore(const struct quantizer *q, const struct chunk_span *span,
                   const struct code_chunk *chunk, struct payload_head *head,
                   const struct coded_items *items, struct quantize_scratch *scratch);

#endif
