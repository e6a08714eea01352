/* One built-in frame, encoded and decoded: finds builds whose compiler was told to be inexact in a
 * way that no macro shows (base/begin.h refuses those that it sees). */
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "frame/checksum.h"
#include "qsgd.h"

#define ELEMENTS 200
#define WORKSPACE 16384

/* The frame of the tensor below, as FORMAT.md has it, and the CRC-32C of its values as
 * little-endian float32, and of those plus 0.3 times themselves. */
static const uint8_t expected[] = {
    0x8F, 0x51, 0x53, 0x47, 0x00, 0x01, 0x30, 0x00, 0xA8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x0A, 0x11, 0x01, 0x61, 0x01, 0x64, 0x09, 0xC8, 0x01, 0x81, 0x10, 0x0D, 0xF0, 0xED, 0x5E,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x92, 0xD9, 0xB9, 0x6C,
    0x64, 0x00, 0x00, 0x00, 0xBE, 0x64, 0x60, 0x6F, 0x12, 0xD0, 0xA4, 0x40, 0x1B, 0xC6, 0xA6, 0x40,
    0x31, 0x37, 0xD5, 0x97, 0x00, 0x46, 0x00, 0x9A, 0x25, 0x9D, 0x94, 0x14, 0x63, 0x2B, 0xD0, 0xBB,
    0x22, 0x00, 0xF5, 0x0F, 0xB4, 0x66, 0x4B, 0xE2, 0xAD, 0xE0, 0xF1, 0x1B, 0x11, 0x48, 0xF2, 0x70,
    0x0A, 0xBD, 0x3D, 0x15, 0xB7, 0x41, 0x21, 0xB5, 0x0F, 0xC8, 0x92, 0x73, 0xA8, 0x8D, 0xAF, 0x05,
    0xFC, 0x0F, 0x61, 0xA6, 0x73, 0xB1, 0xAE, 0x0B, 0x03, 0xDF, 0x8B, 0xC0, 0xC8, 0xBD, 0xAF, 0xA1,
    0x39, 0xB9, 0x1E, 0x7C, 0x95, 0xFB, 0xD8, 0xB1, 0x69, 0xDD, 0xAC, 0xA2, 0xBD, 0xAE, 0xEB, 0x1A,
    0x75, 0x2F, 0x51, 0x33, 0xEF, 0x94, 0x2F, 0xE2, 0xB0, 0x60, 0xFD, 0x25, 0x05, 0x7C, 0x5F, 0x8B,
    0x1C, 0x7E, 0xA3, 0x45, 0xBF, 0x0C, 0xEB, 0x9C,
};
static const uint32_t expected_values = 0x8B428225, expected_sums = 0xC4E70597;

/* Numbers of many sizes whose arithmetic needs rounding at every step. */
static float element(uint32_t i) {
    const uint32_t bits = (i + 1) * 0x9E3779B1U;
    const float size = (float)(bits >> 8) * 0x1p-24F;
    return (bits & 1) != 0 ? -size : size * size;
}

static qsgd_status wrong(const char *reason, qsgd_error *error) {
    return error_set(error, QSGD_ERR_SELFTEST, reason);
}

static uint32_t checksum_of(const float *values) {
    uint8_t bytes[4 * ELEMENTS];
    for (uint32_t i = 0; i < ELEMENTS; i++) store_le32(bytes + 4 * i, float_bits(values[i]));
    return crc32c(bytes, sizeof bytes);
}

qsgd_status qsgd_selftest(qsgd_error *error) {
    float x[ELEMENTS];
    uint8_t frame[1024], scratch[WORKSPACE];
    const qsgd_memory workspace = {scratch, sizeof scratch};
    qsgd_params params;
    uint64_t bytes = 0;
    qsgd_params_init(&params);
    params.norm = QSGD_NORM_L2;
    params.rounding = QSGD_ROUND_DITHERED;
    params.levels = QSGD_LEVELS_EXPONENTIAL;
    params.s = 9;
    params.bucket = 100;
    params.scale_dtype = QSGD_FLOAT32;
    params.seed = 0x5EEDF00D;
    for (uint32_t i = 0; i < ELEMENTS; i++) x[i] = element(i);
    const qsgd_memory dst = {frame, sizeof frame};
    qsgd_status status = qsgd_encode(&params, NULL, x, ELEMENTS, dst, workspace, &bytes, error);
    if (status != QSGD_OK) return wrong("the built-in tensor is not encoded", error);
    if (bytes != sizeof expected || memcmp(frame, expected, sizeof expected) != 0) {
        return wrong("this build encodes to other bytes: compile it with exact arithmetic", error);
    }
    status = qsgd_decode(expected, sizeof expected, NULL, x, ELEMENTS, workspace, error);
    if (status != QSGD_OK) return wrong("the built-in frame is not decoded", error);
    bool right = checksum_of(x) == expected_values;
    status = qsgd_decode_add(expected, sizeof expected, NULL, 0.3F, x, ELEMENTS, workspace, error);
    right = right && status == QSGD_OK && checksum_of(x) == expected_sums;
    if (right) return QSGD_OK;
    return wrong("this build decodes to other floats: compile it with exact arithmetic", error);
}
