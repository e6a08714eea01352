/* Compiles the kernel bodies of norm, noise, rotation, rounding and values as CUDA, one lane per
 * thread: proof that they will carry to GPUs. Nothing runs on a GPU yet, and nothing is measured.
 *
 * nvcc generates code for the device from the __global__ functions; the test cuda_fma reads it. The
 * program compares the same bodies, compiled for the host, with the scalar backend: that shows that
 * vocabulary and bodies fit together, and says nothing of a device's arithmetic. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {
#include "kernels/kernels.h"
}
#include "simd/cuda.h"

#include "kernels/body.h"
#include "kernels/noise.h"
#include "kernels/norm.h"
#include "kernels/rotation.h"
#include "kernels/round.h"
#include "kernels/values.h"

/* ---- on the device: each thread takes one bucket, or one tile of noise ----------------------- */

/* Buckets of `size` elements; the last one may be shorter. */
struct buckets {
    size_t n, size;
};

/* Where this thread's bucket starts, and its length: 0 past the end. */
__device__ static size_t bucket_start(const buckets all, size_t *length) {
    const size_t start = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * all.size;
    const size_t rest = start < all.n ? all.n - start : 0;
    *length = rest < all.size ? rest : all.size;
    return start;
}

__global__ void norms_dev(const buckets all, const float *x, const int16_t *k, uint32_t *max,
                          double *squares, double *magnitudes, double *products) {
    size_t n;
    const size_t start = bucket_start(all, &n), bucket = start / all.size;
    if (n == 0) return;
    max[bucket] = kernel_max_bits(x + start, n);
    kernel_sum_squares(x + start, n, squares + bucket);
    kernel_sum_magnitudes(x + start, n, magnitudes + bucket);
    kernel_sum_products(x + start, k + start, n, 0.5F, products + bucket);
}

__global__ void noise_dev(const buckets tiles, const noise_key key, uint16_t *out) {
    size_t n;
    const size_t start = bucket_start(tiles, &n);
    if (n != 0) kernel_noise(&key, NOISE_ROUNDING, start, NOISE_TILE, out + start);
}

/* Buckets whose sizes are powers of two. */
__global__ void rotate_dev(const buckets all, const uint16_t *signs, float factor, const float *x,
                           float *out) {
    size_t n;
    const size_t start = bucket_start(all, &n);
    if (n == 0) return;
    kernel_flip(signs, start, x + start, n, false, out + start);
    kernel_hadamard(out + start, n, factor);
    kernel_flip_add(signs, start, x + start, n, factor, out + start);
}

__global__ void round_dev(const buckets all, const round_bucket *how, const float *x,
                          const uint16_t *noise, int16_t *k, uint8_t *tokens, uint64_t *sums) {
    size_t n;
    const size_t start = bucket_start(all, &n), bucket = start / all.size;
    if (n == 0) return;
    const round_bucket one = how[bucket];
    k = k == NULL ? NULL : k + start;
    tokens = tokens == NULL ? NULL : tokens + start;
    sums[bucket] = one.table == NULL
                       ? kernel_round_uniform(&one, start, x + start, noise + start, n, k, tokens)
                       : kernel_round_table(&one, start, x + start, noise + start, n, k, tokens);
}

__global__ void values_dev(const buckets all, const value_bucket *how, const int16_t *k,
                           const uint16_t *noise, float alpha, float *out, float *sum) {
    size_t n;
    const size_t start = bucket_start(all, &n);
    if (n == 0) return;
    const value_bucket one = how[start / all.size];
    kernel_values(&one, k + start, noise + start, n, out + start);
    kernel_values_add(&one, k + start, noise + start, n, alpha, sum + start);
}

__global__ void token_values_dev(const buckets all, const value_bucket *how, const uint8_t *tokens,
                                 const uint16_t *noise, float alpha, float *out, float *sum) {
    size_t n;
    const size_t start = bucket_start(all, &n);
    if (n == 0) return;
    const value_bucket one = how[start / all.size];
    kernel_token_values(&one, tokens + start, noise + start, n, out + start);
    kernel_token_values_add(&one, tokens + start, noise + start, n, alpha, sum + start);
}

/* ---- on the host: the same bodies against the scalar backend --------------------------------- */

static uint64_t state = 20250713;

static uint32_t random_u32() { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545F4914F6CDD1DU >> 32);
}

template <typename T>
static void same(const char *what, size_t n, const std::vector<T> &ours,
                 const std::vector<T> &scalar) {
    if (memcmp(ours.data(), scalar.data(), ours.size() * sizeof(T)) == 0) return;
    fprintf(stderr, "%s of %zu elements differs from the scalar backend\n", what, n);
    exit(1);
}

static void check_norms(const std::vector<float> &x) {
    const size_t n = x.size();
    std::vector<double> ours(6), scalar(6);
    std::vector<int16_t> k(n);
    for (size_t i = 0; i < n; i++)
        k[i] = (int16_t)(x[i] < 0 ? -1 - (int)(i % 5) : 1 + (int)(i % 7));
    ours[0] = kernel_max_bits(x.data(), n);
    ours[1] = kernel_sum_squares(x.data(), n, &ours[2]);
    ours[3] = kernel_sum_magnitudes(x.data(), n, &ours[4]);
    kernel_sum_products(x.data(), k.data(), n, 0.5F, &ours[5]);
    scalar[0] = kernels_scalar.max_bits(x.data(), n);
    scalar[1] = kernels_scalar.sum_squares(x.data(), n, &scalar[2]);
    scalar[3] = kernels_scalar.sum_magnitudes(x.data(), n, &scalar[4]);
    kernels_scalar.sum_products(x.data(), k.data(), n, 0.5F, &scalar[5]);
    same("norm", n, ours, scalar);
}

static void check_rotation(const std::vector<float> &x, const std::vector<uint16_t> &signs) {
    size_t n = 1;
    while (2 * n <= x.size()) n *= 2;
    if (n > x.size() || n / 16 + 2 > signs.size()) return;
    std::vector<float> ours(n), scalar(n);
    kernel_flip(signs.data(), 3, x.data(), n, false, ours.data());
    kernels_scalar.flip(signs.data(), 3, x.data(), n, false, scalar.data());
    kernel_hadamard(ours.data(), n, 0.3F);
    kernels_scalar.hadamard(scalar.data(), n, 0.3F);
    kernel_flip_add(signs.data(), 0, x.data(), n, 0.7F, ours.data());
    kernels_scalar.flip_add(signs.data(), 0, x.data(), n, 0.7F, scalar.data());
    same("rotation", n, ours, scalar);
}

/* Levels 1/count, 2/count ... 1, with weights that differ. */
static round_table make_table(uint32_t count, bool zero) {
    round_table t = {};
    t.count = count;
    t.zero = zero;
    for (uint32_t i = 0; i <= count; i++) {
        t.level[i] = (float)i / (float)count;
        t.rcp[i] = i < count ? (float)count : 0;
        t.weight[i] = 1000 * i;
    }
    if (!zero) t.rcp[0] = (float)count / 2;
    return t;
}

static void check_rounding(const round_bucket &how, const std::vector<float> &x,
                           const std::vector<uint16_t> &noise) {
    const size_t n = x.size();
    const uint64_t element = 4096;
    for (int direct = 0; direct < 2; direct++) {
        std::vector<int16_t> k(n), k_scalar(n);
        std::vector<uint8_t> tokens(n), tokens_scalar(n);
        std::vector<uint64_t> sum(1), sum_scalar(1);
        sum[0] = (how.table == NULL ? kernel_round_uniform : kernel_round_table)(
            &how, element, x.data(), noise.data(), n, direct ? NULL : k.data(),
            direct ? tokens.data() : NULL);
        sum_scalar[0] =
            (how.table == NULL ? kernels_scalar.round_uniform : kernels_scalar.round_table)(
                &how, element, x.data(), noise.data(), n, direct ? NULL : k_scalar.data(),
                direct ? tokens_scalar.data() : NULL);
        same("rounding to indices", n, k, k_scalar);
        same("rounding to tokens", n, tokens, tokens_scalar);
        same("the damping's sum", n, sum, sum_scalar);
    }
}

static void check_values(const value_bucket &how, size_t n, const std::vector<uint16_t> &noise) {
    std::vector<int16_t> k(n);
    std::vector<uint8_t> tokens(n);
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (uint8_t)(random_u32() % how.tokens);
        k[i] = (int16_t)(how.table == NULL ? (int)tokens[i] - 7 : tokens[i]);
    }
    std::vector<float> out(n, 0.75F), scalar(n, 0.75F);
    kernel_values_add(&how, k.data(), noise.data(), n, 0.3F, out.data());
    kernels_scalar.values_add(&how, k.data(), noise.data(), n, 0.3F, scalar.data());
    same("sums of values", n, out, scalar);
    kernel_token_values_add(&how, tokens.data(), noise.data(), n, 0.3F, out.data());
    kernels_scalar.token_values_add(&how, tokens.data(), noise.data(), n, 0.3F, scalar.data());
    same("sums of tokens' values", n, out, scalar);
    kernel_values(&how, k.data(), noise.data(), n, out.data());
    kernels_scalar.values(&how, k.data(), noise.data(), n, scalar.data());
    same("values", n, out, scalar);
    kernel_token_values(&how, tokens.data(), noise.data(), n, out.data());
    kernels_scalar.token_values(&how, tokens.data(), noise.data(), n, scalar.data());
    same("tokens' values", n, out, scalar);
}

static void check_length(size_t n) {
    const noise_key key = {{1234567, 89}, {(uint32_t)n, 7}};
    const size_t tiles = (n + NOISE_TILE - 1) / NOISE_TILE * NOISE_TILE;
    std::vector<uint16_t> noise(tiles), noise_scalar(tiles);
    kernel_noise(&key, NOISE_ROUNDING, 4096, tiles, noise.data());
    kernels_scalar.noise(&key, NOISE_ROUNDING, 4096, tiles, noise_scalar.data());
    same("noise", n, noise, noise_scalar);

    std::vector<float> x(n);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(int32_t)random_u32() * 0x1p-31F;
        /* ties, so that V is asked too */
        if (i % 16 == 0) x[i] = ((float)noise[i] + 0.5F) / (7 * 65536.0F);
    }
    check_norms(x);
    check_rotation(x, noise);
    for (int kind = 0; kind < 16; kind++) {
        const bool dithered = kind & 1, crossed = kind & 2, nearest = kind & 4;
        const round_table table = make_table(7, !crossed);
        round_bucket how = {7 * 65536.0F, 7 * 65536.0F, crossed, nearest,
                            dithered,     &key,         NULL,    dithered && n % 2 != 0};
        if (kind & 8) {
            how.inv16 = 1;
            how.table = &table;
        }
        check_rounding(how, x, noise);
    }
    float h[32];
    for (int i = 0; i < 32; i++) h[i] = (float)(i - 7) / 7;
    for (int kind = 0; kind < 8; kind++) {
        value_bucket how = {
            0.123F, kind & 1 ? 0.5F : 0, 0.017F, kind & 2 ? 97 : 0, n % 2 != 0, NULL, h, 32};
        if (kind & 4) how.table = h;
        check_values(how, n, noise);
    }
}

int main() {
    for (size_t n = 0; n <= 300; n++) check_length(n);
    check_length(NORM_BLOCK);
    puts("the bodies as CUDA, on the host: as the scalar backend");
    return 0;
}
