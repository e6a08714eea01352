/* Indices to tokens and extra bits and back (FORMAT.md section 7.4), for huffman and rans.
 *
 * Small indices are tokens of their own; larger ones share a token per quarter octave and leave
 * sign and low bits to a plain stream of extra bits. */
#include "codes/tokens.h"

#include "base/bits.h"
#include "kernels/kernels.h"

#define NO_TOKEN (CODE_TOKENS - 1U)

void tokens_from_indices(const struct code_chunk *chunk, const int16_t *k, uint8_t *tokens,
                         uint32_t counts[CODE_TOKENS]) {
    chunk->kernels->tokens(k, chunk->len, tokens_direct(chunk->levels), tokens);
    if (counts != NULL) chunk->kernels->histogram(tokens, chunk->len, counts);
}

/* ---- counts of extra bits ------------------------------------------------------------------- */

#define WIDTH_BITS 5U
#define WIDTH_MOST 16U /* 4096 tokens of 13 extra bits have fewer than 2^16 */

/* Blocks whose extra bits are counted: all but the last. */
static size_t counted_blocks(const struct code_chunk *chunk) {
    return (chunk->len - 1) / TOKENS_BLOCK;
}

static size_t counts_bytes(const struct code_chunk *chunk, unsigned width) {
    const size_t blocks = counted_blocks(chunk);
    return blocks == 0 ? 0 : (WIDTH_BITS + blocks * width + 7) / 8;
}

static uint32_t count_extra(const struct code_chunk *chunk, size_t block) {
    const uint8_t *const tokens = chunk->scratch->tokens + block * TOKENS_BLOCK;
    return (uint32_t)chunk->kernels->extra_count(tokens, TOKENS_BLOCK);
}

static unsigned width_of(uint32_t largest) { return largest == 0 ? 0 : floor_log2(largest) + 1; }

/* Returns the byte after them, NULL if over `end`. */
static uint8_t *write_counts(const struct code_chunk *chunk, uint8_t *dst, uint8_t *end) {
    uint32_t counts[COUNTED_MOST], largest = 0;
    const size_t blocks = counted_blocks(chunk);
    struct lsb_writer w;
    if (blocks == 0) return dst;
    for (size_t b = 0; b < blocks; b++) {
        counts[b] = count_extra(chunk, b);
        largest = counts[b] > largest ? counts[b] : largest;
    }
    lsb_write_init(&w, dst, end);
    lsb_write(&w, width_of(largest), WIDTH_BITS);
    for (size_t b = 0; b < blocks; b++) lsb_write(&w, counts[b], width_of(largest));
    return lsb_write_end(&w);
}

uint8_t *tokens_write_extra(const struct code_chunk *chunk, unsigned limit, const int16_t *k,
                            uint8_t *dst, uint8_t *end) {
    if (!tokens_have_extra(chunk->levels, limit)) return dst;
    uint8_t *const p = write_counts(chunk, dst, end);
    return p == NULL ? NULL
                     : chunk->kernels->extra_write(k, chunk->scratch->tokens, chunk->len, p, end);
}

qsgd_status tokens_parse_extra(const struct code_chunk *chunk, unsigned limit, const uint8_t *p,
                               const uint8_t *end) {
    const size_t blocks = counted_blocks(chunk);
    struct bit_reader r;
    uint32_t largest = 0;
    if (!tokens_have_extra(chunk->levels, limit)) return p == end ? QSGD_OK : QSGD_ERR_PADDING;
    if (blocks == 0) return QSGD_OK;
    bit_read_init(&r, p, end);
    const unsigned width = (unsigned)lsb_read(&r, WIDTH_BITS);
    if (width > WIDTH_MOST) return QSGD_ERR_CODE_TABLE;
    for (size_t b = 0; b < blocks; b++) {
        const uint32_t count = (uint32_t)lsb_read(&r, width);
        largest = count > largest ? count : largest;
    }
    if (r.overrun || width_of(largest) != width) return QSGD_ERR_CODE_TABLE;
    lsb_refill(&r);
    return lsb_take(&r, r.held & 7) == 0 ? QSGD_OK : QSGD_ERR_PADDING;
}

/* ---- levels --------------------------------------------------------------------------------- */

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
    const uint64_t named = possible & (((uint64_t)1 << NO_TOKEN) - 1);
    const unsigned limit = named == 0 ? 0 : floor_log2(named) + 1;
    *r = (struct tokens_reader){.levels = levels,
                                .kernels = chunk->kernels,
                                .len = chunk->len,
                                .direct = tokens_direct(levels),
                                .whole = !tokens_have_extra(levels, limit),
                                .swaps = chunk->signed_tokens,
                                .suspect = !tokens_are_levels(levels, possible),
                                .valid = true};
    bit_read_init(&r->counts, p, end);
    if (!r->whole && counted_blocks(chunk) != 0) {
        r->width = (unsigned)lsb_read(&r->counts, WIDTH_BITS);
        p += counts_bytes(chunk, r->width); /* parsed before */
    }
    r->extra = (struct extra_stream){p, (size_t)(end - p), 0};
}

/* Indices of tokens with extra bits, block by block; no |k| is above what is returned. */
static int32_t read_extra(struct tokens_reader *r, const uint8_t *tokens, size_t n, int16_t *k) {
    uint32_t most = 0;
    for (size_t i = 0, count; i < n; i += count) {
        count = TOKENS_BLOCK - r->at % TOKENS_BLOCK;
        if (count > n - i) count = n - i;
        const uint32_t largest = r->kernels->extra_read(&r->extra, tokens + i, count, k + i);
        if (largest > most) most = largest;
        r->at += count;
        if (r->at % TOKENS_BLOCK != 0 || r->at >= r->len) continue;
        r->block_end += lsb_read(&r->counts, r->width);
        if (r->extra.bit != r->block_end) r->valid = false;
    }
    return (int32_t)most;
}

void tokens_reader_read(struct tokens_reader *r, const uint8_t *tokens, size_t n, int16_t *k) {
    const struct levels *levels = r->levels;
    bool check = r->suspect;
    if (r->whole) {
        r->kernels->whole_tokens(tokens, n, k);
    } else {
        int32_t most = read_extra(r, tokens, n, k);
        if (r->swaps) {
            r->kernels->swap_signs(k, n);
            most = most == 0 ? 0 : (2 << floor_log2((uint64_t)most)) - 1; /* in their octave */
        }
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
