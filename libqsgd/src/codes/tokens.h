/* Indices as tokens and extra bits, for huffman and rans (FORMAT.md section 7.4). */
#ifndef QSGD_CODES_TOKENS_H
#define QSGD_CODES_TOKENS_H

#include "base/bits.h"
#include "codes/codes.h"
#include "kernels/kernels.h"

#define TOKENS_BLOCK 4096 /* elements whose extra bits are counted */
#define COUNTED_MOST 63   /* of them in a chunk: the last is not */

/* True if tokens are the indices themselves, without extra bits. */
static inline bool tokens_direct(const struct levels *levels) {
    return levels->largest <= LEVELS_DIRECT;
}

/* Noise of n elements of a turned chunk, from its element i on: in `memory`, which has room for a
 * tile more than as many tiles as hold n. */
static inline const uint16_t *tokens_noise(const struct code_chunk *chunk, size_t i, size_t n,
                                           uint16_t *memory) {
    const uint64_t number = chunk->first + i, tile = number - number % NOISE_TILE;
    kernels_noise(chunk->kernels, chunk->turned, tile, number + n, memory);
    return memory + (number - tile);
}

/* True if halves may have tables of their own (codes/rans/split.h), where `sum` tokens are below
 * `limit`, and `most` are alike: one is so frequent that others stand out. */
static inline bool tokens_may_split(unsigned limit, uint64_t most, uint64_t sum) {
    return limit <= RANS_HALF && 3 * most >= sum;
}

/* Fills tokens[len]; counts[CODE_TOKENS] (may be NULL) receives the histogram. */
void tokens_from_indices(const struct code_chunk *chunk, const int16_t *k, uint8_t *tokens,
                         uint32_t counts[CODE_TOKENS]);

/* True if a payload of tokens below `limit`, which the last of some table's is next to, ends with
 * extra bits. */
static inline bool tokens_have_extra(const struct levels *levels, unsigned limit) {
    return !tokens_direct(levels) && limit > TOKENS_WHOLE;
}

/* Writes the extra bits of k[len], whose tokens are in the scratch, from dst on, and before them
 * how many each block has; nothing if there are none. Returns the byte after them, NULL if over
 * `end`.
 */
uint8_t *tokens_write_extra(const struct code_chunk *chunk, unsigned limit, const int16_t *k,
                            uint8_t *dst, uint8_t *end);

/* Checks [p, end), the rest of a payload, as far as it can be without tokens: QSGD_OK, _CODE_TABLE
 * (counts are malformed or cut short), _PADDING (theirs, or there should be nothing). */
qsgd_status tokens_parse_extra(const struct code_chunk *chunk, unsigned limit, const uint8_t *p,
                               const uint8_t *end);

/* True if all tokens whose bit is set in `possible` name levels; those with extra bits may yet name
 * none. */
bool tokens_are_levels(const struct levels *levels, uint64_t possible);

/* Reads indices block by block. */
struct tokens_reader {
    const struct levels *levels;
    const struct kernels *kernels;
    struct extra_stream extra;
    struct bit_reader counts; /* of extra bits, of `width` bits, from the next block's on */
    unsigned width;
    uint64_t block_end; /* where those of the block before end */
    size_t at, len;     /* elements read, and all */
    bool direct;
    bool whole;   /* no token has extra bits */
    bool swaps;   /* signs are in tokens, where quarters are else */
    bool suspect; /* tokens may name no level */
    bool valid;   /* so far, none did, and counts were right */
};

/* Bit t of `possible` is set if token t may occur; [p, end): counts and extra bits. */
void tokens_reader_open(struct tokens_reader *r, const struct code_chunk *chunk, uint64_t possible,
                        const uint8_t *p, const uint8_t *end);

/* The next n tokens' indices. Every k written is a level. */
void tokens_reader_read(struct tokens_reader *r, const uint8_t *tokens, size_t n, int16_t *k);

/* After the last one: QSGD_OK, _STREAM (extra bits ran out, counts are wrong, or an
 * index was no level), _PADDING (more than zero bits of the last byte are left). */
qsgd_status tokens_reader_end(const struct tokens_reader *r);

/* All tokens of a chunk at once. */
qsgd_status tokens_to_indices(const struct code_chunk *chunk, const uint8_t *tokens,
                              uint64_t possible, const uint8_t *p, const uint8_t *end, int16_t *k);

#endif
