/* The kernels: what a backend provides. Their bodies exist once, in the headers of this folder,
 * written against the vocabulary of simd/<isa>.h; backends/<isa>.c instantiates them. All backends
 * return the same bits. Tails are part of every kernel: any n, any alignment, no over-read.
 *
 * On a device the 32 lanes of a warp run a body together, with the same arguments (body.h); callers
 * place a lanes_sync() between kernels that hand memory to each other. Exceptions:
 * - prefix_write, prefix_read and prefix_read_one are for each lane alone, with arguments of its
 *   own: a chunk has many streams of prefix codes, and within one each codeword waits for the last.
 *   tie_noise is, too; of lanes in a row it is tie_noise_vector (noise.h).
 * - No device will run rans_decode_two, which hides the latency of one chunk behind another's, as
 *   other warps do there; stream_end, as stores past the cache are a CPU's; and what rans_scalar.h
 *   has of single lanes and rows of few, which are parts of a vector there (rans_rows.h). */
#ifndef QSGD_KERNELS_H
#define QSGD_KERNELS_H

#include "kernels/types.h"

struct kernels {
    const char *name;

    /* CRC-32C without initial value and final xor (crc32c.h). */
    uint32_t (*crc32c)(uint32_t crc, const uint8_t *p, size_t n);

    /* Largest bits of |x| over n elements; with the sum of one block, n <= NORM_BLOCK. */
    uint32_t (*max_bits)(const float *x, size_t n);
    uint32_t (*sum_squares)(const float *x, size_t n, double *sum);
    uint32_t (*sum_magnitudes)(const float *x, size_t n, double *sum);
    /* Sum of x[i] h[i] by the same rule. */
    void (*sum_products)(const float *x, const float *h, size_t n, double *sum);

    /* Sums of squares, magnitudes and elements of n <= NORM_BLOCK, by the same rule. */
    void (*shape_sums)(const float *x, size_t n, double sums[3]);
    /* Pairs of the same magnitude among aligned fours; n is a multiple of 32. */
    uint64_t (*equal_pairs)(const float *x, size_t n);

    /* Adds the weight of n <= STATS_BLOCK elements of one bucket, times inv, to bins of
     * STATISTICS.md, and the sums of r and of r^2 to sums. Which copy counts an element is open;
     * none takes more than n / STATS_COPIES + 32. */
    void (*stats_count)(const float *x, size_t n, float inv, uint32_t weight,
                        uint32_t counts[STATS_COPIES][STATS_BINS], double sums[2]);

    /* R(first) .. R(first + n - 1) of a domain; first and n are multiples of NOISE_TILE. */
    void (*noise)(const struct noise_key *key, unsigned domain, uint64_t first, size_t n,
                  uint16_t *out);

    /* V(element), for ties. */
    uint32_t (*tie_noise)(const struct noise_key *key, uint64_t element);

    /* out[i] = x[i], with its sign changed where bit (offset + i) mod 16 of
     * signs[(offset + i) div 16] is set; or sums[i] += alpha * that. One more entry of signs may be
     * read. out may be x unless `stream`: then it goes past the cache, as values do. */
    void (*flip)(const uint16_t *signs, size_t offset, const float *x, size_t n, bool stream,
                 float *out);
    void (*flip_add)(const uint16_t *signs, size_t offset, const float *x, size_t n, float alpha,
                     float *sums);
    /* The Hadamard transform of factor * x, n = 2^k elements, in place. */
    void (*hadamard)(float *x, size_t n, float factor);

    /* n elements of one bucket, the first of which is `element` of the tensor, to indices k, or to
     * tokens if k is NULL (zigzag; for levels whose tokens are direct). Returns the sum of
     * q (256 - q) G / 256, q = f >> 8, if bucket->dithered (n <= 2^24), else 0. */
    uint64_t (*round_uniform)(const struct round_bucket *bucket, uint64_t element, const float *x,
                              const uint16_t *noise, size_t n, int16_t *k, uint8_t *tokens);
    /* The same for mirrored tables; the sum is not divided by 256. */
    uint64_t (*round_table)(const struct round_bucket *bucket, uint64_t element, const float *x,
                            const uint16_t *noise, size_t n, int16_t *k, uint8_t *tokens);

    /* out[i] = value, or out[i] += alpha * value. */
    void (*values)(const struct value_bucket *bucket, const int16_t *k, const uint16_t *noise,
                   size_t n, float *out);
    void (*values_add)(const struct value_bucket *bucket, const int16_t *k, const uint16_t *noise,
                       size_t n, float alpha, float *out);
    /* The same from direct tokens. */
    void (*token_values)(const struct value_bucket *bucket, const uint8_t *tokens,
                         const uint16_t *noise, size_t n, float *out);
    void (*token_values_add)(const struct value_bucket *bucket, const uint8_t *tokens,
                             const uint16_t *noise, size_t n, float alpha, float *out);

    void (*stream_end)(void);

    /* Tokens of n indices; `direct` as tokens_direct. */
    void (*tokens)(const int16_t *k, size_t n, bool direct, uint8_t *tokens);
    /* Indices of n tokens that are whole indices. */
    void (*whole_tokens)(const uint8_t *tokens, size_t n, int16_t *k);
    /* Of n indices, where |k| >= 8, the sign and the second bit below the highest change places:
     * then the token tells the sign (FORMAT.md section 7.4). Its own inverse. */
    void (*swap_signs)(int16_t *k, size_t n);
    /* Indices of n tokens, below 63, of levels whose tokens are not direct; reads their extra bits.
     * No |k| is above what is returned. What a token 63 becomes, and reads, is open. */
    uint32_t (*extra_read)(struct extra_stream *stream, const uint8_t *tokens, size_t n,
                           int16_t *k);
    /* Extra bits of n tokens. */
    uint64_t (*extra_count)(const uint8_t *tokens, size_t n);
    /* Writes the extra bits of n indices, whose tokens are given, from p on and pads them. Returns
     * the byte after them, or NULL if they pass `end`. Bytes up to `end` may be overwritten. */
    uint8_t *(*extra_write)(const int16_t *k, const uint8_t *tokens, size_t n, uint8_t *p,
                            uint8_t *end);
    /* Turns n indices, or direct tokens, by their noise (FORMAT.md section 8.2), and back. */
    void (*turn)(const uint16_t *noise, size_t n, int16_t *k);
    void (*turn_tokens)(const uint16_t *noise, size_t n, uint8_t *tokens);
    /* Halves of n elements by their noise: RANS_HALF where bits 14 and 15 of R differ, else 0. */
    void (*halves)(const uint16_t *noise, size_t n, uint8_t *halves);
    /* Tokens of half 1 as they are, of half 0 with RANS_MARK: then histograms leave them out. */
    void (*mark)(const uint16_t *noise, const uint8_t *tokens, size_t n, uint8_t *marked);
    /* Marked tokens of elements of one class to symbols, in place. */
    void (*symbols)(bool split, size_t n, uint8_t *marked);
    /* counts[t]: how many of n tokens (below 64, or marked) are t. */
    void (*histogram)(const uint8_t *tokens, size_t n, uint32_t counts[64]);

    /* Ranks of n indices to (n * width + 7) / 8 bytes, the last one padded; and back. unpack
     * ignores the padding and returns the largest rank; what a rank that names no level becomes is
     * open. */
    void (*pack)(const struct rank_map *map, const int16_t *k, size_t n, uint8_t *dst);
    uint32_t (*unpack)(const struct rank_map *map, const uint8_t *p, size_t n, int16_t *k);

    /* Tokens of the upper halves of n elements, and the bits that they do not tell; and back, where
     * symbols of escapes are 0. */
    void (*lossless_split)(const struct lossless_split *split, const uint16_t *halves, size_t n,
                           uint8_t *tokens, int16_t *fields);
    void (*lossless_merge)(const struct lossless_split *split, const uint8_t *tokens,
                           const int16_t *fields, size_t n, uint16_t *halves);
    /* Upper and lower halves of n words, and back. */
    void (*halves_of_words)(const uint32_t *words, size_t n, uint16_t *upper, uint16_t *lower);
    void (*words_of_halves)(const uint16_t *upper, const uint16_t *lower, size_t n,
                            uint32_t *words);

    /* Largest zigzag(k) of n indices. */
    uint32_t (*largest_zigzag)(const int16_t *k, size_t n);

    /* Positions of the indices that are not 0, ascending; returns how many. Sixteen entries behind
     * the last may be overwritten. */
    size_t (*nonzeros)(const int16_t *k, size_t n, uint32_t *at);

    /* How many of n indices, or of direct tokens if k is NULL, are not 0. */
    size_t (*count_nonzeros)(const int16_t *k, const uint8_t *tokens, size_t n);
    /* Of groups of 32 of the same, a bit each, the first one lowest: 1 where all are 0. True if any
     * is. */
    bool (*zero_groups)(const int16_t *k, const uint8_t *tokens, size_t n, uint32_t *words);

    /* False if adding a zero of some sign changes bits of one of n sums (or might). */
    bool (*keeps_with_zero)(const float *sums, size_t n);

    /* Of each group of 128 elements (the last may be shorter), a bin below GROUP_BINS by its sum of
     * |k|: from the indices, or from direct tokens if k is NULL. */
    void (*group_bins)(const int16_t *k, const uint8_t *tokens, size_t n, uint8_t *bins);
    /* Histograms of the groups' tokens, added up by bin. Bins are below count <= GROUP_BINS. */
    void (*group_histograms)(const uint8_t *tokens, size_t n, const uint8_t *bins, unsigned count,
                             uint32_t (*counts)[64]);

    /* The encoding table of a class from its frequencies, which sum to 2^prob_bits, or do so twice
     * if it is split. */
    void (*rans_symbols)(const uint16_t *freq, unsigned prob_bits, struct rans_symbol_table *table);
    /* Codes symbols (tokens, or, of split classes, tokens and halves) from the last to the first.
     * words[g]: end of group g's words, which grow down from it; their first word afterwards.
     * states[1 << lanes_log2]: first states in, final ones out. Up to 16 entries before each first
     * word may be overwritten. */
    void (*rans_encode)(const struct rans_job *job, const struct rans_symbol_table *tables,
                        const uint8_t *symbols, uint16_t *words[RANS_GROUPS], uint32_t *states);
    /* Builds the decoding tables in 64-byte aligned memory: for each of job->tables 4 bytes a slot,
     * or twice that if some class is split; RANS_TABLE_LEAST, if that is more. */
    void (*rans_decode_tables)(const struct rans_job *job, void *tables);
    /* Decodes elements [stream->at, to): to is a multiple of 128, or job->len. */
    void (*rans_decode)(const struct rans_job *job, const void *tables, struct rans_stream *stream,
                        size_t to, uint8_t *tokens);
    /* The same for two chunks at once, which hides the latency of one behind the other. */
    void (*rans_decode_two)(const struct rans_job job[2], const void *const tables[2],
                            struct rans_stream *const stream[2], size_t to,
                            uint8_t *const tokens[2]);
    /* Bits of the codewords of n symbols. */
    uint64_t (*prefix_bits)(const struct prefix_code *code, const uint8_t *symbols, size_t n);
    /* Writes the codewords of n symbols, most significant bit first, from p on, and pads them to a
     * byte. Returns the byte after them, or NULL if they pass `end`. Bytes up to `end` may be
     * overwritten. */
    uint8_t *(*prefix_write)(const struct prefix_code *code, const uint8_t *symbols, size_t n,
                             uint8_t *p, uint8_t *end);
    /* Reads PREFIX_STREAMS streams, or the first alone, by runs[1 << window], window <= 12, until
     * one of them has come to its `stop` or past `limit`, or to a run of none. All must be
     * before both at first. PREFIX_GROUP bytes are written from before `stop` on. */
    void (*prefix_read)(const uint64_t *runs, unsigned window, struct prefix_streams *streams);
    void (*prefix_read_one)(const uint64_t *runs, unsigned window, struct prefix_streams *streams);
};

/* R(from) .. R(to - 1), and to the end of the last tile; from is a multiple of NOISE_TILE. */
static inline void kernels_noise(const struct kernels *kernels, const struct noise_key *key,
                                 uint64_t from, uint64_t to, uint16_t *noise) {
    const uint64_t tiles = (to - from + NOISE_TILE - 1) / NOISE_TILE;
    if (!key->even) {
        kernels->noise(key, NOISE_ROUNDING, from, (size_t)tiles * NOISE_TILE, noise);
        return;
    }
    for (uint32_t i = 0; i < NOISE_TILE; i++) {
        noise[i] = (uint16_t)(((uint32_t)from + i) * NOISE_STRIDE);
    }
    for (uint64_t i = NOISE_TILE; i < tiles * NOISE_TILE; i++) { /* sums, which go in vectors */
        noise[i] = (uint16_t)(noise[i - NOISE_TILE] + (uint16_t)(NOISE_TILE * NOISE_STRIDE));
    }
}

extern const struct kernels kernels_scalar;
#if defined(QSGD_HAVE_AVX2)
extern const struct kernels kernels_avx2;
#endif
#if defined(QSGD_HAVE_AVX512)
extern const struct kernels kernels_avx512;
#endif
#if defined(QSGD_HAVE_NEON)
extern const struct kernels kernels_neon;
#endif
#if defined(QSGD_HAVE_WARP)
extern const struct kernels kernels_warp;
#endif
#if defined(QSGD_HAVE_WARP_DEVICE)
extern const struct kernels kernels_warp_device;
#endif

#endif
