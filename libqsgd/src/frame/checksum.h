/* The checksum of frames and of statistics: CRC-32C (FORMAT.md section 2). */
#ifndef QSGD_FRAME_CHECKSUM_H
#define QSGD_FRAME_CHECKSUM_H

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t n);

#endif
