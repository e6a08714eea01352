/* Values of a mostly zero chunk, from its non-zero indices alone. */
#ifndef QSGD_QUANTIZE_VALUES_NONZEROS_H
#define QSGD_QUANTIZE_VALUES_NONZEROS_H

#include "quantize/values.h"

/* True if zeros may be left out: the sink does not add, or what it adds to stays the same. */
bool values_skip_zeros(const struct quantizer *q, const struct sink *sink, uint64_t from,
                       uint64_t to);

/* Values of elements [from, to) of a chunk from the non-zero indices alone: k[i] of element at[i]
 * of the chunk, ascending; `count` of them. Undithered, 0 a level, and values_skip_zeros holds. */
void values_from_nonzeros(const struct dequantizer *d, const struct chunk_span *span, uint64_t from,
                          uint64_t to, const uint32_t *at, const int16_t *k, size_t count);

#endif
