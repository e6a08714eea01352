/* Writes and checks the segment lengths in front of dense Elias and Huffman streams (FORMAT.md
 * section 7.2). With them, segments of one chunk can be coded independently of each other. */
#include "codes/segments.h"

/* Least number of bytes, at least 1, that holds `longest`. */
static size_t least_width(uint64_t longest) {
    size_t width = 1;
    while (longest >> (8 * width) != 0) width++;
    return width;
}

size_t segments_write(const uint32_t *lengths, size_t count, uint8_t *p, size_t cap) {
    uint64_t longest = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        total += lengths[i];
        if (lengths[i] > longest) longest = lengths[i];
    }
    size_t width = least_width(longest);
    size_t table = 1 + width * count;
    if (table > cap || total > cap - table) return SIZE_MAX;
    *p++ = (uint8_t)width;
    for (size_t i = 0; i < count; i++) {
        for (size_t b = 0; b < width; b++) *p++ = (uint8_t)(lengths[i] >> (8 * b));
    }
    return table;
}

qsgd_status segments_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                           struct code_plan *plan) {
    size_t count = code_segments(chunk);
    if (p == end || *p < 1 || *p > 4) return QSGD_ERR_CODE_TABLE;
    plan->prefix.segment_width = *p++;
    if ((size_t)(end - p) / plan->prefix.segment_width < count) return QSGD_ERR_CODE_TABLE;
    plan->prefix.segment_lengths = p;
    plan->body = p + plan->prefix.segment_width * count;

    uint64_t longest = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = segments_length(plan, i);
        total += length;
        if (length > longest) longest = length;
    }
    if (least_width(longest) != plan->prefix.segment_width) return QSGD_ERR_CODE_TABLE;
    if (total > (uint64_t)(end - plan->body)) return QSGD_ERR_STREAM;
    plan->tail = plan->body + (size_t)total;
    return QSGD_OK;
}
