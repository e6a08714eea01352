/* The integer codes: indices of one chunk to bytes and back (FORMAT.md section 7).
 *
 * Every code is a row of one table. Encoding is `plan` (choose tables and parameters from the
 * indices) then `write`; decoding is `parse` (read and check tables and lengths, touch no index)
 * then `read`. A plan that `parse` filled may also be given to `write`: that is how a frame's own
 * tables are used again (qsgd_encode_indices with `like`). Adding a code: one file, one row in
 * codes/codes.c, FORMAT.md, reference_codes.py. */
#ifndef QSGD_CODES_CODES_H
#define QSGD_CODES_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grid/levels.h"
#include "qsgd.h"

struct kernels;
struct live;
struct noise_key;
struct prefix_memory;
struct shared_tables;

#define CODE_TOKENS 64       /* tokens are below 63 */
#define CODE_CLASSES 8       /* rans: at most so many, of one or two tables */
#define CODE_GROUP 128       /* rans: elements that share a class */
#define CODE_HUFFMAN_BITS 12 /* huffman: longest codeword */

/* What a code knows of its chunk. */
struct code_chunk {
    const struct levels *levels;
    const struct kernels *kernels;
    int32_t code;
    size_t len;              /* elements, >= 1 */
    size_t segment;          /* elements of a segment; the last may be shorter */
    bool classes;            /* rans: several classes are allowed */
    const struct live *live; /* if some buckets are rotated: which elements these are; else NULL */
    bool signed_tokens; /* signs of large indices are in their tokens (FORMAT.md section 7.4) */
    /* Where indices are turned (FORMAT.md section 8.2), the noise that turned them, of which
     * R(first) is that of the chunk's first element; else NULL. */
    const struct noise_key *turned;
    uint64_t first;
    /* Encoding: tables that may be used; parsing: those of mode 3. NULL: none. */
    const struct shared_tables *shared;
    struct code_scratch *scratch;
    /* Not 0: nothing is written, but it is told how many bytes so many times as many elements of
     * the kind would take (pipeline/trial.h). */
    uint32_t weight;
    /* With a weight: receives how far bytes spread with the noise, at most (codes/rans/price.h);
     * may be NULL. */
    uint64_t *spread;
};

/* What each element counts for. */
static inline uint32_t code_weight(const struct code_chunk *chunk) {
    return chunk->weight == 0 ? 1 : chunk->weight;
}

static inline size_t code_segments(const struct code_chunk *chunk) {
    return (chunk->len + chunk->segment - 1) / chunk->segment;
}

/* Per-worker scratch, carved from the caller's workspace (codes/scratch.h). */
struct code_scratch {
    uint8_t *tokens;              /* len bytes: a token per element */
    struct prefix_memory *prefix; /* dense elias and huffman: tables */
    uint8_t *classes;             /* rans: len / 128 + 1 bytes: class of each group */
    uint8_t *more_classes;        /* as many, for a second chunk */
    uint8_t *symbols;             /* rans, turned indices: len bytes, symbols of struct rans_job */
    /* Room for len + 512 rans words, len + 128 positions (codes/nonzeros.h), or what segments need
     * (codes/segments.h). */
    uint16_t *words;
    void *classify; /* rans: histograms of bins while classes are chosen; words come later */
    void *decode;   /* 64-byte aligned: decode tables (rans, huffman), which words may overwrite */
    size_t decode_bytes;
};

/* rans: what a table is written by. */
struct rans_table {
    uint8_t tokens; /* A */
    uint8_t mode;   /* t* */
    bool symmetric; /* k and -k have one frequency */
};

struct rans_plan {
    const uint8_t *words[16]; /* of each group of lanes; the last one's end at tail. Parsed plans */
    unsigned lanes_log2, prob_bits, classes;
    unsigned mantissa_most; /* bits of a frequency after the first */
    unsigned split;         /* bit c is set if class c has a table per half */
    /* Encoding, with a weight: what all elements cost, in units of 2^-16 bits, and its variance if
     * each were drawn by itself, in units of 2^-16 bits squared. */
    uint64_t cost, spread;
    struct rans_table table[CODE_CLASSES][2];
    uint16_t freq[CODE_CLASSES][CODE_TOKENS]; /* of symbols (struct rans_job) */
};

/* Dense elias and huffman. */
struct prefix_plan {
    size_t segment_width; /* bytes of a segment length. Parsed plans */
    const uint8_t *segment_lengths;
    uint8_t lengths[CODE_TOKENS]; /* huffman: code lengths; token_count of them */
    unsigned token_count;         /* huffman: A */
};

/* Sparse codes. */
struct nonzeros_plan {
    const uint32_t *at; /* encoding: where k is not 0, or NULL */
    size_t count;       /* and how many */
    unsigned rice;      /* rice-sparse: rho */
};

struct fixed_plan {
    unsigned width; /* bits of a rank */
};

struct code_plan {
    /* Where the parts of a parsed payload lie. `tail` starts the extra bits. Unused in encoding. */
    const uint8_t *body, *tail, *end;
    unsigned least_width; /* open levels: bits that the largest rank has, if the code can tell them
                           * without looking; else 0 */
    bool shared;          /* huffman, rans: the tables are not in the payload */
    union {               /* the code's own */
        struct fixed_plan fixed;
        struct nonzeros_plan nonzeros;
        struct prefix_plan prefix;
        struct rans_plan rans;
    };
};

struct code {
    const char *name;
    bool sparse;          /* refuses `dithered`, and levels without 0 */
    bool may_be_constant; /* mode 2 is allowed */
    bool may_share;       /* mode 3 is allowed */
    bool from_tokens;     /* k may be NULL where tokens are direct: they are in the scratch */
    /* Chooses the plan for k[0 .. len - 1]. */
    void (*plan)(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan);
    /* Writes the payload after mode and damping. Returns bytes, or SIZE_MAX if over `cap`, or if
     * the plan cannot code k (then it came from another frame). */
    size_t (*write)(const struct code_chunk *chunk, const int16_t *k, const struct code_plan *plan,
                    uint8_t *dst, size_t cap);
    /* Reads and checks everything but the symbols. `where` receives the offset of an error from p.
     */
    qsgd_status (*parse)(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                         struct code_plan *plan, size_t *where);
    /* Reads all indices; every k that it writes is a level, also on error. Symbols that name no
     * level, run out or are left over: QSGD_ERR_STREAM or QSGD_ERR_PADDING. */
    qsgd_status (*read)(const struct code_chunk *chunk, const struct code_plan *plan, int16_t *k);
    /* Sparse codes, else NULL: reads the non-zero indices alone, k[i] of element at[i] of the
     * chunk, in ascending order; at and k have room for len. Statuses as read. */
    qsgd_status (*read_nonzeros)(const struct code_chunk *chunk, const struct code_plan *plan,
                                 uint32_t *at, int16_t *k, size_t *count);
};

/* Plans and writers, of libraries that encode. */
#if QSGD_ENCODER
#define ENCODES(function) function
#else
#define ENCODES(function) NULL
#endif

/* Row of QSGD_CODE_FIXED .. QSGD_CODE_RANS; NULL for any other number. */
const struct code *code_find(int32_t code);

extern const struct code code_fixed;
extern const struct code code_elias_gamma, code_elias_delta, code_elias_omega;
extern const struct code code_elias_gamma_sparse, code_elias_delta_sparse;
extern const struct code code_elias_omega_sparse, code_rice_sparse;
extern const struct code code_huffman, code_rans;

#endif
