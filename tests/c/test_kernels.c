/* Every kernel of every backend that this machine can run, against plain references (noise, norms,
 * checksum) or against the scalar backend, bit for bit: lengths around every boundary, all
 * alignments, hostile floats, and guard pages around every buffer. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "base/crc32c.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "lengths.h"
#include "support.h"

static struct guard guards[5];
static uint64_t state = 20250713;

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* Finite, but else anything: subnormals, huge, zeros of both signs, powers of two, plain numbers.
 */
static float hostile(void) {
    uint32_t r = (uint32_t)(random_u64(&state) >> 32), sign = r & 0x80000000;
    switch (r % 8) {
    case 0: return float_of(sign);
    case 1: return float_of(sign | (r >> 4 & 0x7FFFFF));
    case 2: return float_of(sign | 0x7F000000 | (r >> 4 & 0x7FFFFF));
    case 3: return float_of(sign | (r >> 4 & 0xFF) % 255 << 23);
    default: return random_float(&state);
    }
}

static void store(void *p, size_t i, float f) { memcpy((uint8_t *)p + 4 * i, &f, 4); }

/* ---- references ------------------------------------------------------------------------------ */

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
                                    {(uint32_t)f * 99U, f == 0 ? 0 : 5}};
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

/* Lane by lane as FORMAT.md section 4.1 has it. */
static double lane_sum(const uint8_t *p, size_t n, bool square) {
    double lanes[32] = {0};
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, p + 4 * i, 4);
        double v = (double)float_of(bits_of(x) & 0x7FFFFFFF);
        lanes[i % 32] = lanes[i % 32] + (square ? v * v : v);
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
                    float f = hostile();
                    store(x, i, f);
                    if ((bits_of(f) & 0x7FFFFFFF) > max) max = bits_of(f) & 0x7FFFFFFF;
                }
                double squares = -1, magnitudes = -1;
                double squares_ref = lane_sum(x, n, true), magnitudes_ref = lane_sum(x, n, false);
                CHECK(backends[b]->max_bits(x, n) == max);
                CHECK(backends[b]->sum_squares(x, n, &squares) == max);
                CHECK(backends[b]->sum_magnitudes(x, n, &magnitudes) == max);
                CHECK(memcmp(&squares, &squares_ref, 8) == 0);
                CHECK(memcmp(&magnitudes, &magnitudes_ref, 8) == 0);
            }
        }
        for (uint32_t at = 0; at < 100; at++) { /* NaN and Inf are seen wherever they lie */
            uint8_t *x = guard_place(guards[0], 400, 0);
            memset(x, 0, 400);
            store(x, at, float_of(at % 2 == 0 ? 0xFF800000 : 0xFFC00001));
            double sum;
            CHECK(backends[b]->max_bits((void *)x, 100) >= 0x7F800000);
            CHECK(backends[b]->sum_squares((void *)x, 100, &sum) >= 0x7F800000);
            CHECK(backends[b]->sum_magnitudes((void *)x, 100, &sum) >= 0x7F800000);
        }
    }
}

/* ---- rounding and values --------------------------------------------------------------------- */

static struct round_table table_of(uint32_t count, bool zero) {
    struct round_table t = {.count = count, .zero = zero};
    for (uint32_t j = 0; j <= count; j++) {
        t.level[j] = j == count ? 1.0F : (float)j * (float)j / (float)(count * count);
    }
    for (uint32_t j = 0; j < count; j++) t.rcp[j] = 1.0F / (t.level[j + 1] - t.level[j]);
    if (!zero) t.rcp[0] = 1.0F / (2.0F * t.level[1]);
    for (uint32_t j = 0; j < count; j++) t.weight[j] = 256 * (j + 1) / count + 1;
    return t;
}

typedef uint64_t (*round_kernel)(const struct round_bucket *, uint64_t, const float *,
                                 const uint16_t *, size_t, int16_t *, uint8_t *);

static void round_alike(const struct round_bucket *bucket, size_t n, size_t gap) {
    const bool table = bucket->table != NULL;
    void *x = guard_place(guards[0], 4 * n, gap);
    uint16_t *noise = guard_place(guards[1], 2 * n, even(gap));
    int16_t *k = guard_place(guards[2], 2 * n, even(gap));
    static int16_t expected[LONGEST];
    for (size_t i = 0; i < n; i++) {
        store(x, i, hostile());
        noise[i] = (uint16_t)random_u64(&state);
    }
    const uint64_t element = random_u64(&state) >> 17; /* ties depend on it */
    round_kernel ref = table ? SCALAR->round_table : SCALAR->round_uniform;
    uint64_t sum_ref = ref(bucket, element, x, noise, n, expected, NULL);
    for (int b = 0; b < backend_count; b++) {
        round_kernel one = table ? backends[b]->round_table : backends[b]->round_uniform;
        memset(k, 0x5A, 2 * n);
        uint64_t sum = one(bucket, element, x, noise, n, k, NULL);
        CHECK(sum == sum_ref);
        CHECK(n == 0 || memcmp(k, expected, 2 * n) == 0);
        uint8_t *tokens = guard_place(guards[2], n, gap); /* over k, which is not needed now */
        memset(tokens, 0x5A, n);
        CHECK(one(bucket, element, x, noise, n, NULL, tokens) == sum_ref);
        for (size_t i = 0; i < n; i++) {
            const int32_t e = expected[i];
            if (e >= -15 && e <= 15) CHECK(tokens[i] == (e > 0 ? 2 * e - 1 : -2 * e));
        }
    }
}

static void rounding_is_alike_on_all_backends(void) {
    static const uint32_t counts[] = {1, 7, 127, 32767};
    FOR_LENGTHS(n) {
        FOR_GAPS(gap, n) {
            uint32_t pick = (uint32_t)random_below(&state, 1 << 16);
            uint32_t count = counts[pick & 3];
            bool zero = (pick & 4) != 0;
            const struct noise_key key = {{pick, 2}, {3, 4}};
            struct round_bucket bucket = {.key = &key,
                                          .crossed = !zero,
                                          .nearest = (pick & 24) == 24,
                                          .dithered = (pick & 24) == 8,
                                          .turned = (pick & 256) != 0};
            float scale = (pick & 32) != 0 ? 4.0F : (pick & 64) != 0 ? 0x1p-60F : 0x1.8p60F;
            bucket.inv16 = 1.0F / (scale / (float)count) * 65536.0F;
            bucket.cap16 = ((float)count - (zero ? 0.0F : 0.5F)) * 65536.0F;
            round_alike(&bucket, n, gap);
            struct round_table table = table_of(count > 127 ? 3 : count, zero);
            bucket.table = &table;
            bucket.inv16 = 1.0F / scale;
            round_alike(&bucket, n, gap);
        }
    }
}

/* unit' = 1, so T is known: every other element gets the noise that ties with it, and V decides. */
static void ties_are_settled_alike_on_all_backends(void) {
    static float x[256];
    static uint16_t noise[256];
    static int16_t expected[256], k[256];
    const struct noise_key key = {{1, 2}, {3, 4}};
    const struct round_bucket bucket = {.key = &key, .inv16 = 65536.0F, .cap16 = 7 * 65536.0F};
    int by_v = 0;
    for (size_t n = 1; n <= 256; n++) {
        const uint64_t element = random_u64(&state) >> 17;
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)(random_below(&state, 1 << 24) + 1) * 0x1p-22F; /* 2^-22 .. 4 */
            uint32_t t = (uint32_t)(x[i] * 65536.0F);
            const bool negative = random_below(&state, 2) != 0;
            noise[i] = (uint16_t)(i % 2 == 0 ? t ^ (negative ? 0xFFFF : 0) : random_u64(&state));
            if (negative) x[i] = -x[i];
        }
        SCALAR->round_uniform(&bucket, element, x, noise, n, expected, NULL);
        for (size_t i = 0; i < n; i += 2) { /* |k| is T >> 16, or one more if V says so */
            const uint32_t t = (uint32_t)((x[i] < 0 ? -x[i] : x[i]) * 65536.0F);
            by_v += (uint32_t)(expected[i] < 0 ? -expected[i] : expected[i]) != t >> 16;
        }
        for (int b = 0; b < backend_count; b++) {
            memset(k, 0x5A, sizeof k);
            backends[b]->round_uniform(&bucket, element, x, noise, n, k, NULL);
            CHECK(memcmp(k, expected, n * sizeof *k) == 0);
        }
    }
    CHECK(by_v > 1000);
}

/* FORMAT.md section 6.6. Backends are compared above. */
static void turned_indices_change_sign_with_the_noise_and_keep_their_values(void) {
    static float x[256], values[256], expected[256];
    static uint16_t noise[256];
    static int16_t k[256], turned[256];
    const struct noise_key key = {{1, 2}, {3, 4}};
    int changed = 0;
    for (int kind = 0; kind < 8; kind++) {
        const bool zero = (kind & 1) != 0;
        const struct round_table table = table_of(7, zero);
        struct round_bucket bucket = {.inv16 = 7 * 65536.0F,
                                      .cap16 = (zero ? 7.0F : 6.5F) * 65536.0F,
                                      .crossed = !zero,
                                      .dithered = true,
                                      .key = &key};
        struct value_bucket back = {.unit = 1.0F / 7,
                                    .half = zero ? 0.0F : 0.5F,
                                    .dither_unit = 1.0F / 7,
                                    .damping = (kind & 2) != 0 ? 97 : 0};
        float levels[15];
        for (int i = 0; i < 15; i++) levels[i] = (float)(i - 7) * 0.125F;
        if ((kind & 4) != 0) {
            bucket.inv16 = 1.0F;
            bucket.table = &table;
            back.half = 0;
            back.table = levels + 7;
        }
        for (int i = 0; i < 256; i++) {
            x[i] = (float)random_below(&state, 1 << 20) * 0x1p-19F - 1.0F;
            noise[i] = (uint16_t)random_u64(&state);
        }
        x[0] = x[1] = 0;
        for (int with = 0; with < 2; with++) {
            bucket.turned = back.turned = with != 0;
            int16_t *out = with != 0 ? turned : k;
            if (bucket.table != NULL) SCALAR->round_table(&bucket, 0, x, noise, 256, out, NULL);
            if (bucket.table == NULL) SCALAR->round_uniform(&bucket, 0, x, noise, 256, out, NULL);
            SCALAR->values(&back, out, noise, 256, with != 0 ? values : expected);
        }
        for (int i = 0; i < 256; i++) {
            CHECK(turned[i] == (noise[i] >= 0x8000 ? -k[i] : k[i]));
            changed += turned[i] != k[i];
        }
        CHECK(memcmp(values, expected, sizeof values) == 0); /* zeros are +0, too */
    }
    CHECK(changed > 500);
}

static void values_are_alike_on_all_backends(void) {
    static float levels[511], expected[LONGEST], start[LONGEST];
    for (int i = 0; i < 511; i++) levels[i] = (float)(i - 255) / 255.0F;
    FOR_LENGTHS(n) {
        FOR_GAPS(gap, n) {
            uint32_t pick = (uint32_t)random_below(&state, 1 << 16);
            const bool table = (pick & 1) != 0;
            struct value_bucket bucket = {.unit = hostile(),
                                          .half = !table && (pick & 2) != 0 ? 0.5F : 0.0F,
                                          .dither_unit = hostile(),
                                          .damping = (pick & 4) != 0 ? (int32_t)(pick >> 8) : 0,
                                          .turned = (pick & 32) != 0,
                                          .table = table ? levels + 255 : NULL,
                                          .stream = (pick & 16) != 0};
            int16_t *k = guard_place(guards[0], 2 * n, even(gap));
            uint16_t *noise = guard_place(guards[1], 2 * n, even(gap));
            void *out = guard_place(guards[2], 4 * n, gap);
            for (size_t i = 0; i < n; i++) {
                int32_t range = table ? 255 : 32767;
                k[i] = (int16_t)((int32_t)random_below(&state, 2 * (uint64_t)range + 1) - range);
                if (bucket.half > 0 && k[i] == 0) k[i] = 1; /* 0 names no level */
                noise[i] = (uint16_t)random_u64(&state);
                start[i] = hostile();
            }
            const uint16_t *given = bucket.damping == 0 && !bucket.turned ? NULL : noise;
            for (int add = 0; add < 2; add++) {
                float alpha = hostile();
                memcpy(expected, start, 4 * n);
                if (add) SCALAR->values_add(&bucket, k, given, n, alpha, expected);
                if (!add) SCALAR->values(&bucket, k, given, n, expected);
                for (int b = 0; b < backend_count; b++) {
                    if (n > 0) memcpy(out, start, 4 * n);
                    if (add) backends[b]->values_add(&bucket, k, given, n, alpha, out);
                    if (!add) backends[b]->values(&bucket, k, given, n, out);
                    for (size_t i = 0; i < n; i++) { /* all NaN are alike: their bits may differ */
                        float v;
                        memcpy(&v, (uint8_t *)out + 4 * i, 4);
                        CHECK(bits_of(v) == bits_of(expected[i]) ||
                              (v != v && expected[i] != expected[i]));
                    }
                }
            }
        }
    }
}

/* Values of direct tokens are the values of their indices. */
static void token_values_are_those_of_indices(void) {
    static float levels[31], of_token[32], expected[LONGEST], start[LONGEST];
    static int16_t k[LONGEST];
    for (int i = 0; i < 31; i++) levels[i] = (float)((i - 15) * (i < 15 ? 16 - i : i)) / 450.0F;
    FOR_LENGTHS(n) {
        FOR_GAPS(gap, n) {
            const uint32_t pick = (uint32_t)random_below(&state, 1 << 16);
            const bool table = (pick & 1) != 0;
            const int32_t most = (pick & 2) != 0 ? 15 : 7;
            struct value_bucket bucket = {.unit = hostile(),
                                          .half = !table && (pick & 8) != 0 ? 0.5F : 0.0F,
                                          .dither_unit = hostile(),
                                          .damping = (pick & 4) != 0 ? (int32_t)(pick >> 8) : 0,
                                          .turned = (pick & 32) != 0,
                                          .table = table ? levels + 15 : NULL,
                                          .of_token = of_token,
                                          .tokens = 2 * (unsigned)most + 1,
                                          .stream = (pick & 16) != 0};
            for (int t = 0; t < 31; t++) {
                const int32_t index = t % 2 != 0 ? (t + 1) / 2 : -t / 2;
                const float half = index < 0 ? -bucket.half : bucket.half;
                of_token[t] = table ? levels[15 + index] : (float)index - half;
            }
            uint8_t *tokens = guard_place(guards[0], n, gap);
            uint16_t *noise = guard_place(guards[1], 2 * n, even(gap));
            void *out = guard_place(guards[2], 4 * n, gap);
            for (size_t i = 0; i < n; i++) {
                k[i] = (int16_t)((int32_t)random_below(&state, 2 * (uint64_t)most + 1) - most);
                if (bucket.half > 0 && k[i] == 0) k[i] = 1; /* 0 names no level */
                tokens[i] = (uint8_t)(k[i] > 0 ? 2 * k[i] - 1 : -2 * k[i]);
                noise[i] = (uint16_t)random_u64(&state);
                start[i] = hostile();
            }
            const uint16_t *given = bucket.damping == 0 && !bucket.turned ? NULL : noise;
            for (int add = 0; add < 2; add++) {
                const float alpha = hostile();
                memcpy(expected, start, 4 * n);
                if (add) SCALAR->values_add(&bucket, k, given, n, alpha, expected);
                if (!add) SCALAR->values(&bucket, k, given, n, expected);
                for (int b = 0; b < backend_count; b++) {
                    if (n > 0) memcpy(out, start, 4 * n);
                    if (add) backends[b]->token_values_add(&bucket, tokens, given, n, alpha, out);
                    if (!add) backends[b]->token_values(&bucket, tokens, given, n, out);
                    for (size_t i = 0; i < n; i++) {
                        float v;
                        memcpy(&v, (uint8_t *)out + 4 * i, 4);
                        CHECK(bits_of(v) == bits_of(expected[i]) ||
                              (v != v && expected[i] != expected[i]));
                    }
                }
            }
        }
    }
}

int main(void) {
    find_backends();
    for (int i = 0; i < 5; i++) guards[i] = guard_new(4 * LONGEST + 64);
    noise_has_known_answers();
    checksums_are_crc32c();
    norms_equal_the_lane_sums_bit_for_bit();
    rounding_is_alike_on_all_backends();
    ties_are_settled_alike_on_all_backends();
    turned_indices_change_sign_with_the_noise_and_keep_their_values();
    values_are_alike_on_all_backends();
    token_values_are_those_of_indices();
    for (int i = 0; i < 5; i++) guard_free(guards[i]);
    return check_result();
}
