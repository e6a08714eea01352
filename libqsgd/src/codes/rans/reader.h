/* Reads the tokens of rANS chunks block by block, one chunk or two at a time, for decoders that
 * turn them into values while they are in cache. */
#ifndef QSGD_CODES_RANS_READER_H
#define QSGD_CODES_RANS_READER_H

#include "codes/rans/plan.h"
#include "codes/rans/split.h"

struct rans_reader {
    const struct code_chunk *chunk;
    const struct code_plan *plan;
    struct rans_job job;
    struct rans_tail tail;
    struct rans_stream stream;
    void *tables;
    bool search; /* tables: of codes/rans/search.h */
    /* If some class is split: noise of the next block's elements, which else is made anew; their
     * halves. */
    const uint16_t *noise;
    uint8_t halves[RANS_SPLIT_BLOCK];
};

/* Bytes that suffice for a parsed plan's tables. */
size_t rans_reader_bytes(const struct code_plan *plan);

/* Of a parsed plan. tables: 64-byte aligned. If `bytes` are less than rans_reader_bytes, but at
 * least RANS_SEARCH_BYTES for each class, frequencies are searched, by itself, not beside another.
 */
void rans_reader_open(struct rans_reader *r, const struct code_chunk *chunk,
                      const struct code_plan *plan, void *tables, size_t bytes);

/* Tokens of elements [from, to), after those below `from` were read; to is a multiple of 128, or
 * the chunk's length. Of two at once: at most RANS_SPLIT_BLOCK. */
void rans_reader_read(struct rans_reader *r, size_t from, size_t to, uint8_t *tokens);
void rans_reader_read_two(struct rans_reader *const r[2], size_t from, size_t to,
                          uint8_t *const tokens[2]);

/* After the last element: QSGD_OK, _STREAM (words ran out, or a lane did not come to rest),
 * _PADDING (words are left). Extra bits are the caller's. */
qsgd_status rans_reader_end(const struct rans_reader *r);

#endif
