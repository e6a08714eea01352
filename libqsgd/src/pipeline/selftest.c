/* One built-in frame, encoded and decoded: finds builds whose compiler was told to be inexact in a
 * way that no macro shows (base/begin.h refuses those that it sees). */
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "frame/checksum.h"
#include "qsgd.h"

#define ELEMENTS 100
#define WORKSPACE 8192

/* The frame of the tensor below, as FORMAT.md has it, and the CRC-32C of its values as
 * little-endian float32, and of those plus 0.3 times themselves. */
static const uint8_t expected[] = {
    0x8F, 0x51, 0x53, 0x47, 0x01, 0x05, 0x30, 0x00, 0x7F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x0A, 0x11, 0x01, 0x61, 0x00, 0x01, 0x32, 0x09, 0x64, 0x81, 0x10, 0x0D, 0xF0, 0xED, 0x5E,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x97, 0x36, 0x8E, 0x86,
    0x43, 0x00, 0x00, 0x00, 0x79, 0xC2, 0x16, 0xF6, 0x67, 0x40, 0x62, 0x73, 0x00, 0x50, 0xFC, 0x92,
    0x68, 0x40, 0x30, 0x00, 0x00, 0x79, 0x81, 0x00, 0xE0, 0x2C, 0xE9, 0x18, 0x84, 0x56, 0x53, 0x01,
    0xF0, 0x4C, 0x06, 0x26, 0x1B, 0xB2, 0xA3, 0x17, 0x3F, 0xA6, 0x6B, 0xD9, 0x82, 0x3A, 0xD1, 0xDC,
    0x81, 0x58, 0x7C, 0xBA, 0xD1, 0xAF, 0xE7, 0xD1, 0xAD, 0xB8, 0x4B, 0xE2, 0x6C, 0x44, 0xE8, 0xE7,
    0xCC, 0x9C, 0xBE, 0xE5, 0xF8, 0xA1, 0x61, 0x45, 0xEC, 0xDE, 0x86, 0x05, 0xF8, 0xB5, 0xE0,
};
static const uint32_t expected_values = 0x5D739D25, expected_sums = 0x53DF363B;

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

static qsgd_status check_encode(float *x, qsgd_memory workspace, qsgd_error *error) {
#if QSGD_ENCODER
    uint8_t frame[512];
    qsgd_params params;
    uint64_t bytes = 0;
    qsgd_params_init(&params);
    params.norm = QSGD_NORM_L2;
    params.rounding = QSGD_ROUND_DITHERED;
    params.levels = QSGD_LEVELS_EXPONENTIAL;
    params.s = 9;
    params.bucket = 50;
    params.scale_dtype = QSGD_FLOAT32;
    params.seed = 0x5EEDF00D;
    const qsgd_memory dst = {frame, sizeof frame};
    qsgd_status status = qsgd_encode(&params, NULL, x, ELEMENTS, dst, workspace, &bytes, error);
    if (status != QSGD_OK) return wrong("the built-in tensor is not encoded", error);
    if (bytes != sizeof expected || memcmp(frame, expected, sizeof expected) != 0) {
        return wrong("this build encodes to other bytes: compile it with exact arithmetic", error);
    }
#else
    (void)x, (void)workspace, (void)error;
#endif
    return QSGD_OK;
}

static qsgd_status check_decode(float *x, qsgd_memory workspace, qsgd_error *error) {
    qsgd_status status =
        qsgd_decode(expected, sizeof expected, NULL, x, ELEMENTS, workspace, error);
    if (status != QSGD_OK) return wrong("the built-in frame is not decoded", error);
    bool right = checksum_of(x) == expected_values;
    status = qsgd_decode_add(expected, sizeof expected, NULL, 0.3F, x, ELEMENTS, workspace, error);
    right = right && status == QSGD_OK && checksum_of(x) == expected_sums;
    if (right) return QSGD_OK;
    return wrong("this build decodes to other floats: compile it with exact arithmetic", error);
}

qsgd_status qsgd_selftest(qsgd_error *error) {
    float x[ELEMENTS];
    uint8_t scratch[WORKSPACE];
    const qsgd_memory workspace = {scratch, sizeof scratch};
    for (uint32_t i = 0; i < ELEMENTS; i++) x[i] = element(i);
    const qsgd_status status = check_encode(x, workspace, error);
    return status == QSGD_OK ? check_decode(x, workspace, error) : status;
}
