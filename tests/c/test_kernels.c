/* The kernels of rounding and of values on every backend that this machine can run, against the
 * scalar backend, bit for bit: lengths around every boundary, all alignments, hostile floats, and
 * guard pages around every buffer. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "guard.h"
#include "hostile.h"
#include "kernels/kernels.h"
#include "lengths.h"
#include "support.h"

static struct guard guards[5];
static uint64_t state = 20250713;

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
        store(x, i, hostile(&state));
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
            const struct noise_key key = {{pick, 2}, {3, 4}, false};
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

/* unit' = 1, so T is known: every other element gets the noise that ties with it, and V of its
 * position in the tensor decides. */
static void ties_are_settled_by_v_on_all_backends(void) {
    static float x[256];
    static uint16_t noise[256];
    static int16_t expected[256], k[256];
    const struct noise_key key = {{1, 2}, {3, 4}, false};
    const struct round_bucket bucket = {.key = &key, .inv16 = 65536.0F, .cap16 = 7 * 65536.0F};
    int by_v = 0;
    for (size_t n = 1; n <= 256; n++) {
        const uint64_t crossing = ((uint64_t)1 << 32) - n / 2; /* the low word overflows within */
        const uint64_t element = n % 4 == 0 ? crossing : n % 4 == 1 ? 0 : random_u64(&state) >> 17;
        for (size_t i = 0; i < n; i++) {
            x[i] = (float)(random_below(&state, 1 << 24) + 1) * 0x1p-22F; /* 2^-22 .. 4 */
            uint32_t t = (uint32_t)(x[i] * 65536.0F);
            const bool negative = random_below(&state, 2) != 0;
            noise[i] = (uint16_t)(i % 2 == 0 ? t ^ (negative ? 0xFFFF : 0) : random_u64(&state));
            if (negative) x[i] = -x[i];
        }
        SCALAR->round_uniform(&bucket, element, x, noise, n, expected, NULL);
        for (size_t i = 0; i < n; i += 2) { /* |k| is T >> 16, and one more if V says so */
            const float u = (x[i] < 0 ? -x[i] : x[i]) * 65536.0F;
            const uint32_t t = (uint32_t)u, rest = (uint32_t)((u - (float)t) * 65536.0F);
            const uint32_t v = SCALAR->tie_noise(&key, element + i) ^ (x[i] < 0 ? 0xFFFF : 0);
            const uint32_t magnitude = (t >> 16) + (v < rest);
            CHECK((uint32_t)(expected[i] < 0 ? -expected[i] : expected[i]) == magnitude);
            by_v += v < rest;
        }
        for (int b = 0; b < backend_count; b++) {
            memset(k, 0x5A, sizeof k);
            backends[b]->round_uniform(&bucket, element, x, noise, n, k, NULL);
            CHECK(memcmp(k, expected, n * sizeof *k) == 0);
        }
    }
    CHECK(by_v > 1000);
}

/* FORMAT.md section 8.2. Backends are compared above. */
static void turned_indices_change_sign_with_the_noise_and_keep_their_values(void) {
    static float x[256], values[256], expected[256];
    static uint16_t noise[256];
    static int16_t k[256], turned[256];
    const struct noise_key key = {{1, 2}, {3, 4}, false};
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
            struct value_bucket bucket = {.unit = hostile(&state),
                                          .half = !table && (pick & 2) != 0 ? 0.5F : 0.0F,
                                          .dither_unit = hostile(&state),
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
                start[i] = hostile(&state);
            }
            const uint16_t *given = bucket.damping == 0 && !bucket.turned ? NULL : noise;
            for (int add = 0; add < 2; add++) {
                float alpha = hostile(&state);
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
                        CHECK(float_bits(v) == float_bits(expected[i]) ||
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
            struct value_bucket bucket = {.unit = hostile(&state),
                                          .half = !table && (pick & 8) != 0 ? 0.5F : 0.0F,
                                          .dither_unit = hostile(&state),
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
                start[i] = hostile(&state);
            }
            const uint16_t *given = bucket.damping == 0 && !bucket.turned ? NULL : noise;
            for (int add = 0; add < 2; add++) {
                const float alpha = hostile(&state);
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
                        CHECK(float_bits(v) == float_bits(expected[i]) ||
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
    rounding_is_alike_on_all_backends();
    ties_are_settled_by_v_on_all_backends();
    turned_indices_change_sign_with_the_noise_and_keep_their_values();
    values_are_alike_on_all_backends();
    token_values_are_those_of_indices();
    for (int i = 0; i < 5; i++) guard_free(guards[i]);
    return check_result();
}
