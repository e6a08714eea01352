/* How the signs of a chunk's indices are best written (ENCODER.md section 8.1): turned by the
 * noise, as suits elements of either sign; as they are, or in the tokens of large indices, as suits
 * elements that lean to one side. Stage: indices -> code. */
#ifndef QSGD_CODES_SIGNS_H
#define QSGD_CODES_SIGNS_H

#include "codes/payload.h"

/* Of a chunk, none of whose items were gathered, turned if chunk->turned is not NULL: what
 * head->signs had better be, by a sample of them. */
uint8_t signs_choose(const struct code_chunk *chunk, const struct payload_head *head,
                     const struct coded_items *items);

#endif
