/* Reads lossless payloads. Stage: payload -> elements. */
#ifndef QSGD_CODES_LOSSLESS_READ_H
#define QSGD_CODES_LOSSLESS_READ_H

#include "codes/lossless/form.h"

/* Reads and checks a payload of n elements up to its tokens. *where: offset of an error. */
qsgd_status lossless_parse(const struct kernels *kernels, uint32_t dtype, size_t n,
                           struct code_scratch *codes, const uint8_t *p, size_t bytes,
                           struct lossless_plan *plan, size_t *where);

/* Elements of a parsed payload to `out`, in native order at any alignment. _STREAM or _PADDING if
 * tokens are not what the payload says. */
qsgd_status lossless_read(const struct kernels *kernels, uint32_t dtype, size_t n,
                          const struct lossless_plan *plan, const struct lossless_scratch *scratch,
                          void *out);

#endif
