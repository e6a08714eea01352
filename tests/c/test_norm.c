/* The kernels of norms, noise and checksums on every backend that this machine can run, against
 * plain references: lengths around every boundary, all alignments, hostile floats, and guard pages
 * around every buffer. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "base/crc32c.h"
#include "guard.h"
#include "hostile.h"
#include "kernels/kernels.h"
#include "lengths.h"
#include "support.h"

static struct guard guards[1];
static uint64_t state = 20250713;

static void noise_has_known_answers(void) {
    uint32_t zero[4] = {0}, ones[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    static const uint32_t of_zero[4] = {0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48};
    static const uint32_t of_ones[4] = {0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662};
    philox(0, 0, zero);
    philox(UINT32_MAX, UINT32_MAX, ones);
    CHECK(memcmp(zero, of_zero, 16) == 0);
    CHECK(memcmp(ones, of_ones, 16) == 0);
    static const uint64_t firsts[] = {
        0, 256, 4096, (uint64_t)1 << 34, ((uint64_t)1 << 35) - 256, ((uint64_t)1 << 47) - 512};
    for (int b = 0; b < backend_count; b++) {
        for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++) {
            struct noise_key key = {{(uint32_t)f * 77777777U, f == 0 ? 0 : UINT32_MAX},
                                    {(uint32_t)f * 99U, f == 0 ? 0 : 5},
                                    false};
            for (size_t n = 256; n <= 1024; n += 768) {
                uint16_t *out = guard_place(guards[0], 2 * n, f % 2 == 0 ? 0 : SIZE_MAX);
                backends[b]->noise(&key, 0, firsts[f], n, out);
                for (uint64_t i = firsts[f]; i < firsts[f] + n; i++) {
                    uint64_t counter = 32 * (i / 256) + i % 64 / 2;
                    uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), key.nonce[0],
                                     key.nonce[1]};
                    philox(key.key[0], key.key[1], c);
                    CHECK(out[i - firsts[f]] == (uint16_t)(c[i % 256 / 64] >> (i % 2 * 16)));
                }
            }
        }
    }
}

static void checksums_are_crc32c(void) {
    for (int b = 0; b < backend_count; b++) {
        const uint8_t *text = (const uint8_t *)"123456789";
        CHECK(~backends[b]->crc32c(UINT32_MAX, text, 9) == 0xE3069283U);
        FOR_LENGTHS(n) {
            FOR_GAPS(gap, n) {
                uint8_t *p = guard_place(guards[0], n, gap);
                for (size_t i = 0; i < n; i++) p[i] = (uint8_t)random_u64(&state);
                uint32_t crc = 0x12345678;
                for (size_t i = 0; i < n; i++) { /* bit by bit */
                    crc ^= p[i];
                    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
                }
                CHECK(backends[b]->crc32c(0x12345678, p, n) == crc);
                CHECK(crc32c_portable(0x12345678, p, n) == crc);
            }
        }
    }
}

/* Lane by lane as ENCODER.md section 5.1 has it. */
enum { SQUARES, MAGNITUDES, ELEMENTS };

static double lane_sum(const uint8_t *p, size_t n, int of) {
    double lanes[32] = {0};
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, p + 4 * i, 4);
        const double v = (double)x, size = v < 0 ? -v : v;
        lanes[i % 32] = lanes[i % 32] + (of == SQUARES ? v * v : (of == ELEMENTS ? v : size));
    }
    for (int w = 16; w > 0; w /= 2) {
        for (int l = 0; l < w; l++) lanes[l] = lanes[l] + lanes[l + w];
    }
    return lanes[0];
}

static void norms_equal_the_lane_sums_bit_for_bit(void) {
    for (int b = 0; b < backend_count; b++) {
        FOR_LENGTHS(n) {
            FOR_GAPS(gap, n) {
                void *x = guard_place(guards[0], 4 * n, gap);
                uint32_t max = 0;
                for (size_t i = 0; i < n; i++) {
                    float f = hostile(&state);
                    store(x, i, f);
                    if ((float_bits(f) & 0x7FFFFFFF) > max) max = float_bits(f) & 0x7FFFFFFF;
                }
                double squares = -1, magnitudes = -1;
                const double refs[3] = {lane_sum(x, n, SQUARES), lane_sum(x, n, MAGNITUDES),
                                        lane_sum(x, n, ELEMENTS)};
                double all[3] = {-1, -1, -1};
                CHECK(backends[b]->max_bits(x, n) == max);
                CHECK(backends[b]->sum_squares(x, n, &squares) == max);
                CHECK(backends[b]->sum_magnitudes(x, n, &magnitudes) == max);
                CHECK(memcmp(&squares, &refs[SQUARES], 8) == 0);
                CHECK(memcmp(&magnitudes, &refs[MAGNITUDES], 8) == 0);
                backends[b]->shape_sums(x, n, all);
                CHECK(memcmp(all, refs, sizeof all) == 0);
            }
        }
        for (uint32_t at = 0; at < 100; at++) { /* NaN and Inf are seen wherever they lie */
            uint8_t *x = guard_place(guards[0], 400, 0);
            memset(x, 0, 400);
            store(x, at, float_from_bits(at % 2 == 0 ? 0xFF800000 : 0xFFC00001));
            double sum;
            CHECK(backends[b]->max_bits((void *)x, 100) >= 0x7F800000);
            CHECK(backends[b]->sum_squares((void *)x, 100, &sum) >= 0x7F800000);
            CHECK(backends[b]->sum_magnitudes((void *)x, 100, &sum) >= 0x7F800000);
        }
    }
}

/* Of few values, so that there are some, of either sign; and zeros. */
static void pairs_of_fours_are_counted(void) {
    for (int b = 0; b < backend_count; b++) {
        for (size_t n = 0; n <= 512; n += 32) {
            for (uint64_t values = 1; values <= 64; values *= 4) {
                FOR_GAPS(gap, n) {
                    void *x = guard_place(guards[0], 4 * n, gap);
                    uint32_t m[512];
                    uint64_t pairs = 0;
                    for (size_t i = 0; i < n; i++) {
                        m[i] = (uint32_t)random_below(&state, values);
                        const float size = (float)m[i] / 3;
                        store(x, i, random_below(&state, 2) != 0 ? -size : size);
                        for (size_t j = i / 4 * 4; j < i; j++) pairs += m[j] == m[i];
                    }
                    CHECK(backends[b]->equal_pairs(x, n) == pairs);
                }
            }
        }
    }
}

int main(void) {
    find_backends();
    guards[0] = guard_new(4 * LONGEST + 64);
    noise_has_known_answers();
    checksums_are_crc32c();
    norms_equal_the_lane_sums_bit_for_bit();
    pairs_of_fours_are_counted();
    guard_free(guards[0]);
    return check_result();
}
