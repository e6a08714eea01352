/* What qsgd_encode starts with: its arguments checked, and its quantizer. */
#ifndef QSGD_PIPELINE_ENCODE_OPEN_H
#define QSGD_PIPELINE_ENCODE_OPEN_H

#include "pipeline/arguments.h"

/* A prefix of qsgd_encode's checks, shared with the query. With a target the step is some step. */
qsgd_status encode_open(const qsgd_params *params, const qsgd_encode_options *options, uint64_t n,
                        struct encode_call *call, struct quantizer *q, qsgd_error *error);

/* The quantizer of n elements by the call's parameters as they are now. */
void encode_quantizer(const struct encode_call *call, uint64_t n, struct quantizer *q);

/* Bytes that suffice for the first payloads, of `first` elements, and for what their writers reach
 * beyond them. */
uint64_t encode_bodies_bound(const struct quantizer *q, uint64_t chunks, uint64_t first);

/* Bytes that suffice for the call's frame, whatever its elements. */
uint64_t encode_bound(const struct encode_call *call, const struct quantizer *q);

#endif
