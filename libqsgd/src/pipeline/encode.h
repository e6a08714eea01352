/* Bytes of a frame, before it is encoded. */
#ifndef QSGD_PIPELINE_ENCODE_H
#define QSGD_PIPELINE_ENCODE_H

#include "pipeline/arguments.h"

/* Bytes that suffice for the call's frame, whatever its elements. */
uint64_t encode_bound(const struct encode_call *call, const struct quantizer *q);

#endif
