/* The rotation of buckets (FORMAT.md section 8.5): its kernels on every backend against the
 * definition, written plainly, and what both directions do to a bucket. Guard pages around every
 * buffer. */
#define _DEFAULT_SOURCE
#include <math.h>

#include "backends.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "quantize/rotation.h"
#include "support.h"

#define LONGEST 16384

static struct guard guards[3];
static uint64_t state = 20250722;
static const struct noise_key key = {{0x89ABCDEF, 0x01234567}, {7, 9}, false};

/* Lengths of buckets: those of frames are at least 128. */
static const size_t lengths[] = {1,   2,   4,    8,    16,   32,   64,   128,
                                 256, 512, 1024, 2048, 4096, 8192, 16384};
#define FOR_BUCKETS(len)                                                                           \
    for (size_t at = 0, len = 1; at < sizeof lengths / sizeof *lengths && (len = lengths[at], 1);  \
         at++)

/* ---- the definition -------------------------------------------------------------------------- */

static void butterflies(float *y, size_t p, float f) {
    for (size_t i = 0; i < p; i++) y[i] = y[i] * f;
    for (size_t h = 1; h < p; h *= 2) {
        for (size_t i = 0; i < p; i++) {
            if (i / h % 2 == 1) continue;
            float a = y[i], b = y[i + h];
            y[i] = a + b;
            y[i + h] = a - b;
        }
    }
}

/* H of FORMAT.md section 8.5. */
static void transform(float *y, size_t p) {
    int k = 0;
    while ((size_t)1 << k < p) k++;
    butterflies(y, p, ldexpf(k % 2 == 1 ? 0x1.6A09E6p-1F : 1.0F, -(k / 2)));
}

/* s2 or s3 of an element. */
static float sign_of(uint32_t domain, uint64_t element) {
    const uint64_t number = element / 16, counter = 32 * (number / 256) + number % 64 / 2;
    uint32_t c[4] = {(uint32_t)counter, domain << 28 | (uint32_t)(counter >> 32), key.nonce[0],
                     key.nonce[1]};
    philox(key.key[0], key.key[1], c);
    const uint32_t r = c[number % 256 / 64] >> (number % 2 * 16);
    return r >> element % 16 & 1 ? -1.0F : 1.0F;
}

static void forward(uint64_t first, size_t len, float *x) {
    for (size_t i = 0; i < len; i++) x[i] *= sign_of(2, first + i);
    transform(x, len);
    for (size_t i = 0; i < len; i++) x[i] *= sign_of(3, first + i);
    transform(x, len);
}

static void inverse(uint64_t first, size_t len, float *v) {
    transform(v, len);
    for (size_t i = 0; i < len; i++) v[i] *= sign_of(3, first + i);
    transform(v, len);
    for (size_t i = 0; i < len; i++) v[i] *= sign_of(2, first + i);
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* sums + alpha * flipped, product and sum each rounded; in the memory that flip left. */
static void sums_of_flipped_elements(const struct kernels *k, const uint16_t *signs, size_t offset,
                                     size_t n) {
    static float x[128], flipped[128], sums[128];
    float *out = guard_place(guards[2], 4 * n, n % 3);
    for (size_t i = 0; i < n; i++) {
        x[i] = random_float(&state);
        sums[i] = random_float(&state);
    }
    if (n > 0) memcpy((uint8_t *)out, sums, 4 * n);
    SCALAR->flip(signs, offset, x, n, false, flipped);
    k->flip_add(signs, offset, x, n, 0.3F, out);
    for (size_t i = 0; i < n; i++) {
        const volatile float product = flipped[i] * 0.3F; /* else compilers may fuse */
        const float sum = sums[i] + product;
        CHECK(memcmp((uint8_t *)out + 4 * i, &sum, 4) == 0);
    }
}

static void flip_changes_the_signs_that_are_set(void) {
    static const size_t offsets[] = {0, 1, 15, 16, 17, 100, 255};
    for (int b = 0; b < backend_count; b++) {
        for (size_t n = 0; n <= 100; n++) {
            for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++) {
                const size_t words = (offsets[o] + n + 15) / 16 + 1;
                uint16_t *signs = guard_place(guards[0], 2 * words, 0);
                uint8_t *x = guard_place(guards[1], 4 * n, o % 4);
                float *out = guard_place(guards[2], 4 * n, o % 3 == 0 ? SIZE_MAX : 0);
                for (size_t i = 0; i < words; i++) signs[i] = (uint16_t)random_u64(&state);
                for (size_t i = 0; i < 4 * n; i++) x[i] = (uint8_t)random_u64(&state);
                backends[b]->flip(signs, offsets[o], (float *)(void *)x, n, o % 2 == 0, out);
                for (size_t i = 0; i < n; i++) {
                    const size_t bit = offsets[o] + i;
                    uint32_t was, is;
                    memcpy(&was, x + 4 * i, 4);
                    memcpy(&is, out + i, 4);
                    CHECK(is == (was ^ (uint32_t)(signs[bit / 16] >> bit % 16 & 1) << 31));
                }
                sums_of_flipped_elements(backends[b], signs, offsets[o], n);
            }
        }
    }
}

static void hadamard_is_all_stages_in_order(void) {
    static float want[LONGEST];
    for (int b = 0; b < backend_count; b++) {
        for (size_t p = 1; p <= LONGEST; p *= 2) {
            float *x = guard_place(guards[0], 4 * p, 0);
            for (size_t i = 0; i < p; i++) {
                x[i] = want[i] = random_float(&state) * (i % 5 == 0 ? 1e6F : 1e-6F);
            }
            backends[b]->hadamard(x, p, 0.3F);
            butterflies(want, p, 0.3F);
            CHECK(memcmp(x, want, 4 * p) == 0);
        }
    }
}

/* ---- buckets --------------------------------------------------------------------------------- */

static struct rotation *rotation_new(float *bucket) {
    struct rotation *r = calloc(1, sizeof *r);
    r->first.tile = r->last.tile = UINT64_MAX;
    r->bucket = bucket;
    return r;
}

static void rotation_is_as_defined_on_every_backend(void) {
    static const uint64_t firsts[] = {0, 5, 4000, ((uint64_t)1 << 35) - 100};
    static float turned[LONGEST], back[LONGEST];
    for (int b = 0; b < backend_count; b++) {
        FOR_BUCKETS(len) {
            const uint64_t first = firsts[at % 4];
            uint8_t *bytes = guard_place(guards[0], 4 * len, at % 4);
            float *x = (float *)(void *)bytes, *to = guard_place(guards[1], 4 * len, 0);
            float *bucket = guard_place(guards[2], 4 * len, 0);
            struct rotation *r = rotation_new(bucket);
            for (size_t i = 0; i < len; i++) {
                turned[i] = random_float(&state);
                memcpy(bytes + 4 * i, turned + i, 4);
            }
            rotation_forward(r, backends[b], &key, first, len, x, to);
            forward(first, len, turned);
            CHECK(memcmp(to, turned, 4 * len) == 0);
            memcpy(bucket, to, 4 * len);
            memcpy(back, to, 4 * len);
            rotation_inverse(r, backends[b], &key, first, len,
                             &(struct rotation_out){.to = bucket});
            inverse(first, len, back);
            CHECK(memcmp(bucket, back, 4 * len) == 0);
            rotation_forward(r, backends[b], &key, first, len, bucket, bucket); /* in place */
            forward(first, len, back);
            CHECK(memcmp(bucket, back, 4 * len) == 0);
            free(r);
        }
    }
}

/* ||x||, and of x - y. */
static double norm_of(const float *x, const float *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (y == NULL ? 0 : (double)y[i]);
        sum += d * d;
    }
    return sqrt(sum);
}

/* Of one direction: at most 2 (k + 1) operations, of two
 * transforms, each of which rounds by 2^-24 of a norm that
 * stays, and sqrt(1/2) twice. */
static double bound_of(size_t len, double norm) {
    return norm * 0x1p-24 * 2 * 2 * (2 + log2((double)len));
}

static const float magnitudes[] = {1.0F, 1e-42F, 1e-30F, 1e-20F, 1e25F, 3e37F};

static void rotation_keeps_the_norm_and_comes_back(void) {
    static float x[LONGEST], y[LONGEST], bucket[LONGEST];
    FOR_BUCKETS(len) {
        for (size_t m = 0; m < sizeof magnitudes / sizeof *magnitudes; m++) {
            const float magnitude = magnitudes[m] / (m == 5 ? sqrtf((float)len) : 1.0F);
            struct rotation *r = rotation_new(bucket);
            for (size_t i = 0; i < len; i++) x[i] = random_float(&state) * magnitude;
            rotation_forward(r, SCALAR, &key, 77, len, x, y);
            /* elements are rounded to float32: of subnormals, to 2^-149 */
            const double grain = 0x1p-149 * sqrt((double)len);
            const double norm = norm_of(x, NULL, len), bound = bound_of(len, norm) + 2 * grain;
            CHECK(fabs(norm_of(y, NULL, len) - norm) <= bound);
            for (size_t i = 0; i < len; i++) {
                bucket[i] = m == 1 ? ldexpf(y[i], 96) : y[i]; /* values come in range */
                if (m == 1) x[i] = ldexpf(x[i], 96);
            }
            rotation_inverse(r, SCALAR, &key, 77, len, &(struct rotation_out){.to = bucket});
            CHECK(norm_of(bucket, x, len) <= 2 * (m == 1 ? ldexp(bound, 96) : bound));
            free(r);
        }
    }
}

/* The largest magnitude of a rotated unit vector: given what the first round made of it, an element
 * is a sum of signs whose squared weights add up to 1 / len, which passes 6 / sqrt(len) with chance
 * 2 exp(-18) (Hoeffding). Vectors of this test: below 2^18 elements in all, so a wrong alarm has
 * chance 2^19 exp(-18) = 0.008 over all keys; the key is fixed. */
static void outliers_are_spread(void) {
    static float x[LONGEST], y[LONGEST];
    static const size_t some[] = {128, 256, 512, 1024, 8192, 16384};
    for (size_t s = 0; s < sizeof some / sizeof *some; s++) {
        const size_t len = some[s];
        const size_t places[] = {0, len / 4, len / 2, len * 3 / 4, len - 1};
        struct rotation *r = rotation_new(NULL);
        for (size_t kind = 0; kind < 6; kind++) {
            for (size_t i = 0; i < len; i++) {
                x[i] = kind == 5 ? 1 / sqrtf((float)len) : i == places[kind] ? 1.0F : 0.0F;
            }
            rotation_forward(r, SCALAR, &key, 12345, len, x, y);
            const double most = 6 / sqrt((double)len);
            for (size_t i = 0; i < len; i++) CHECK(fabs((double)y[i]) <= most);
        }
        free(r);
    }
}

/* Near the largest float: no step passes it where the result does not. */
static void nothing_overflows_inside(void) {
    static float x[LONGEST], y[LONGEST];
    FOR_BUCKETS(len) {
        struct rotation *r = rotation_new(NULL);
        for (size_t i = 0; i < len; i++) x[i] = i == len / 2 ? -0x1.FFFFFEp127F : 0.0F;
        rotation_forward(r, SCALAR, &key, 0, len, x, y);
        for (size_t i = 0; i < len; i++) CHECK(isfinite(y[i]));
        /* a vector that comes out as a single element of norm 2^127 */
        memset(x, 0, sizeof x);
        x[0] = 0x1p100F;
        inverse(0, len, x);
        for (size_t i = 0; i < len; i++) x[i] *= 0x1.8p27F;
        rotation_forward(r, SCALAR, &key, 0, len, x, y);
        CHECK(isfinite(y[0]) && y[0] > 0x1.7FF0p127F);
        for (size_t i = 1; i < len; i++) CHECK(fabsf(y[i]) < 0x1p110F);
        free(r);
    }
}

static void what_is_not_finite_reaches_the_bucket(void) {
    static float x[LONGEST], y[LONGEST];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int b = 0; b < backend_count; b++) {
        FOR_BUCKETS(len) {
            struct rotation *r = rotation_new(NULL);
            for (size_t i = 0; i < len; i++) x[i] = random_float(&state);
            x[random_below(&state, len)] = bad[at % 3];
            rotation_forward(r, backends[b], &key, 3, len, x, y);
            CHECK(backends[b]->max_bits(y, len) >= 0x7F800000);
            free(r);
        }
    }
}

int main(void) {
    find_backends();
    for (int i = 0; i < 3; i++) guards[i] = guard_new(4 * LONGEST + 64);
    flip_changes_the_signs_that_are_set();
    hadamard_is_all_stages_in_order();
    rotation_is_as_defined_on_every_backend();
    rotation_keeps_the_norm_and_comes_back();
    outliers_are_spread();
    nothing_overflows_inside();
    what_is_not_finite_reaches_the_bucket();
    for (int i = 0; i < 3; i++) guard_free(guards[i]);
    return check_result();
}
