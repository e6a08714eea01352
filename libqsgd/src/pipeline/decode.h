/* Writing the values of an opened frame. */
#ifndef QSGD_PIPELINE_DECODE_H
#define QSGD_PIPELINE_DECODE_H

#include "pipeline/decode_call.h"

/* Makes the whole frame go to call->sink, whose type and use are set already, at dst. n must be the
 * frame's elements. */
qsgd_status decode_aim(struct decode_call *call, uint64_t n, void *dst);

/* Values of chunks [first, end) between call->from and call->to to the sink, by one worker. */
void decode_write(const struct decode_call *call, uint64_t first, uint64_t end,
                  struct worker *worker);

/* Values of chunks [call->first, call->last), by all workers. */
qsgd_status decode_write_all(struct decode_call *call);

#endif
