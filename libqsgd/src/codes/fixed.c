/* Fixed-width code: every index as a rank of the same number of bits (FORMAT.md section 7.1).
 *
 * Also the fallback of every other code, as mode 1 of a payload. */
#include "base/bits.h"
#include "codes/codes.h"
#include "kernels/kernels.h"

#define WIDTH_MAX 16U

/* Bits that hold `largest`. */
static unsigned bits_of(uint32_t largest) { return largest == 0 ? 0 : floor_log2(largest) + 1; }

/* Only open levels store a width: theirs follows the chunk. */
static unsigned fixed_width(const struct code_chunk *chunk, const int16_t *k) {
    if (chunk->levels->kind == QSGD_LEVELS_OPEN) {
        return bits_of(chunk->kernels->largest_zigzag(k, chunk->len));
    }
    return bits_of(levels_ranks(chunk->levels) - 1);
}

static void fixed_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    plan->fixed.width = fixed_width(chunk, k);
}

static size_t stream_bytes(size_t len, unsigned width) {
    return (size_t)(((uint64_t)len * width + 7) / 8);
}

static struct rank_map rank_map_of(const struct levels *levels, unsigned width) {
    return (struct rank_map){.width = width,
                             .from_lowest = levels->kind == QSGD_LEVELS_SIGNED,
                             .zero = levels->zero,
                             .lowest = levels->kmin};
}

/* True if only zero bits follow the last rank. */
static bool padding_is_zero(size_t len, unsigned w, const uint8_t *end) {
    const unsigned used = (unsigned)(len % 8 * w % 8);
    return used == 0 || end[-1] >> used == 0;
}

static size_t fixed_write(const struct code_chunk *chunk, const int16_t *k,
                          const struct code_plan *plan, uint8_t *dst, size_t cap) {
    const unsigned width = plan->fixed.width;
    if (width != fixed_width(chunk, k)) return SIZE_MAX;
    size_t head = chunk->levels->kind == QSGD_LEVELS_OPEN ? 1 : 0;
    size_t bytes = head + stream_bytes(chunk->len, width);
    if (bytes > cap) return SIZE_MAX;
    if (head != 0) dst[0] = (uint8_t)width;

    if (width == 0) return bytes; /* nothing but zeros */
    const struct rank_map map = rank_map_of(chunk->levels, width);
    chunk->kernels->pack(&map, k, chunk->len, dst + head);
    return bytes;
}

static qsgd_status fixed_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                               struct code_plan *plan, size_t *where) {
    size_t head = 0;
    *where = 0;
    if (chunk->levels->kind == QSGD_LEVELS_OPEN) {
        if (bytes == 0) return QSGD_ERR_STREAM;
        if (p[0] > WIDTH_MAX) return QSGD_ERR_CODE_TABLE;
        plan->fixed.width = p[0];
        head = 1;
    } else {
        plan->fixed.width = bits_of(levels_ranks(chunk->levels) - 1);
    }
    size_t stream = stream_bytes(chunk->len, plan->fixed.width);
    *where = bytes;
    if (bytes - head < stream) return QSGD_ERR_STREAM;
    *where = head + stream;
    if (bytes - head > stream) return QSGD_ERR_PADDING;
    plan->body = p + head;
    plan->tail = plan->end = p + bytes;
    return QSGD_OK;
}

static qsgd_status fixed_read(const struct code_chunk *chunk, const struct code_plan *plan,
                              int16_t *k) {
    const struct levels *levels = chunk->levels;
    if (plan->fixed.width == 0) {
        memset(k, 0, chunk->len * sizeof *k);
        return QSGD_OK;
    }
    const struct rank_map map = rank_map_of(levels, plan->fixed.width);
    const uint32_t largest = chunk->kernels->unpack(&map, plan->body, chunk->len, k);
    if (largest >= levels_ranks(levels)) { /* refused: yet every k is to be a level */
        for (size_t i = 0; i < chunk->len; i++) {
            if (!levels_has(levels, k[i])) k[i] = (int16_t)levels->idle;
        }
        return QSGD_ERR_STREAM;
    }
    if (levels->kind == QSGD_LEVELS_OPEN && bits_of(largest) != plan->fixed.width)
        return QSGD_ERR_STREAM;
    return padding_is_zero(chunk->len, plan->fixed.width, plan->end) ? QSGD_OK : QSGD_ERR_PADDING;
}

const struct code code_fixed = {
    .name = "fixed",
    .plan = ENCODES(fixed_plan),
    .write = ENCODES(fixed_write),
    .parse = fixed_parse,
    .read = fixed_read,
};
