/* Writes lossless payloads. Stage: elements -> payload. */
#ifndef QSGD_CODES_LOSSLESS_WRITE_H
#define QSGD_CODES_LOSSLESS_WRITE_H

#include "codes/lossless/form.h"

/* Writes the payload of n elements, in native order at any alignment, to dst, which has room for
 * lossless_bound; returns its bytes. */
size_t lossless_write(const struct kernels *kernels, uint32_t dtype, const void *elements, size_t n,
                      const struct lossless_scratch *scratch, uint8_t *dst);

#endif
