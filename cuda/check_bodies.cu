/* Compiles every kernel body as CUDA against the vocabulary of a warp (simd/warp.cuh), an entry
 * each: nvcc makes code for a device of what a __global__ function reaches. That the same text does
 * what the other backends do is tested on a host, whose lanes take turns
 * (backends/warp_device.cpp); the test cuda_fma reads the PTX. Nothing here runs on a GPU, and
 * nothing is measured.
 *
 * Arguments come as one struct of pointers to memory that all lanes share, as a device's callers
 * would have it: one warp, or, of `alone`, one thread. */
#include "simd/warp.cuh"

#include "kernels/crc32c.h"
#include "kernels/extra_bits.h"
#include "kernels/fixed.h"
#include "kernels/histogram.h"
#include "kernels/lossless.h"
#include "kernels/noise.h"
#include "kernels/nonzeros.h"
#include "kernels/norm.h"
#include "kernels/prefix_read.h"
#include "kernels/prefix_write.h"
#include "kernels/rans.h"
#include "kernels/rotation.h"
#include "kernels/round.h"
#include "kernels/shape.h"
#include "kernels/stats_count.h"
#include "kernels/tokens.h"
#include "kernels/values.h"

/* n elements, and whatever else a kernel takes or gives. */
struct memory {
    size_t n;
    float factor;
    bool flag;
    unsigned number;
    uint64_t element;
    float *x, *sums;
    int16_t *k;
    uint16_t *noise;
    uint8_t *tokens, *bytes, *end;
    uint32_t *words;
    double *totals;
    uint64_t *results;
    const noise_key *key;
    const round_bucket *round;
    const value_bucket *value;
    const rank_map *map;
};

__global__ void norms(const memory m) {
    m.results[0] = kernel_max_bits(m.x, m.n);
    m.results[1] = kernel_sum_squares(m.x, m.n, m.totals);
    m.results[2] = kernel_sum_magnitudes(m.x, m.n, m.totals + 1);
    kernel_sum_products(m.x, m.x, m.n, m.totals + 2);
    kernel_shape_sums(m.x, m.n, m.totals + 3);
    m.results[3] = kernel_equal_pairs(m.x, m.n);
}

__global__ void stats(const memory m, uint32_t counts[STATS_COPIES][STATS_BINS]) {
    kernel_stats_count(m.x, m.n, m.factor, m.number, counts, m.totals);
}

__global__ void noise(const memory m) {
    kernel_noise(m.key, m.number, m.element, m.n, m.noise);
    m.results[0] = kernel_tie_noise(m.key, m.element);
}

__global__ void rotation(const memory m) {
    kernel_flip(m.noise, m.element, m.x, m.n, m.flag, m.x);
    lanes_sync();
    kernel_hadamard(m.x, m.n, m.factor);
    lanes_sync();
    kernel_flip_add(m.noise, m.element, m.x, m.n, m.factor, m.sums);
}

__global__ void rounding(const memory m) {
    m.results[0] = m.round->table == NULL
                       ? kernel_round_uniform(m.round, m.element, m.x, m.noise, m.n, m.k, m.tokens)
                       : kernel_round_table(m.round, m.element, m.x, m.noise, m.n, m.k, m.tokens);
}

__global__ void values(const memory m) {
    kernel_values(m.value, m.k, m.noise, m.n, m.x);
    kernel_values_add(m.value, m.k, m.noise, m.n, m.factor, m.sums);
    kernel_token_values(m.value, m.tokens, m.noise, m.n, m.x);
    kernel_token_values_add(m.value, m.tokens, m.noise, m.n, m.factor, m.sums);
    m.results[0] = kernel_keeps_with_zero(m.sums, m.n);
}

__global__ void tokens(const memory m, extra_stream *stream) {
    kernel_tokens(m.k, m.n, m.flag, m.tokens);
    kernel_whole_tokens(m.tokens, m.n, m.k);
    kernel_swap_signs(m.k, m.n);
    m.results[0] = kernel_extra_read(stream, m.tokens, m.n, m.k);
    m.results[2] = kernel_extra_count(m.tokens, m.n);
    m.results[1] = (uint64_t)(kernel_extra_write(m.k, m.tokens, m.n, m.bytes, m.end) - m.bytes);
    kernel_turn(m.noise, m.n, m.k);
    kernel_turn_tokens(m.noise, m.n, m.tokens);
    lanes_sync();
    kernel_halves(m.noise, m.n, m.bytes);
    kernel_mark(m.noise, m.tokens, m.n, m.bytes);
    lanes_sync();
    kernel_symbols(m.flag, m.n, m.bytes);
}

__global__ void histograms(const memory m, uint32_t counts[64], uint32_t (*groups)[64]) {
    kernel_histogram(m.tokens, m.n, counts);
    kernel_group_bins(m.k, m.tokens, m.n, m.bytes);
    lanes_sync();
    kernel_group_histograms(m.tokens, m.n, m.bytes, GROUP_BINS, groups);
}

__global__ void ranks(const memory m) {
    kernel_pack(m.map, m.k, m.n, m.bytes);
    lanes_sync();
    m.results[0] = kernel_unpack(m.map, m.bytes, m.n, m.k);
    m.results[1] = kernel_largest_zigzag(m.k, m.n);
    m.results[2] = kernel_nonzeros(m.k, m.n, m.words);
    m.results[3] = kernel_zero_groups(m.k, m.tokens, m.n, m.words);
    m.results[4] = kernel_count_nonzeros(m.k, m.tokens, m.n);
}

__global__ void halves(const memory m, const lossless_split *split, uint16_t *lower) {
    kernel_halves_of_words(m.words, m.n, m.noise, lower);
    lanes_sync();
    kernel_lossless_split(split, m.noise, m.n, m.tokens, m.k);
    lanes_sync();
    kernel_lossless_merge(split, m.tokens, m.k, m.n, m.noise);
    lanes_sync();
    kernel_words_of_halves(m.noise, lower, m.n, m.words);
}

__global__ void checksums(const memory m) { m.results[0] = kernel_crc32c(m.number, m.bytes, m.n); }

__global__ void rans_write(const memory m, const rans_job *job, const uint16_t *freq,
                           rans_symbol_table *table, uint16_t **ends) {
    kernel_rans_symbols(freq, m.number, table);
    kernel_rans_encode(job, table, m.tokens, ends, m.words);
}

__global__ void rans_read(const memory m, const rans_job *job, uint32_t *table,
                          rans_stream *const stream[2]) {
    const rans_job jobs[2] = {job[0], job[1]};
    const void *const tables[2] = {table, table};
    uint8_t *const tokens[2] = {m.tokens, m.bytes};
    kernel_rans_decode_tables(job, table);
    kernel_rans_decode(job, table, stream[0], m.n, m.tokens);
    kernel_rans_decode_two(jobs, tables, stream, m.n, tokens);
}

__global__ void prefix_bits(const memory m, const prefix_code *code) {
    m.results[0] = kernel_prefix_bits(code, m.tokens, m.n);
}

/* A stream a thread. */
__global__ void prefix_alone(const memory m, const prefix_code *code, const uint64_t *runs,
                             prefix_streams *streams) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    uint8_t *const p = m.bytes + i * m.n;
    m.results[i] = (uint64_t)(kernel_prefix_write(code, m.tokens + i * m.n, m.n, p, p + m.n) - p);
    kernel_prefix_read(runs, m.number, streams + i);
    kernel_prefix_read_one(runs, m.number, streams + i);
}
