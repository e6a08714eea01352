/* Fixed-width code: every index as a rank of the same number of bits (FORMAT.md section 8.1).
 *
 * Also the fallback of every other code, as mode 1 of a payload. */
#include "bits.h"
#include "codes.h"

#define WIDTH_MAX 16U

/* Bits that hold `largest`. */
static unsigned bits_of(uint32_t largest) { return largest == 0 ? 0 : floor_log2(largest) + 1; }

static uint32_t largest_rank(const struct code_chunk *chunk, const int16_t *k) {
    uint32_t all = 0; /* has the highest bit of the largest rank, which is all that counts */
    for (size_t i = 0; i < chunk->len; i++) all |= levels_rank(chunk->levels, k[i]);
    return all;
}

/* Only open levels store a width: theirs follows the chunk. */
static unsigned fixed_width(const struct code_chunk *chunk, const int16_t *k) {
    if (chunk->levels->kind == QSGD_LEVELS_OPEN) return bits_of(largest_rank(chunk, k));
    return bits_of(levels_ranks(chunk->levels) - 1);
}

static void fixed_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    plan->width = fixed_width(chunk, k);
}

static size_t stream_bytes(size_t len, unsigned width) {
    return (size_t)(((uint64_t)len * width + 7) / 8);
}

static size_t fixed_write(const struct code_chunk *chunk, const int16_t *k,
                          const struct code_plan *plan, uint8_t *dst, size_t cap) {
    unsigned width = plan->width;
    if (width != fixed_width(chunk, k)) return SIZE_MAX;
    size_t head = chunk->levels->kind == QSGD_LEVELS_OPEN ? 1 : 0;
    size_t bytes = head + stream_bytes(chunk->len, width);
    if (bytes > cap) return SIZE_MAX;
    if (head != 0) dst[0] = (uint8_t)width;

    struct lsb_writer w;
    lsb_write_init(&w, dst + head, dst + bytes);
    uint64_t pending = 0;
    unsigned held = 0;
    for (size_t i = 0; i < chunk->len; i++) {
        if (held + width > 56) {
            lsb_write(&w, pending, held);
            pending = 0;
            held = 0;
        }
        pending |= (uint64_t)levels_rank(chunk->levels, k[i]) << held;
        held += width;
    }
    lsb_write(&w, pending, held);
    return lsb_write_end(&w) == NULL ? SIZE_MAX : bytes;
}

static qsgd_status fixed_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                               struct code_plan *plan, size_t *where) {
    size_t head = 0;
    *where = 0;
    if (chunk->levels->kind == QSGD_LEVELS_OPEN) {
        if (bytes == 0) return QSGD_ERR_STREAM;
        if (p[0] > WIDTH_MAX) return QSGD_ERR_CODE_TABLE;
        plan->width = p[0];
        head = 1;
    } else {
        plan->width = bits_of(levels_ranks(chunk->levels) - 1);
    }
    size_t stream = stream_bytes(chunk->len, plan->width);
    *where = bytes;
    if (bytes - head < stream) return QSGD_ERR_STREAM;
    *where = head + stream;
    if (bytes - head > stream) return QSGD_ERR_PADDING;
    plan->body = p + head;
    plan->tail = plan->end = p + bytes;
    return QSGD_OK;
}

/* Ranks below `ranks` to indices; *all receives the bits that occur in any rank. False if a rank
 * names no level. */
static bool read_ranks(const struct levels *levels, uint32_t ranks, unsigned width,
                       struct bit_reader *r, int16_t *k, size_t len, uint32_t *all) {
    unsigned batch = width == 0 ? 56 : 56 / width;
    bool valid = true;
    for (size_t i = 0; i < len;) {
        size_t stop = len - i < batch ? len : i + batch;
        lsb_refill(r);
        for (; i < stop; i++) {
            uint32_t rank = (uint32_t)lsb_take(r, width);
            bool level = rank < ranks;
            k[i] = (int16_t)(level ? levels_unrank(levels, rank) : levels->idle);
            valid &= level;
            *all |= rank;
        }
    }
    return valid;
}

static qsgd_status fixed_read(const struct code_chunk *chunk, const struct code_plan *plan,
                              int16_t *k) {
    const struct levels *levels = chunk->levels;
    struct bit_reader r;
    uint32_t all = 0;
    bit_read_init(&r, plan->body, plan->end);
    if (!read_ranks(levels, levels_ranks(levels), plan->width, &r, k, chunk->len, &all)) {
        return QSGD_ERR_STREAM;
    }
    bool minimal = levels->kind != QSGD_LEVELS_OPEN || bits_of(all) == plan->width;
    if (r.overrun || !minimal) return QSGD_ERR_STREAM;
    return lsb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}

const struct qsgd_code code_fixed = {
    .name = "fixed",
    .plan = fixed_plan,
    .write = fixed_write,
    .parse = fixed_parse,
    .read = fixed_read,
};
