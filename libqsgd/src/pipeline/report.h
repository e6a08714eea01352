/* What an encode came to, for those who ask, and for targets that must be met. */
#ifndef QSGD_PIPELINE_REPORT_H
#define QSGD_PIPELINE_REPORT_H

#include "pipeline/before_chunks.h"

/* True if the errors of a frame's chunks are to be measured: for a report, or a target that must be
 * met. */
bool report_measures(const struct encode_call *call);

/* A frame's bytes, those of them that are payloads, and how often steps were tried for it, and it
 * was made again. */
struct encoded {
    uint64_t frame_bytes, payload_bytes;
    uint32_t trials, again;
};

/* Reports on a frame. QSGD_ERR_TARGET if its target is missed and that is an error. */
qsgd_status report_give(const struct before_chunks *f, const struct encode_call *call,
                        const struct encoded *made, qsgd_error *error);

#endif
