/* qsgd_decode_sum and qsgd_decode_sum_to: the floats of qsgd_decode_add for one frame after the
 * other, whatever the frames, the workspace and the backend. */
#include "support.h"

#define N 5000
#define FRAMES 6

static float x[N];

/* Frames of several codes, chunks and buckets; with `alike`, of the same chunks. */
struct frames {
    struct bytes b[FRAMES];
    qsgd_weighted_frame weighted[FRAMES];
};

static struct frames frames_new(bool alike) {
    static const size_t used[FRAMES] = {19, 8, 16, 0, 21, 12}; /* one is raw, one rotated */
    static const float alphas[FRAMES] = {0.3F, -1.7F, 1e-3F, 0.7F, 1.0F, 0.0F};
    struct frames f;
    for (size_t i = 0; i < FRAMES; i++) {
        qsgd_params p = scheme_params(&schemes[used[i]]);
        if (alike) {
            p.bucket = 128;
        } else {
            set_bucket(&p, 100 + 50 * i);
            p.chunk_log2 = 10 + (uint32_t)i % 3;
        }
        p.seed += i;
        f.b[i] = encode_frame(&p, NULL, x, N);
        f.weighted[i] = (qsgd_weighted_frame){f.b[i].p, f.b[i].n, alphas[i], 0};
    }
    return f;
}

static void frames_free(struct frames *f) {
    for (size_t i = 0; i < FRAMES; i++) free(f->b[i].p);
}

static uint64_t largest_workspace(const struct frames *f) {
    uint64_t most = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        const uint64_t bytes = decode_sizes(f->b[i].p, f->b[i].n, NULL).workspace_bytes;
        if (bytes > most) most = bytes;
    }
    return most;
}

static void add_all(const struct frames *f, float *sums) {
    const qsgd_memory work = odd_memory(largest_workspace(f));
    for (size_t i = 0; i < N; i++) sums[i] = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        CHECK(qsgd_decode_add(f->b[i].p, f->b[i].n, NULL, f->weighted[i].alpha, sums, N, work,
                              NULL) == QSGD_OK);
    }
    odd_free(work);
}

static qsgd_sizes sum_sizes(const struct frames *f, const qsgd_decode_options *options) {
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_decode_sum_sizes(f->weighted, FRAMES, options, N, &sizes, NULL) == QSGD_OK);
    CHECK(sizes.elements == N);
    return sizes;
}

/* ---- what comes out -------------------------------------------------------------------------- */

static void sums_are_those_of_adding(const struct frames *f) {
    static float want[N], got[N];
    add_all(f, want);
    const uint64_t bytes[] = {sum_sizes(f, NULL).workspace_bytes, largest_workspace(f)};
    for (size_t i = 0; i < 2; i++) {
        const qsgd_memory work = odd_memory(bytes[i]);
        memset(got, 0x5A, sizeof got);
        CHECK(qsgd_decode_sum(f->weighted, FRAMES, NULL, got, N, work, NULL) == QSGD_OK);
        CHECK(memcmp(got, want, sizeof got) == 0);
        odd_free(work);
    }
}

static float half_of(uint16_t bits) { /* of bfloat16 */
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static void other_types_are_rounded_once(const struct frames *f) {
    static float sums[N];
    static double doubles[N];
    static uint16_t halves[N];
    add_all(f, sums);
    qsgd_decode_options options;
    qsgd_decode_options_init(&options);
    options.dtype = QSGD_FLOAT64;
    qsgd_sizes sizes = sum_sizes(f, &options);
    CHECK(sizes.dtype == QSGD_FLOAT64 && sizes.dst_bytes == sizeof doubles);
    qsgd_memory work = odd_memory(sizes.workspace_bytes);
    CHECK(qsgd_decode_sum_to(f->weighted, FRAMES, &options, 3.0F, doubles, N, work, NULL) ==
          QSGD_OK);
    odd_free(work);
    options.dtype = QSGD_BFLOAT16;
    work = odd_memory(sum_sizes(f, &options).workspace_bytes);
    CHECK(qsgd_decode_sum_to(f->weighted, FRAMES, &options, 3.0F, halves, N, work, NULL) ==
          QSGD_OK);
    odd_free(work);
    for (int i = 0; i < N; i++) {
        const volatile float quotient = sums[i] / 3.0F;
        CHECK(doubles[i] == (double)quotient);
        const float left = half_of(halves[i]) - quotient;
        CHECK((left < 0 ? -left : left) <= (quotient < 0 ? -quotient : quotient) * 0x1p-8F);
    }
}

static void means_divide_once(const struct frames *f) {
    static float sums[N], means[N];
    add_all(f, sums);
    const qsgd_memory work = odd_memory(sum_sizes(f, NULL).workspace_bytes);
    CHECK(qsgd_decode_sum_to(f->weighted, FRAMES, NULL, 6.0F, means, N, work, NULL) == QSGD_OK);
    for (int i = 0; i < N; i++) {
        const volatile float quotient = sums[i] / 6.0F;
        CHECK(means[i] == quotient);
    }
    odd_free(work);
}

static void no_frames_are_zeros(void) {
    float out[4] = {1, 2, 3, 4};
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_decode_sum_sizes(NULL, 0, NULL, 4, &sizes, NULL) == QSGD_OK);
    const qsgd_memory work = odd_memory(sizes.workspace_bytes);
    CHECK(qsgd_decode_sum_to(NULL, 0, NULL, 2.0F, out, 4, work, NULL) == QSGD_OK);
    for (int i = 0; i < 4; i++) CHECK(out[i] == 0);
    odd_free(work);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void a_bad_frame_is_named_and_nothing_is_written(struct frames *f) {
    static float out[N];
    const uint64_t bytes[] = {sum_sizes(f, NULL).workspace_bytes, largest_workspace(f)};
    for (uint32_t bad = 0; bad < FRAMES; bad++) {
        uint8_t *last = f->b[bad].p + f->b[bad].n - 1;
        *last ^= 1;
        for (size_t i = 0; i < 2; i++) {
            qsgd_error error = error_new();
            const qsgd_memory work = odd_memory(bytes[i]);
            memset(out, 0x5A, sizeof out);
            CHECK(qsgd_decode_sum(f->weighted, FRAMES, NULL, out, N, work, &error) ==
                  QSGD_ERR_CHUNK_CRC);
            CHECK(error.frame == bad && error.offset != UINT64_MAX);
            for (size_t j = 0; j < sizeof out; j++) CHECK(((uint8_t *)out)[j] == 0x5A);
            odd_free(work);
        }
        *last ^= 1;
    }
}

static qsgd_status sum_to(const struct frames *f, uint32_t dtype, float divisor, uint64_t n,
                          uint64_t bytes, qsgd_error *error) {
    static double out[N];
    qsgd_decode_options options;
    qsgd_decode_options_init(&options);
    options.dtype = dtype;
    const qsgd_memory work = odd_memory(bytes);
    *error = error_new();
    const qsgd_status status =
        qsgd_decode_sum_to(f->weighted, FRAMES, &options, divisor, out, n, work, error);
    odd_free(work);
    return status;
}

static void arguments_are_named(struct frames *f) {
    qsgd_error error;
    const uint64_t enough = sum_sizes(f, NULL).workspace_bytes;
    const float nan = half_of(0x7FC0);
    CHECK(sum_to(f, QSGD_INT32, 1, N, enough, &error) == QSGD_ERR_DTYPE);
    CHECK(error_names(&error, QSGD_ERR_DTYPE, "dtype"));
    CHECK(sum_to(f, QSGD_FLOAT32, 0, N, enough, &error) == QSGD_ERR_PARAM);
    CHECK(error_names(&error, QSGD_ERR_PARAM, "divisor"));
    CHECK(sum_to(f, QSGD_FLOAT32, nan, N, enough, &error) == QSGD_ERR_PARAM);
    CHECK(sum_to(f, QSGD_FLOAT32, 1, N - 1, enough, &error) == QSGD_ERR_LENGTH);
    CHECK(error.frame == 0);
    CHECK(sum_to(f, QSGD_FLOAT32, 1, N, enough - 64, &error) == QSGD_ERR_WORKSPACE);
    CHECK(error.needed <= enough && error.frame == UINT64_MAX);
    f->weighted[2].reserved = 1;
    CHECK(sum_to(f, QSGD_FLOAT32, 1, N, enough, &error) == QSGD_ERR_PARAM);
    CHECK(error.frame == 2);
    f->weighted[2].reserved = 0;
    f->weighted[3].bytes -= 1;
    CHECK(sum_to(f, QSGD_FLOAT32, 1, N, enough, &error) == QSGD_ERR_NEED_MORE);
    CHECK(error.frame == 3);
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_decode_sum_sizes(f->weighted, FRAMES, NULL, N, &sizes, &error) ==
          QSGD_ERR_NEED_MORE);
    CHECK(error.frame == 3);
    f->weighted[3].bytes += 1;
}

int main(void) {
    fill_tensor(x, N, 7);
    no_frames_are_zeros();
    for (int alike = 0; alike < 2; alike++) {
        struct frames f = frames_new(alike != 0);
        int32_t available;
        for (uint32_t i = 0; qsgd_backends(i, &available) != NULL; i++) {
            if (!available) continue;
            CHECK(qsgd_set_backend(qsgd_backends(i, NULL), NULL) == QSGD_OK);
            sums_are_those_of_adding(&f);
            other_types_are_rounded_once(&f);
            means_divide_once(&f);
        }
        CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
        a_bad_frame_is_named_and_nothing_is_written(&f);
        arguments_are_named(&f);
        frames_free(&f);
    }
    return check_result();
}
