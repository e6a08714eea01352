/* What an encode came to, for those who ask, and for targets that must be met. */
#ifndef QSGD_PIPELINE_REPORT_H
#define QSGD_PIPELINE_REPORT_H

#include "pipeline/before_chunks.h"

/* True if the errors of chunks are to be measured: for a report, or to be compared with a target.
 */
bool report_measures(const struct encode_call *call);

/* Reports on a frame of that many bytes, payload_bytes of them payloads, whose step was found by so
 * many trials. QSGD_ERR_TARGET if it is missed and that is an error. */
qsgd_status report_give(const struct before_chunks *f, const struct encode_call *call,
                        uint64_t frame_bytes, uint64_t payload_bytes, uint32_t trials,
                        qsgd_error *error);

#endif
