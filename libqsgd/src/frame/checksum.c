/* CRC-32C by whatever the backend has for it (kernels/crc32c.h). */
#include "frame/checksum.h"

#include "backends/dispatch.h"

uint32_t crc32c(const void *bytes, size_t n) {
    return ~kernels_current()->crc32c(0xFFFFFFFFU, bytes, n);
}
