/* What kernels and their callers share: sizes, and the structs that pass between them. C11 and
 * C++20 at once, as the bodies are: cuda/ compiles both. */
#ifndef QSGD_KERNELS_TYPES_H
#define QSGD_KERNELS_TYPES_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NORM_BLOCK 16384 /* elements of a partial sum (ENCODER.md section 5.1) */
#define SHAPE_BLOCK 128  /* elements of which shapes are measured (ENCODER.md section 4.1) */
#define ZERO_GROUP 32    /* elements of the smallest group of zeros (FORMAT.md section 7) */
#define NOISE_TILE 256   /* numbers per 32 Philox blocks (FORMAT.md section 8.1) */

/* Domains of the noise. */
enum {
    NOISE_ROUNDING = 0,
    NOISE_TIES = 1,
    NOISE_SIGNS = 2,
    NOISE_SIGNS_LAST = 3,
    NOISE_TRIAL = 4,
    NOISE_SLOT = 5
};

/* Philox key and nonce of one tensor. */
struct noise_key {
    uint32_t key[2];
    uint32_t nonce[2];
    bool even; /* trials: R(i) = NOISE_STRIDE i mod 2^16, which has no gaps and no heaps */
};

#define NOISE_STRIDE 40503 /* 2^16 by the golden ratio */

/* One bucket's rounding (ENCODER.md section 6.2), after range reduction. */
struct round_bucket {
    float inv16;  /* uniform: 2^16 / unit'; tables: 1 / scale' */
    float cap16;  /* uniform: cap * 2^16 */
    bool crossed; /* 0 is not a level: the innermost cell lies about it */
    bool nearest;
    uint16_t edge;                   /* nearest: T rounds up where its fraction is above this */
    bool dithered;                   /* the sum for the damping is wanted; else it is 0 */
    const struct noise_key *key;     /* settles ties */
    const struct round_table *table; /* NULL for uniform and open levels */
    bool turned; /* indices are turned where R >= 2^15 (FORMAT.md section 8.2) */
};

/* A mirrored table, padded with +Inf to a whole vector's worth of comparisons. */
struct round_table {
    uint32_t count; /* K */
    bool zero;
    float level[129]; /* level[0] = 0, level[1 .. K] */
    float rcp[129];   /* 1 / (level[j + 1] - level[j]); rcp[K] = 0; rcp[0] = 1 / (2 l_1) if !zero */
    uint32_t weight[129]; /* G of ENCODER.md section 6.3, by cell */
};

/* One bucket's reconstruction (FORMAT.md section 8.4). */
struct value_bucket {
    float unit;            /* uniform: unit'. tables: scale' */
    float half;            /* 0.5 where uniform levels have no zero, else 0 */
    float dither_unit;     /* tables: gap * scale'; not used by uniform levels */
    int32_t damping;       /* a; 0: no dither */
    bool turned;           /* indices are turned; noise may be NULL if they are not and a = 0 */
    const float *table;    /* level of index k at table[k]; NULL for uniform and open levels */
    const float *of_token; /* of direct tokens, at least 32: k, or sign(k) (|k| - 1/2), or level */
    unsigned tokens;       /* tokens are below this */
    bool stream;           /* values may go past the cache; stream_end before others read them */
};

/* Lossless frames: which tokens and fields halves have (FORMAT.md section 7.9). */
#define LOSSLESS_ESCAPE 1  /* the token of symbols that are listed */
#define LOSSLESS_FIRST 2   /* that of the top symbol */
#define LOSSLESS_WINDOW 61 /* symbols with a token of their own */

struct lossless_split {
    int shift;    /* bits of a half below its symbol, 4..10 */
    unsigned top; /* the first symbol of the window, below 2^(15 - shift) */
};

/* Ranks of indices (FORMAT.md section 7.1), of 1 to 16 bits. */
struct rank_map {
    unsigned width;
    bool from_lowest; /* k - lowest; else mirrored, with or without a zero level */
    bool zero;
    int32_t lowest;
};

/* Encoding: what rans.h needs of each token of a class: for one lane, unpacked. */
struct rans_lane_symbol {
    uint32_t rcp, plus;                /* plus: rcp if x + 1 is divided, else 0 */
    uint16_t most, start, rest, shift; /* f - 1, start, 2^P - f, 32 + shift */
};

struct rans_symbol_table {
    uint32_t entry[64], rcp[64]; /* the same for vectors */
    bool plus;                   /* some token has a plus */
    struct rans_lane_symbol lane[64];
};

/* A split class has two tables of 32 tokens, one per half of its elements (FORMAT.md section 7.6):
 * the encoder sees a token and RANS_HALF together as a symbol below 64. */
#define RANS_HALF 32
#define RANS_MARK 128 /* of tokens that are not to be counted */

struct rans_job {
    const uint8_t *classes; /* table of each group of 128 elements; NULL: table 0 for all */
    size_t len;
    unsigned lanes_log2, prob_bits;
    unsigned tokens;            /* every token is below this */
    unsigned tables;            /* decode: number of classes */
    unsigned split;             /* decode: bit c is set if class c is split */
    const uint16_t (*freq)[64]; /* decode: their frequencies; if split, of symbols */
    bool plus;                  /* encode: of any table */
};

#define RANS_LANES_LOG2 8
#define RANS_LANES (1 << RANS_LANES_LOG2) /* at most */
#define RANS_GROUP_LANES 16               /* lanes that share a stream of words */
#define RANS_GROUPS (RANS_LANES / RANS_GROUP_LANES)
/* Rows of vectors hold so many lanes at most, as encoders choose; more are for decoders to come. */
#define RANS_ROW_LOG2 6
#define RANS_ROW_LANES (1 << RANS_ROW_LOG2)
#define RANS_ROW_GROUPS (RANS_ROW_LANES / RANS_GROUP_LANES)
#define RANS_PAD 256 /* bytes */

/* Where a decoder stands in its chunk. */
struct rans_stream {
    uint32_t states[RANS_LANES];
    const uint8_t *words[RANS_GROUPS],
        *end[RANS_GROUPS]; /* each group's next word, and their end */
    size_t at;             /* elements decoded */
    const uint8_t *halves; /* if some class is split: 0 or RANS_HALF, of elements from `at` on */
    /* Words ran out (then words may lie past end, too): what was decoded since means nothing. */
    bool bad;
    /* The last words of a group move here, so that vectors may read beyond them. */
    bool padded[RANS_ROW_GROUPS];
    uint8_t pad[RANS_ROW_GROUPS][RANS_PAD];
};

/* Where a reader of extra bits stands: at `bit` of base[0 .. bytes - 1]. Bits past those are 0. */
struct extra_stream {
    const uint8_t *base;
    size_t bytes;
    uint64_t bit;
};

#define RANS_LOW 65536U                    /* the least state */
#define RANS_TABLE_BYTES ((size_t)4 << 13) /* memory of a class's table for decoding, at most */
#define RANS_TABLE_LEAST ((size_t)2 << 10) /* what suffices where 4 bytes a slot are less */

#define TOKENS_WHOLE 15 /* not direct: tokens below it are whole indices, |k| < 8 */

#define GROUP_BINS 48 /* half octaves of sums below 2^23, and one for 0 */

/* Codewords of symbols that are bytes, at most 16 bits each (dense Elias, huffman). */
struct prefix_code {
    uint8_t part[3][256]; /* low byte of the codeword, high byte, length */
    uint32_t word[256];   /* the same: codeword << 8 | length */
    unsigned rows;        /* all symbols that occur are below 16 * rows */
};

/* What the next bits of a stream say: the codewords that lie within them, at most six. Byte 0: how
 * many bits those take; byte 1: how many they are; bytes 2 to 7: their symbols, in order. 0: none,
 * as the first codeword is longer or malformed. */
#define RUN_BITS(run) ((run) & 0xFF)
#define RUN_COUNT(run) ((run) >> 8 & 0xFF)
#define RUN_FIRST(run) ((run) >> 16 & 0xFF)
#define RUN_MOST 6

#define PREFIX_STREAMS 4
#define PREFIX_GROUP 26 /* bytes at `out` that one step may write */

/* Streams that are read side by side. */
struct prefix_streams {
    const uint8_t *base;
    uint64_t limit;               /* eight bytes from this bit on may be read, and before it */
    uint64_t bit[PREFIX_STREAMS]; /* position from `base` */
    uint8_t *out[PREFIX_STREAMS], *stop[PREFIX_STREAMS];
};

/* Bins of r: about |r| < 2^-24; 384 sixteenths of octaves; |r| >= 1 - 2^-7. Then those of negative
 * r. */
#define STATS_MAGNITUDES 386
#define STATS_BINS (2 * STATS_MAGNITUDES)
#define STATS_COPIES 4 /* of the counters, so that neighbours in one bin need not wait */
#define STATS_BLOCK 4096

#endif
