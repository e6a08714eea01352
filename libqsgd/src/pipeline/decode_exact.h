/* Chunks of frames that hold the elements themselves, raw or lossless. Stage: payload -> elements.
 */
#ifndef QSGD_PIPELINE_DECODE_EXACT_H
#define QSGD_PIPELINE_DECODE_EXACT_H

#include "pipeline/decode_call.h"

/* Elements [from, to) of a chunk to the sink, converted through float32 where types differ. */
qsgd_status decode_exact(const struct decode_call *call, uint64_t index, uint64_t from, uint64_t to,
                         struct worker *worker, uint64_t *where);

#endif
