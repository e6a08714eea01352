/* Fixed-width code: every index as a rank of the same number of bits (FORMAT.md section 8.1).
 *
 * Also the fallback of every other code, as mode 1 of a payload. */
#include "bits.h"
#include "codes.h"
#include "kernels.h"

#define WIDTH_MAX 16U

/* Bits that hold `largest`. */
static unsigned bits_of(uint32_t largest) { return largest == 0 ? 0 : floor_log2(largest) + 1; }

/* Of open levels, whose rank is the zigzag. */
static uint32_t largest_rank(const struct code_chunk *chunk, const int16_t *k) {
    uint16_t all = 0; /* has the highest bit of the largest zigzag, which is all that counts */
    for (size_t i = 0; i < chunk->len; i++) {
        int16_t minus = (int16_t)-k[i];
        all |= (uint16_t)((uint16_t)minus * 2) ^ (uint16_t)(minus < 0 ? 0xFFFF : 0);
    }
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

/* ---- ranks that fit in bytes: eight at a time in one register -------------------------------- */

/* True if ranks are the zigzag of the index, below 256: then kernels map indices to ranks. */
static bool ranks_are_bytes(const struct levels *levels, unsigned width) {
    return levels->zero && levels->kind != QSGD_LEVELS_SIGNED && width >= 1 && width <= 8;
}

/* Eight ranks, a byte each, to 8 w bits: pairs, fours and eights close up in turn. */
static inline uint64_t close_up(uint64_t x, unsigned w) {
    x = (x & 0x00FF00FF00FF00FF) | (x & 0xFF00FF00FF00FF00) >> (8 - w);
    x = (x & 0x0000FFFF0000FFFF) | (x & 0xFFFF0000FFFF0000) >> (16 - 2 * w);
    return (x & 0x00000000FFFFFFFF) | (x & 0xFFFFFFFF00000000) >> (32 - 4 * w);
}

/* The inverse. `part` masks 4 w, 2 w, w bits of every 32, 16, 8. */
struct spread {
    uint64_t part[3];
};

static struct spread spread_masks(unsigned w) {
    const uint64_t one = 1;
    return (struct spread){{(one << (4 * w)) - 1, ((one << (2 * w)) - 1) * 0x0000000100000001,
                            ((one << w) - 1) * 0x0001000100010001}};
}

static inline uint64_t spread_out(uint64_t x, unsigned w, const struct spread *s) {
    x = (x & s->part[0]) | (x >> (4 * w) & s->part[0]) << 32;
    x = (x & s->part[1]) | (x >> (2 * w) & s->part[1]) << 16;
    return (x & s->part[2]) | (x >> w & s->part[2]) << 8;
}

static void write_bytes(const struct code_chunk *chunk, const int16_t *k, unsigned w, uint8_t *dst,
                        uint8_t *end) {
    uint8_t *ranks = chunk->scratch->tokens;
    chunk->kernels->tokens(k, chunk->len, true, ranks);
    for (size_t i = 0; i < chunk->len; i += 8) {
        uint8_t eight[8] = {0};
        if (chunk->len - i < 8) {
            memcpy(eight, ranks + i, chunk->len - i);
        } else {
            memcpy(eight, ranks + i, 8);
        }
        store_le64(eight, close_up(load_le64(eight), w));
        memcpy(dst, eight, end - dst < 8 ? (size_t)(end - dst) : 8);
        dst += end - dst < w ? end - dst : (ptrdiff_t)w;
    }
}

/* False if a rank names no level; *all as in read_ranks. */
static bool read_bytes(const struct code_chunk *chunk, unsigned w, const uint8_t *p,
                       const uint8_t *end, int16_t *k, uint32_t *all) {
    uint8_t *ranks = chunk->scratch->tokens;
    const struct spread masks = spread_masks(w);
    const uint32_t count = levels_ranks(chunk->levels);
    uint8_t largest = 0, any = 0;
    for (size_t i = 0; i < chunk->len; i += 8) {
        uint8_t eight[8] = {0};
        memcpy(eight, p, end - p < 8 ? (size_t)(end - p) : 8);
        store_le64(eight, spread_out(load_le64(eight), w, &masks));
        memcpy(ranks + i, eight, chunk->len - i < 8 ? chunk->len - i : 8);
        p += end - p < w ? end - p : (ptrdiff_t)w;
    }
    for (size_t i = 0; i < chunk->len; i++) {
        largest = ranks[i] > largest ? ranks[i] : largest;
        any |= ranks[i];
    }
    *all = any;
    if (largest >= count) { /* refused: yet every k is to be a level */
        for (size_t i = 0; i < chunk->len; i++) ranks[i] = ranks[i] < count ? ranks[i] : 0;
    }
    chunk->kernels->whole_tokens(ranks, chunk->len, k);
    return largest < count;
}

/* True if only zero bits follow the last rank. */
static bool padding_is_zero(size_t len, unsigned w, const uint8_t *end) {
    const unsigned used = (unsigned)(len % 8 * w % 8);
    return used == 0 || end[-1] >> used == 0;
}

static size_t fixed_write(const struct code_chunk *chunk, const int16_t *k,
                          const struct code_plan *plan, uint8_t *dst, size_t cap) {
    unsigned width = plan->width;
    if (width != fixed_width(chunk, k)) return SIZE_MAX;
    size_t head = chunk->levels->kind == QSGD_LEVELS_OPEN ? 1 : 0;
    size_t bytes = head + stream_bytes(chunk->len, width);
    if (bytes > cap) return SIZE_MAX;
    if (head != 0) dst[0] = (uint8_t)width;

    if (ranks_are_bytes(chunk->levels, width)) {
        write_bytes(chunk, k, width, dst + head, dst + bytes);
        return bytes;
    }
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
    if (ranks_are_bytes(levels, plan->width)) {
        if (!read_bytes(chunk, plan->width, plan->body, plan->end, k, &all)) {
            return QSGD_ERR_STREAM;
        }
        if (levels->kind == QSGD_LEVELS_OPEN && bits_of(all) != plan->width) {
            return QSGD_ERR_STREAM;
        }
        return padding_is_zero(chunk->len, plan->width, plan->end) ? QSGD_OK : QSGD_ERR_PADDING;
    }
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
