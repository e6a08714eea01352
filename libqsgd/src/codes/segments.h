/* The table of segment lengths that dense Elias and Huffman payloads share (FORMAT.md section 7.2).
 *
 * Writing takes two passes: the code first adds up the length of every segment (in
 * segments_scratch), so that segments_write knows the width and whether all will fit; then it
 * writes the segments behind the table. */
#ifndef QSGD_CODES_SEGMENTS_H
#define QSGD_CODES_SEGMENTS_H

#include "codes/codes.h"

/* Room for code_segments(chunk) lengths and one more, in the memory of scratch->words. */
static inline uint32_t *segments_scratch(const struct code_chunk *chunk) {
    return (void *)chunk->scratch->words;
}

/* Elements of segment i. */
static inline size_t segments_elements(const struct code_chunk *chunk, size_t i) {
    size_t left = chunk->len - i * chunk->segment;
    return left < chunk->segment ? left : chunk->segment;
}

/* Writes u8 width and the lengths at p. Returns bytes of that table; SIZE_MAX, with nothing
 * written, if table and segments together pass cap. */
size_t segments_write(const uint32_t *lengths, size_t count, uint8_t *p, size_t cap);

/* Parses width and lengths at p; sets plan->prefix.segment_width, segment_lengths, body (first
 * segment) and tail (after the last). Returns QSGD_OK, QSGD_ERR_CODE_TABLE (width or table
 * malformed) or QSGD_ERR_STREAM (the segments pass `end`). */
qsgd_status segments_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                           struct code_plan *plan);

/* Length in bytes of segment i. */
static inline size_t segments_length(const struct code_plan *plan, size_t i) {
    const uint8_t *p = plan->prefix.segment_lengths + i * plan->prefix.segment_width;
    size_t length = 0;
    for (size_t b = 0; b < plan->prefix.segment_width; b++) length |= (size_t)p[b] << (8 * b);
    return length;
}

#endif
