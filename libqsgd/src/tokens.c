/* Indices to tokens and extra bits and back (FORMAT.md section 8.4), for huffman and rans.
 *
 * Small indices are tokens of their own; larger ones share a token per quarter octave and leave
 * sign and low bits to a plain stream of extra bits. */
#include "tokens.h"

#include "kernels.h"

#define FIRST_CLASS 15U /* tokens below it are whole indices, |k| < 8 */

void tokens_from_indices(const struct code_chunk *chunk, const int16_t *k, uint8_t *tokens,
                         uint32_t counts[CODE_TOKENS]) {
    chunk->kernels->tokens(k, chunk->len, tokens_direct(chunk->levels), tokens);
    if (counts != NULL) chunk->kernels->histogram(tokens, chunk->len, counts);
}

/* True if one of eight tokens, each below 64, is FIRST_CLASS or above. */
static bool any_escaped(const uint8_t *tokens) {
    uint64_t eight;
    memcpy(&eight, tokens, sizeof eight);
    return ((eight + (128 - FIRST_CLASS) * 0x0101010101010101U) & 0x8080808080808080U) != 0;
}

uint8_t *tokens_write_extra(const struct code_chunk *chunk, const int16_t *k, uint8_t *dst,
                            uint8_t *end) {
    if (tokens_direct(chunk->levels)) return dst;
    const uint8_t *tokens = chunk->scratch->tokens;
    struct lsb_writer w;
    lsb_write_init(&w, dst, end);
    for (size_t i = 0; i < chunk->len; i++) {
        if (i % 8 == 0 && chunk->len - i >= 8 && !any_escaped(tokens + i)) {
            i += 7;
            continue;
        }
        uint32_t negative = k[i] < 0 ? 1 : 0;
        uint32_t m = (uint32_t)(negative ? -k[i] : k[i]);
        if (m < 8) continue;
        unsigned low_bits = floor_log2(m) - 2;
        uint32_t low = m & ((1U << low_bits) - 1);
        lsb_write(&w, low << 1 | negative, low_bits + 1);
    }
    return lsb_write_end(&w);
}

/* Tokens that are whole indices: the first `whole` of them by table, without extra bits. */
struct whole_tokens {
    int16_t index[CODE_TOKENS];
    bool valid[CODE_TOKENS];
};

static void whole_tokens_build(const struct levels *levels, uint32_t whole,
                               struct whole_tokens *table) {
    for (uint32_t t = 0; t < CODE_TOKENS; t++) {
        int32_t k = levels_unzigzag(t);
        table->valid[t] = t < whole && levels_has(levels, k);
        table->index[t] = (int16_t)(table->valid[t] ? k : levels->idle);
    }
}

/* Bits of the tokens that are whole indices of levels. */
static uint64_t whole_tokens_mask(const struct whole_tokens *table) {
    uint64_t mask = 0;
    for (uint32_t t = 0; t < CODE_TOKENS; t++) mask |= (uint64_t)table->valid[t] << t;
    return mask;
}

static qsgd_status direct_to_indices(const struct code_chunk *chunk, const uint8_t *tokens,
                                     uint64_t possible, int16_t *k) {
    struct whole_tokens table;
    bool valid = true;
    whole_tokens_build(chunk->levels, CODE_TOKENS, &table);
    if ((possible & ~whole_tokens_mask(&table)) == 0) {
        chunk->kernels->whole_tokens(tokens, chunk->len, k);
        return QSGD_OK;
    }
    for (size_t i = 0; i < chunk->len; i++) {
        uint8_t t = tokens[i] & (CODE_TOKENS - 1);
        k[i] = table.index[t];
        valid &= table.valid[t];
    }
    return valid ? QSGD_OK : QSGD_ERR_STREAM;
}

/* |k| of a token >= FIRST_CLASS, with its extra bits taken from r; the sign goes to *negative. */
static inline uint32_t read_escaped(struct bit_reader *r, uint8_t token, bool *negative) {
    unsigned low_bits = (token - FIRST_CLASS) / 4 + 1;
    uint32_t top = 4 + ((token - FIRST_CLASS) & 3);
    uint32_t extra = (uint32_t)lsb_read(r, low_bits + 1);
    *negative = (extra & 1) != 0;
    return top << low_bits | extra >> 1;
}

qsgd_status tokens_to_indices(const struct code_chunk *chunk, const uint8_t *tokens,
                              uint64_t possible, const uint8_t *p, const uint8_t *end, int16_t *k) {
    const struct levels *levels = chunk->levels;
    if (tokens_direct(levels)) {
        qsgd_status status = direct_to_indices(chunk, tokens, possible, k);
        return status == QSGD_OK && p != end ? QSGD_ERR_PADDING : status;
    }
    struct whole_tokens table;
    struct bit_reader r;
    bool valid = true;
    whole_tokens_build(levels, FIRST_CLASS, &table);
    bit_read_init(&r, p, end);
    for (size_t i = 0; i < chunk->len; i++) {
        uint8_t t = tokens[i] & (CODE_TOKENS - 1);
        if (t < FIRST_CLASS) {
            k[i] = table.index[t];
            valid &= table.valid[t];
            continue;
        }
        bool negative;
        int32_t m = (int32_t)read_escaped(&r, t, &negative);
        int32_t value = negative ? -m : m;
        bool level = levels_has(levels, value);
        k[i] = (int16_t)(level ? value : levels->idle);
        valid &= level;
    }
    if (!valid || r.overrun) return QSGD_ERR_STREAM;
    return lsb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}
