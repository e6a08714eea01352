/* The checksum of frame/checksum.h for tests that link the library as one file, whose own is
 * static. Bit by bit. */
#include "frame/checksum.h"

uint32_t crc32c(const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++) crc = crc >> 1 ^ ((0U - (crc & 1)) & 0x82F63B78U);
    }
    return ~crc;
}
