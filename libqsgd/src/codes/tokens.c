/* Indices to tokens and extra bits and back (FORMAT.md section 7.4), for huffman and rans.
 *
 * Small indices are tokens of their own; larger ones share a token per quarter octave and leave
 * sign and low bits to a plain stream of extra bits. */
#include "codes/tokens.h"

#include "kernels/kernels.h"

#define NO_TOKEN (CODE_TOKENS - 1U)

void tokens_from_indices(const struct code_chunk *chunk, const int16_t *k, uint8_t *tokens,
                         uint32_t counts[CODE_TOKENS]) {
    chunk->kernels->tokens(k, chunk->len, tokens_direct(chunk->levels), tokens);
    if (counts != NULL) chunk->kernels->histogram(tokens, chunk->len, counts);
}

uint8_t *tokens_write_extra(const struct code_chunk *chunk, const int16_t *k, uint8_t *dst,
                            uint8_t *end) {
    if (tokens_direct(chunk->levels)) return dst;
    return chunk->kernels->extra_write(k, chunk->scratch->tokens, chunk->len, dst, end);
}

/* Bits of the tokens that name levels whatever their extra bits; of tokens with extra bits, all
 * that are a format's: their indices are looked at once they are there. */
static uint64_t tokens_of_levels(const struct levels *levels) {
    uint64_t mask = 0;
    const uint32_t whole = tokens_direct(levels) ? 2 * LEVELS_DIRECT + 1 : TOKENS_WHOLE;
    for (uint32_t t = 0; t < whole; t++) {
        mask |= (uint64_t)levels_has(levels, levels_unzigzag(t)) << t;
    }
    if (!tokens_direct(levels)) mask |= ((uint64_t)1 << NO_TOKEN) - ((uint64_t)1 << TOKENS_WHOLE);
    return mask;
}

bool tokens_are_levels(const struct levels *levels, uint64_t possible) {
    return (possible & ~tokens_of_levels(levels)) == 0;
}

/* Indices that are no levels become idle; false if there are any. */
static bool check_indices(const struct levels *levels, const uint8_t *tokens, size_t n,
                          int16_t *k) {
    bool valid = true;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < NO_TOKEN && levels_has(levels, k[i])) continue;
        k[i] = (int16_t)levels->idle;
        valid = false;
    }
    return valid;
}

void tokens_reader_open(struct tokens_reader *r, const struct code_chunk *chunk, uint64_t possible,
                        const uint8_t *p, const uint8_t *end) {
    const struct levels *levels = chunk->levels;
    *r = (struct tokens_reader){.levels = levels,
                                .kernels = chunk->kernels,
                                .extra = {p, (size_t)(end - p), 0},
                                .direct = tokens_direct(levels),
                                .suspect = !tokens_are_levels(levels, possible),
                                .valid = true};
}

void tokens_reader_read(struct tokens_reader *r, const uint8_t *tokens, size_t n, int16_t *k) {
    const struct levels *levels = r->levels;
    bool check = r->suspect;
    if (r->direct) {
        r->kernels->whole_tokens(tokens, n, k);
    } else {
        const int32_t most = (int32_t)r->kernels->extra_read(&r->extra, tokens, n, k);
        check |= most > levels->kmax || -most < levels->kmin;
    }
    if (check && !check_indices(levels, tokens, n, k)) r->valid = false;
}

qsgd_status tokens_reader_end(const struct tokens_reader *r) {
    const struct extra_stream *s = &r->extra;
    const uint64_t used = (s->bit + 7) >> 3;
    if (!r->valid || used > s->bytes) return QSGD_ERR_STREAM;
    const bool clean = (s->bit & 7) == 0 || s->base[used - 1] >> (s->bit & 7) == 0;
    return clean && used == s->bytes ? QSGD_OK : QSGD_ERR_PADDING;
}

qsgd_status tokens_to_indices(const struct code_chunk *chunk, const uint8_t *tokens,
                              uint64_t possible, const uint8_t *p, const uint8_t *end, int16_t *k) {
    struct tokens_reader r;
    tokens_reader_open(&r, chunk, possible, p, end);
    tokens_reader_read(&r, tokens, chunk->len, k);
    return tokens_reader_end(&r);
}
