/* Slots: frames of a size that is known beforehand (ENCODER.md section 10.6). */
#ifndef QSGD_PIPELINE_SLOT_H
#define QSGD_PIPELINE_SLOT_H

#include "pipeline/trial.h"

/* Bytes of a frame of such a tensor, at most, without its tag. */
uint64_t slot_bytes(const qsgd_params *params, const struct layout *layout);

/* What a trial of the whole tensor comes to, and what it may come to, as a target's values are. */
int64_t slot_value(const struct encode_call *call, const struct layout *layout,
                   const struct trial_result *result);
int64_t slot_wanted(const struct encode_call *call, const struct layout *layout);

/* Seed and nonce of attempt 1, 2, .. to make a frame that did not fit. */
void slot_other_noise(const struct encode_call *first, uint32_t attempt, struct encode_call *call);

#endif
