/* CRC-32C of a byte string in plain C (FORMAT.md section 2). */
#ifndef QSGD_BASE_CRC32C_H
#define QSGD_BASE_CRC32C_H

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>

/* Without initial value and final xor. */
uint32_t crc32c_portable(uint32_t crc, const uint8_t *p, size_t n);

#endif
