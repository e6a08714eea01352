/* The step that gives a frame the bits, or the error, that are wanted (ENCODER.md section 10). */
#ifndef QSGD_PIPELINE_TARGET_H
#define QSGD_PIPELINE_TARGET_H

#include "pipeline/before_chunks.h"

/* Bits of an element as targets count them: those of the frame, but for its tag, from 4096 elements
 * on; of the payloads alone below. */
double target_bits_of(const struct encode_call *call, const struct layout *layout,
                      double payload_bytes);

/* Bytes of workspace that target_find takes, for q. */
uint64_t target_bytes(const struct encode_call *call, const struct quantizer *q);

/* Finds the step for f's tensor, whose quantizer it uses up: call->params.step is the step then,
 * and *trials how often it was tried. last: of the frame before, or NULL. The sums of the tensor's
 * blocks are at the start of the workspace, if anything was tried. QSGD_OK, or an error of
 * workspace or runner. */
qsgd_status target_find(struct before_chunks *f, struct encode_call *call,
                        const qsgd_encode_report *last, qsgd_memory workspace, uint32_t *trials,
                        qsgd_error *error);

#endif
