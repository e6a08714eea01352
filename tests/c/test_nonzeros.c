/* The sparse codes' short cuts: the search for non-zero indices on every backend, and for groups of
 * zeros, and decoding from the non-zeros alone, which must give what decoding every index gives
 * (kernels.h, codes/codes.h, FORMAT.md sections 7.2, 7.3 and 8.4). */
#define _DEFAULT_SOURCE
#include "backends/dispatch.h"
#include "codes/codes.h"
#include "guard.h"
#include "support.h"

#define N 5000

static uint64_t state = 20261122;

/* ---- the search ------------------------------------------------------------------------------ */

/* One in `rarity` is not 0; 0: none, 1: all; negative: the last alone. */
static void fill_indices(int16_t *k, size_t n, int rarity) {
    for (size_t i = 0; i < n; i++) {
        bool set =
            rarity > 0 ? random_below(&state, (uint64_t)rarity) == 0 : rarity < 0 && i == n - 1;
        int16_t value = (int16_t)random_u64(&state);
        k[i] = (int16_t)(set ? (value == 0 ? -32768 : value) : 0);
    }
}

static const size_t lengths[] = {0,   1,   2,   3,   4,   5,    7,    15,   16,   17,  31,  32,
                                 33,  63,  64,  65,  66,  70,   127,  128,  129,  191, 192, 193,
                                 255, 256, 257, 500, 999, 1023, 1024, 1025, 4096, 4999};

static struct guard indices, others;

/* Every backend, length and kind of indices; `gap` is where a buffer is placed, in elements. */
static void on_every_backend(void (*check)(const int16_t *k, size_t n, size_t gap)) {
    static const int rarities[] = {0, 1, 2, 5, 30, 100, 300, -1};
    const char *name;
    int32_t available;
    for (uint32_t b = 0; (name = qsgd_backends(b, &available)) != NULL; b++) {
        if (!available) continue;
        CHECK(qsgd_set_backend(name, NULL) == QSGD_OK);
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            for (size_t r = 0; r < sizeof rarities / sizeof *rarities; r++) {
                const size_t n = lengths[l], gap = r % 3 == 2 ? SIZE_MAX : r;
                int16_t *k = guard_place(indices, 2 * n, gap == SIZE_MAX ? gap : 2 * gap);
                fill_indices(k, n, rarities[r]);
                check(k, n, gap);
            }
        }
    }
    CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
}

static void check_positions(const int16_t *k, size_t n, size_t gap) {
    size_t count = 0;
    (void)gap;
    for (size_t i = 0; i < n; i++) count += k[i] != 0 ? 1 : 0;
    uint32_t *at = guard_place(others, 4 * (count + 16), 0);
    CHECK(kernels_current()->nonzeros(k, n, at) == count);
    for (size_t i = 0, j = 0; i < n; i++) {
        if (k[i] != 0) CHECK(at[j++] == i);
    }
}

static void check_groups(const int16_t *k, const uint8_t *tokens, size_t n) {
    uint32_t words[(N + 1023) / 1024];
    size_t nonzeros = 0, zeros = 0;
    const bool any = kernels_current()->zero_groups(k, tokens, n, words);
    for (size_t i = 0; i < n; i++) nonzeros += k != NULL ? k[i] != 0 : tokens[i] != 0;
    CHECK(kernels_current()->count_nonzeros(k, tokens, n) == nonzeros);
    for (size_t g = 0; g < 32 * ((n + 1023) / 1024); g++) {
        bool zero = 32 * g < n;
        for (size_t i = 32 * g; i < n && i < 32 * g + 32; i++) {
            zero = zero && (k != NULL ? k[i] == 0 : tokens[i] == 0);
        }
        CHECK((words[g / 32] >> g % 32 & 1) == zero);
        zeros += zero;
    }
    CHECK(any == (zeros > 0));
}

static void check_both_groups(const int16_t *k, size_t n, size_t gap) {
    uint8_t *tokens = guard_place(others, n, gap);
    for (size_t i = 0; i < n; i++) { /* 1 .. 14 are direct */
        tokens[i] = (uint8_t)(k[i] == 0 ? 0 : 1 + random_below(&state, 14));
    }
    check_groups(k, NULL, n);
    check_groups(NULL, tokens, n);
}

static void nonzeros_are_found_wherever_they_are(void) { on_every_backend(check_positions); }

static void groups_of_zeros_are_found_wherever_they_are(void) {
    on_every_backend(check_both_groups);
}

/* ---- decoding -------------------------------------------------------------------------------- */

static const int32_t sparse_codes[] = {QSGD_CODE_ELIAS_GAMMA_SPARSE, QSGD_CODE_ELIAS_DELTA_SPARSE,
                                       QSGD_CODE_ELIAS_OMEGA_SPARSE, QSGD_CODE_RICE_SPARSE};
#define CODES (sizeof sparse_codes / sizeof *sparse_codes)

/* Runs of 100: plain ones, all 0, one NaN, tiny, huge, subnormal, one non-zero at an end. */
static void fill_buckets(float *x) {
    for (size_t i = 0; i < N; i++) {
        const size_t kind = i / 100 % 9, at = i % 100;
        x[i] = random_float(&state);
        if (kind == 1 || (kind == 6 && at != 99) || (kind == 7 && at != 0)) x[i] = 0;
        if (kind == 2 && at == 50) x[i] *= (float)__builtin_inf();
        if (kind == 3) x[i] *= 0x1p-80F;
        if (kind == 4) x[i] *= 0x1p100F;
        if (kind == 5) x[i] *= 0x1p-145F;
    }
}

static qsgd_params params_of(int32_t code, int kind) {
    qsgd_params p = params_qsgd();
    p.code = code;
    p.norm = QSGD_NORM_L2;
    p.s = kind == 0 ? 1 : 20;
    p.levels = kind == 2 ? QSGD_LEVELS_EXPONENTIAL : QSGD_LEVELS_UNIFORM;
    p.nonfinite = QSGD_NONFINITE_PROPAGATE;
    p.chunk_log2 = 10;
    p.seed = 99;
    return p;
}

static void decode_range_as(const struct bytes *b, uint32_t dtype, uint64_t from, uint64_t to,
                            void *dst) {
    qsgd_decode_options o;
    qsgd_decode_options_init(&o);
    o.dtype = dtype;
    qsgd_memory work = decode_workspace(b->p, b->n, &o);
    CHECK(qsgd_decode_range(b->p, b->n, &o, from, to, dst, work, NULL) == QSGD_OK);
    odd_free(work);
}

/* `fixed` with the same seed has the same indices, and decodes every one of them. */
static void sparse_frames_decode_as_fixed_ones(void) {
    static const uint32_t buckets[] = {100, 1, 64, 333, 3000, 0};
    static const uint64_t edges[] = {0, 1, 99, 100, 250, 950, 1000, 1024, 1999, 2049, N - 1, N};
    static const size_t items[] = {4, 8, 2, 2};
    static float x[N];
    struct guard got = guard_new(8 * N), expected = guard_new(8 * N);
    fill_buckets(x);
    for (size_t c = 0; c < 3 * CODES; c++) {
        for (size_t d = 0; d < sizeof buckets / sizeof *buckets; d++) {
            qsgd_params p = params_of(sparse_codes[c % CODES], (int)(c / CODES));
            p.bucket = buckets[d];
            struct bytes sparse = encode_frame(&p, NULL, x, N);
            p.code = QSGD_CODE_FIXED;
            struct bytes fixed = encode_frame(&p, NULL, x, N);
            for (uint32_t e = 0; e < 36; e++) {
                const uint32_t dtype = e % 4; /* float32, float64, float16, bfloat16 */
                uint64_t from = edges[random_below(&state, 12)];
                uint64_t to = edges[random_below(&state, 12)];
                if (e < 4 || from > to) from = 0;
                if (e < 4) to = N;
                const size_t bytes = (size_t)(to - from) * items[dtype];
                void *a = guard_place(got, bytes, e % 3 == 0 ? SIZE_MAX : 0);
                void *z = guard_place(expected, bytes, 0);
                memset(a, 0x5A, bytes);
                decode_range_as(&sparse, dtype, from, to, a);
                decode_range_as(&fixed, dtype, from, to, z);
                CHECK(memcmp(a, z, bytes) == 0);
            }
            free(sparse.p);
            free(fixed.p);
        }
    }
    guard_free(got);
    guard_free(expected);
}

static void add_to(const struct bytes *b, float alpha, float *sums) {
    qsgd_memory work = decode_workspace(b->p, b->n, NULL);
    CHECK(qsgd_decode_add(b->p, b->n, NULL, alpha, sums, N, work, NULL) == QSGD_OK);
    odd_free(work);
}

/* The same bits, or NaN: which one comes of two is the compiler's to say. */
static bool same_sums(const float *a, const float *b) {
    for (size_t i = 0; i < N; i++) {
        float one, other;
        memcpy(&one, a + i, sizeof one);
        memcpy(&other, b + i, sizeof other);
        const bool nan = one != one && other != other;
        if (!nan && float_bits(one) != float_bits(other)) return false;
    }
    return true;
}

/* Also where a zero changes what it is added to: -0, signalling NaN, alpha not finite. */
static void sparse_frames_are_added_as_fixed_ones(void) {
    static const uint32_t alphas[] = {0x3F800000, 0xBE99999A, 0x00000000, 0x80000000,
                                      0x7F800000, 0x7FC00000, 0x7F7FFFFF, 0x00000001};
    static const uint32_t odd[] = {0x80000000, 0x7FA00000, 0xFFC12345, 0x7F800000, 0};
    static float x[N];
    struct guard got = guard_new(4 * N), expected = guard_new(4 * N);
    fill_buckets(x);
    for (size_t c = 0; c < CODES; c++) {
        for (uint32_t bucket = 100; bucket <= 3000; bucket += 2900) {
            qsgd_params p = params_of(sparse_codes[c], (int)c % 3);
            p.bucket = bucket;
            struct bytes sparse = encode_frame(&p, NULL, x, N);
            p.code = QSGD_CODE_FIXED;
            struct bytes fixed = encode_frame(&p, NULL, x, N);
            for (size_t i = 0; i < 5 * 8; i++) {
                float alpha, *a = guard_place(got, 4 * N, i % 2 == 0 ? SIZE_MAX : 0);
                float *z = guard_place(expected, 4 * N, 0);
                for (size_t j = 0; j < N; j++) a[j] = random_float(&state);
                /* the first, the last, and one in the middle of some chunk */
                memcpy(a + (i % 3 == 0 ? 0 : i % 3 == 1 ? N - 1 : 1500), odd + i / 8, 4);
                memcpy(&alpha, alphas + i % 8, 4);
                memcpy(z, a, 4 * N);
                add_to(&sparse, alpha, a);
                add_to(&fixed, alpha, z);
                CHECK(same_sums(a, z));
            }
            free(sparse.p);
            free(fixed.p);
        }
    }
    guard_free(got);
    guard_free(expected);
}

/* Cut, changed and lengthened payloads: decoding from the non-zeros has the status of the atomic
 * pass, which reads every index. */
static void damaged_streams_are_refused_alike(void) {
    static float x[N], dst[N];
    fill_tensor(x, N, 5);
    for (size_t c = 0; c < CODES; c++) {
        qsgd_params p = params_of(sparse_codes[c], 1);
        p.bucket = 100;
        struct bytes b = encode_frame(&p, NULL, x, N);
        struct parts parts;
        CHECK(frame_parts(b.p, b.n, &parts));
        const uint8_t *entry = b.p + parts.index + (parts.info.chunks - 1) * parts.entry;
        const size_t last = load_le32(entry);
        int refused = 0;
        for (int round = 0; round < 400; round++) {
            struct bytes copy = bytes_copy(b.p, b.n);
            uint8_t payload[4096];
            size_t count = last - (size_t)random_below(&state, round % 2 == 0 ? 1 : last);
            memcpy(payload, b.p + b.n - last, last);
            if (round % 4 == 0) payload[count++] = 0;
            if (round % 4 < 3)
                payload[1 + random_below(&state, last - 1)] ^= (uint8_t)(1 << round % 8);
            replace_payload(&copy, payload, count);
            qsgd_status status = decode_frame(copy.p, copy.n, 0, dst, N, NULL);
            CHECK(status == decode_frame(copy.p, copy.n, QSGD_DECODE_ATOMIC, dst, N, NULL));
            refused += status != QSGD_OK;
            free(copy.p);
        }
        CHECK(refused > 100);
        free(b.p);
    }
}

/* A sparse code where no index is 0, in a chunk so long that a list too short would pass the end of
 * the caller's workspace. */
static void a_long_chunk_without_zeros_has_room_for_its_positions(void) {
    enum { LONG = 1 << 18 };
    float *x = malloc(LONG * sizeof *x), *dst = malloc(LONG * sizeof *dst);
    for (size_t i = 0; i < LONG; i++) x[i] = i % 512 == 0 ? 1.0F : i % 2 == 0 ? 1e-4F : -1e-4F;
    for (size_t c = 0; c < CODES; c++) {
        qsgd_params p = params_of(sparse_codes[c], 1);
        p.norm = QSGD_NORM_MAX;
        p.s = 32767;
        p.bucket = 512;
        p.chunk_log2 = 18;
        struct bytes b = encode_frame(&p, NULL, x, LONG);
        CHECK(b.n < LONG); /* not the fixed code's 16 bits an element */
        CHECK(decode_frame(b.p, b.n, 0, dst, LONG, NULL) == QSGD_OK);
        size_t zeros = 0;
        for (size_t i = 0; i < LONG; i++) zeros += dst[i] == 0;
        CHECK(zeros == 0);
        CHECK(decode_frame(b.p, b.n, QSGD_DECODE_ATOMIC, dst, LONG, NULL) == QSGD_OK);
        free(b.p);
    }
    free(x);
    free(dst);
}

int main(void) {
    indices = guard_new(2 * N);
    others = guard_new(4 * (N + 16));
    nonzeros_are_found_wherever_they_are();
    groups_of_zeros_are_found_wherever_they_are();
    guard_free(indices);
    guard_free(others);
    sparse_frames_decode_as_fixed_ones();
    sparse_frames_are_added_as_fixed_ones();
    damaged_streams_are_refused_alike();
    a_long_chunk_without_zeros_has_room_for_its_positions();
    return check_result();
}
