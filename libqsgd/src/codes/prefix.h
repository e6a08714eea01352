/* Prefix codes of byte symbols in segments: what dense Elias and Huffman share on the way between
 * indices (as symbols) and payload (FORMAT.md sections 7.2 and 7.5). The inner loops are kernels
 * (kernels/prefix_write.h, kernels/prefix_read.h). */
#ifndef QSGD_CODES_PREFIX_H
#define QSGD_CODES_PREFIX_H

#include "base/bits.h"
#include "codes/codes.h"
#include "kernels/kernels.h"

#define PREFIX_WINDOW 12 /* bits that a look-up sees, at most */

/* Tables, kept by a worker from chunk to chunk. Keys say what they hold; 0: nothing. */
struct prefix_memory {
    _Alignas(64) struct prefix_code code;
    unsigned window; /* of runs */
    uint64_t code_key, runs_key;
    _Alignas(64) uint64_t runs[]; /* decoding: 2 << window, at most */
};

static inline void prefix_set(struct prefix_code *code, unsigned symbol, uint32_t bits,
                              unsigned length) {
    code->part[0][symbol] = (uint8_t)bits;
    code->part[1][symbol] = (uint8_t)(bits >> 8);
    code->part[2][symbol] = (uint8_t)length;
    code->word[symbol] = bits << 8 | length;
}

/* Fills memory->runs for a window of 8 to PREFIX_WINDOW bits from the symbols of memory->code that
 * have codewords (length > 0). */
void prefix_runs_build(struct prefix_memory *memory, unsigned window);

/* Writes the table of segment lengths and a stream per segment. Every symbol has a codeword.
 * Returns bytes, or SIZE_MAX if over cap. */
size_t prefix_write_segments(const struct code_chunk *chunk, const struct prefix_code *code,
                             const uint8_t *symbols, uint8_t *dst, size_t cap);

/* Takes a codeword that no run begins with; returns its symbol, or -1 if there is none. */
typedef int prefix_long(const struct code_chunk *chunk, struct bit_reader *r);

/* Reads all segments of a parsed plan by the tables in chunk->scratch->prefix. take_long may be
 * NULL. False, with any symbols, if a segment is malformed: a plain reader then finds out how. */
bool prefix_read_segments(const struct code_chunk *chunk, const struct code_plan *plan,
                          prefix_long *take_long, uint8_t *symbols);

/* The window that repays its table in a chunk of that many elements; 0: none does. */
static inline unsigned prefix_window(size_t len) {
    if (len >= 32768) return PREFIX_WINDOW;
    if (len >= 8192) return 10;
    if (len >= 2048) return 9;
    return len >= 1024 ? 8 : 0;
}

/* The largest one that there is memory for: a code may ask for more where its chunks are long. */
static inline unsigned prefix_window_most(size_t len) {
    if (len > 4096) return PREFIX_WINDOW;
    return len >= 1024 ? 10 : 0;
}

/* Of the runs of chunks of at most `len` elements. */
static inline size_t prefix_runs_bytes(size_t len) {
    const unsigned window = prefix_window_most(len);
    return window == 0 ? 0 : sizeof(uint64_t) << (window + 1);
}

#endif
