/* CRC-32C of a byte string (FORMAT.md section 1). */
#ifndef QSGD_CRC32C_H
#define QSGD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t n);

/* The same without initial value and final xor, in plain C. */
uint32_t crc32c_portable(uint32_t crc, const uint8_t *p, size_t n);

#endif
