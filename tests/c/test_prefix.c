/* Prefix codes of byte symbols, which dense Elias and Huffman share: the kernels of every backend
 * against bits written one by one, with guard pages around every buffer; then whole chunks, long
 * enough for tables and several streams, and what becomes of them when they are damaged. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "codes/elias.h"
#include "codes/prefix.h"
#include "codes/segments.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "scratch_support.h"
#include "support.h"

#define LONGEST 40000 /* elements of a chunk */

static struct guard guards[3];
static uint64_t state = 20250714;
static struct prefix_memory *memory;
static struct code_scratch scratch;

/* ---- codes and bits, one by one -------------------------------------------------------------- */

enum { GAMMA, OMEGA, BYTES, PAIRS, UNARY, COINS, KINDS };

/* Fills memory->code: Elias codes of 0..254 in zigzag order, plain bytes, twice the byte (16 bits),
 * unary up to 16 bits, and two codewords of one bit. */
static void build_code(int kind) {
    static const unsigned symbols[KINDS] = {255, 255, 256, 256, 16, 2};
    memset(&memory->code, 0, sizeof memory->code);
    for (unsigned s = 0; s < symbols[kind]; s++) {
        const unsigned m = (s + 1) / 2, sign = s > 0 ? 1 : 0;
        uint32_t bits = s;
        unsigned length = 8;
        if (kind == GAMMA || kind == OMEGA) {
            struct codeword word =
                elias_codeword(kind == GAMMA ? QSGD_ELIAS_GAMMA : QSGD_ELIAS_OMEGA, m + 1);
            bits = (uint32_t)word.bits << sign | (sign & ~s);
            length = word.length + sign;
        } else if (kind == PAIRS) {
            bits = s << 8 | s;
            length = 16;
        } else if (kind == UNARY) {
            bits = 1;
            length = s + 1;
        } else if (kind == COINS) {
            length = 1;
        }
        prefix_set(&memory->code, s, bits, length);
    }
    memory->code.rows = (symbols[kind] + 15) / 16;
}

static void put_bits(uint8_t *p, uint64_t *at, uint64_t word, unsigned length) {
    for (unsigned b = length; b-- > 0; ++*at) {
        p[*at / 8] |= (uint8_t)((word >> b & 1) << (7 - *at % 8));
    }
}

/* Mostly small symbols below `most`, so that words of every length occur. */
static uint8_t random_symbol(unsigned most) {
    const uint64_t r = random_u64(&state);
    return (uint8_t)((r >> 40) % ((r & 3) != 0 && most > 4 ? 4 : most));
}

static void kernels_write_what_single_bits_make(void) {
    static uint8_t expected[2 * 700 + 8];
    for (int kind = 0; kind < KINDS; kind++) {
        build_code(kind);
        const unsigned all_rows = memory->code.rows;
        for (size_t n = 0; n <= 600; n += n < 200 ? 1 : 37) {
            const unsigned rows = 1 + (unsigned)random_below(&state, all_rows);
            const unsigned most = kind == COINS ? 2 : rows == 16 && kind < BYTES ? 255 : 16 * rows;
            uint8_t *symbols = guard_place(guards[0], n, n % 34 == 33 ? SIZE_MAX : n % 34);
            uint64_t bits = 0;
            memset(expected, 0, sizeof expected);
            for (size_t i = 0; i < n; i++) {
                symbols[i] = random_symbol(most);
                uint32_t word = memory->code.word[symbols[i]];
                put_bits(expected, &bits, word >> 8, word & 0xFF);
            }
            const size_t bytes = (size_t)(bits + 7) / 8, room = n % 3 * n; /* behind the end */
            memory->code.rows = rows;
            for (int b = 0; b < backend_count; b++) {
                CHECK(backends[b]->prefix_bits(&memory->code, symbols, n) == bits);
                uint8_t *dst = guard_place(guards[1], bytes + room, 0);
                uint8_t *end = dst + bytes + room;
                CHECK(backends[b]->prefix_write(&memory->code, symbols, n, dst, end) ==
                      dst + bytes);
                CHECK(memcmp(dst, expected, bytes) == 0);
                dst = guard_place(guards[1], bytes, SIZE_MAX);
                dst[bytes] = 0x5A; /* behind the end: not to be touched */
                CHECK(backends[b]->prefix_write(&memory->code, symbols, n, dst, dst + bytes) ==
                      dst + bytes);
                CHECK(dst[bytes] == 0x5A && memcmp(dst, expected, bytes) == 0);
                if (bytes == 0) continue;
                dst = guard_place(guards[1], bytes - 1, 0);
                CHECK(backends[b]->prefix_write(&memory->code, symbols, n, dst, dst + bytes - 1) ==
                      NULL);
            }
        }
        memory->code.rows = all_rows;
    }
}

/* ---- runs ------------------------------------------------------------------------------------ */

static unsigned symbol_of(uint64_t top, unsigned window, unsigned *length) {
    for (unsigned s = 0; s < 256; s++) {
        *length = memory->code.part[2][s];
        if (*length == 0 || *length > window) continue;
        if (top >> (window - *length) == memory->code.word[s] >> 8) return s;
    }
    return 256;
}

static void runs_hold_all_codewords_within_the_window_up_to_six(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        build_code(kind);
        for (unsigned window = 8; window <= PREFIX_WINDOW; window++) {
            bool good = true;
            prefix_runs_build(memory, window);
            for (uint64_t top = 0; top < 1U << window; top++) {
                uint64_t expected = 0;
                unsigned bits = 0, count = 0, length;
                for (; count < 6 && bits < window; count++, bits += length) {
                    const unsigned left = window - bits;
                    unsigned s = symbol_of(top & ((1U << left) - 1), left, &length);
                    if (s == 256) break;
                    expected |= (uint64_t)s << (16 + 8 * count);
                }
                good &= memory->runs[(1U << window) + top] == (expected | count << 8 | bits);
            }
            CHECK(good);
        }
    }
}

/* All backends come to the same places, within memory that ends where it may be touched. */
static void kernels_read_alike_and_stop_in_time(void) {
    static uint8_t expected[PREFIX_STREAMS][1024];
    for (int round = 0; round < 600; round++) {
        build_code(round % KINDS);
        const unsigned window = 8 + (unsigned)random_below(&state, PREFIX_WINDOW - 7);
        prefix_runs_build(memory, window);
        const uint64_t *runs = memory->runs + (1U << window);
        const size_t bytes = 8 + random_below(&state, 600);
        uint8_t *base = guard_place(guards[0], bytes, 0);
        for (size_t i = 0; i < bytes; i++) base[i] = (uint8_t)random_u64(&state);
        struct prefix_streams start = {.base = base, .limit = (bytes - 8) * 8 + 7};
        size_t lengths[PREFIX_STREAMS];
        for (int j = 0; j < PREFIX_STREAMS; j++) {
            start.bit[j] = random_below(&state, start.limit + 1);
            lengths[j] = 1 + random_below(&state, 900);
        }
        for (int one = 0; one < 2; one++) {
            struct prefix_streams first = {.base = NULL};
            for (int b = backend_count - 1; b >= 0; b--) { /* the scalar one first */
                struct prefix_streams s = start;
                uint8_t *out[PREFIX_STREAMS], *at = guards[1].end;
                for (int j = PREFIX_STREAMS - 1; j >= 0; j--) {
                    at -= lengths[j] + PREFIX_GROUP - 1;
                    s.out[j] = out[j] = at;
                    s.stop[j] = at + lengths[j];
                    memset(at, 0xEE, lengths[j] + PREFIX_GROUP - 1);
                }
                if (one) backends[b]->prefix_read_one(runs, window, &s);
                if (!one) backends[b]->prefix_read(runs, window, &s);
                if (b == backend_count - 1) first = s;
                for (int j = 0; j < (one ? 1 : PREFIX_STREAMS); j++) {
                    const size_t got = (size_t)(s.out[j] - out[j]);
                    CHECK(got < lengths[j] + PREFIX_GROUP - 1);
                    if (b == backend_count - 1) memcpy(expected[j], out[j], got);
                    CHECK(s.bit[j] == first.bit[j] && s.out[j] == first.out[j]);
                    CHECK(memcmp(expected[j], out[j], got) == 0);
                }
            }
        }
    }
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static const int32_t dense_codes[] = {QSGD_CODE_ELIAS_GAMMA, QSGD_CODE_ELIAS_DELTA,
                                      QSGD_CODE_ELIAS_OMEGA, QSGD_CODE_HUFFMAN};

static void uniform_levels(struct levels *levels, uint32_t s, bool zero) {
    qsgd_params params = {.levels = QSGD_LEVELS_UNIFORM, .s = s, .zero = zero};
    levels_build(levels, &params);
}

static struct code_chunk chunk_of(const struct levels *levels, int32_t code, size_t len,
                                  size_t segment, int backend) {
    return (struct code_chunk){.levels = levels,
                               .kernels = backends[backend],
                               .code = code,
                               .len = len,
                               .segment = segment,
                               .scratch = &scratch};
}

/* Indices around 0, with a width that differs much from segment to segment, and at times an extreme
 * one: streams come to their ends at different times and codewords longer than the window occur. */
static void fill_indices(const struct levels *levels, int16_t *k, size_t len, size_t segment) {
    uint64_t width = 1;
    for (size_t i = 0; i < len; i++) {
        if (i % segment == 0) width = (uint64_t)1 << random_below(&state, 6);
        int32_t v = (int32_t)random_below(&state, 2 * width + 1) - (int32_t)width;
        if (random_below(&state, 400) == 0) v = random_below(&state, 2) ? 32767 : -32767;
        v = v > levels->kmax ? levels->kmax : (v < levels->kmin ? levels->kmin : v);
        k[i] = (int16_t)(levels_has(levels, v) ? v : levels->idle);
    }
}

/* A dense Elias payload bit by bit. */
static size_t elias_payload(const struct code_chunk *chunk, const int16_t *k, uint8_t *dst) {
    static uint8_t streams[8 * LONGEST];
    const int32_t elias = chunk->code - QSGD_CODE_ELIAS_GAMMA;
    uint32_t lengths[LONGEST / 256 + 1];
    uint64_t at = 0;
    memset(streams, 0, sizeof streams);
    for (size_t s = 0; s < code_segments(chunk); s++) {
        const uint64_t start = at / 8;
        for (size_t i = 0; i < segments_elements(chunk, s); i++) {
            const int32_t v = k[s * chunk->segment + i];
            const uint64_t m = (uint64_t)(v < 0 ? -v : v) + (chunk->levels->zero ? 1 : 0);
            struct codeword word = elias_codeword(elias, m);
            put_bits(streams, &at, word.bits, word.length);
            if (v != 0) put_bits(streams, &at, v < 0 ? 1U : 0U, 1);
        }
        at = (at + 7) / 8 * 8;
        lengths[s] = (uint32_t)(at / 8 - start);
    }
    size_t head = segments_write(lengths, code_segments(chunk), dst, SIZE_MAX / 2);
    memcpy(dst + head, streams, (size_t)at / 8);
    return head + (size_t)at / 8;
}

/* Reads a payload from memory that ends where it ends. */
static qsgd_status read_payload(const struct code_chunk *chunk, const uint8_t *payload,
                                size_t bytes, int16_t *k) {
    const struct code *code = code_find(chunk->code);
    uint8_t *copy = guard_place(guards[0], bytes, 0);
    struct code_plan plan;
    size_t where;
    memcpy(copy, payload, bytes);
    memset(&plan, 0, sizeof plan);
    for (size_t i = 0; i < chunk->len; i++) k[i] = INT16_MIN;
    qsgd_status status = code->parse(chunk, copy, bytes, &plan, &where);
    return status == QSGD_OK ? code->read(chunk, &plan, k) : status;
}

static void chunks_round_trip_on_all_backends_whatever_their_segments(void) {
    static const size_t lengths[] = {511, 512, 513, 1030, 2048, 2049, 5000, 16384, 20001, LONGEST};
    static const size_t segments[] = {256, 300, 512, 513, 8192, LONGEST};
    static const uint32_t counts[] = {1, 3, 7, 15, 16, 31, 127, 200, 32767};
    static uint8_t expected[8 * LONGEST], dst[8 * LONGEST];
    static int16_t k[LONGEST], back[LONGEST];
    for (int round = 0; round < 160; round++) {
        struct levels levels;
        uniform_levels(&levels, counts[random_below(&state, 9)], random_below(&state, 4) != 0);
        const size_t len = lengths[round % 10], segment = segments[random_below(&state, 6)];
        fill_indices(&levels, k, len, segment);
        const int32_t number = dense_codes[random_below(&state, 4)];
        const struct code *code = code_find(number);
        size_t bytes = 0;
        for (int b = 0; b < backend_count; b++) {
            struct code_chunk chunk = chunk_of(&levels, number, len, segment, b);
            struct code_plan plan = {.body = NULL};
            code->plan(&chunk, k, &plan);
            size_t got = code->write(&chunk, k, &plan, dst, sizeof dst);
            if (b == 0 && number != QSGD_CODE_HUFFMAN) bytes = elias_payload(&chunk, k, expected);
            if (b == 0 && number == QSGD_CODE_HUFFMAN) memcpy(expected, dst, bytes = got);
            CHECK(got == bytes && memcmp(dst, expected, bytes) == 0);
            CHECK(read_payload(&chunk, dst, bytes, back) == QSGD_OK);
            CHECK(memcmp(back, k, len * sizeof *k) == 0);
        }
    }
}

/* The plain readers would hide it if runs were never read to the end. */
static void sound_chunks_are_read_by_runs(void) {
    static uint8_t dst[8 * LONGEST];
    static int16_t k[LONGEST], back[LONGEST];
    struct levels levels;
    uniform_levels(&levels, 7, true);
    for (size_t c = 0; c < 4; c++) {
        for (size_t segment = 256; segment <= LONGEST; segment *= 2) {
            fill_indices(&levels, k, LONGEST, segment);
            for (int b = 0; b < backend_count; b++) {
                struct code_chunk chunk = chunk_of(&levels, dense_codes[c], LONGEST, segment, b);
                const struct code *code = code_find(dense_codes[c]);
                struct code_plan plan = {.body = NULL};
                size_t where;
                code->plan(&chunk, k, &plan);
                size_t bytes = code->write(&chunk, k, &plan, dst, sizeof dst);
                CHECK(code->parse(&chunk, dst, bytes, &plan, &where) == QSGD_OK);
                CHECK(code->read(&chunk, &plan, back) == QSGD_OK); /* builds the tables */
                memset(scratch.tokens, 0xEE, LONGEST);
                CHECK(prefix_read_segments(&chunk, &plan, NULL, scratch.tokens));
                chunk.kernels->whole_tokens(scratch.tokens, LONGEST, back);
                CHECK(memcmp(back, k, sizeof k) == 0);
            }
        }
    }
}

/* What a reader of one index after the other makes of dense Elias segments. */
static qsgd_status elias_status(const struct code_chunk *chunk, const uint8_t *payload,
                                size_t bytes, int16_t *k) {
    const int32_t elias = chunk->code - QSGD_CODE_ELIAS_GAMMA;
    struct code_plan plan;
    memset(&plan, 0, sizeof plan);
    qsgd_status status = segments_parse(chunk, payload, payload + bytes, &plan);
    if (status != QSGD_OK) return status;
    if (plan.tail != payload + bytes) return QSGD_ERR_PADDING;
    const uint8_t *p = plan.body;
    for (size_t s = 0; s < code_segments(chunk); s++) {
        struct bit_reader r;
        bit_read_init(&r, p, p + segments_length(&plan, s));
        p = r.end;
        for (size_t i = 0; i < segments_elements(chunk, s); i++) {
            msb_refill(&r);
            uint64_t v = elias_take(elias, &r, 15);
            int32_t m = (int32_t)v - (chunk->levels->zero ? 1 : 0);
            if (v != 0 && m != 0 && msb_take(&r, 1) != 0) m = -m;
            if (v == 0 || !levels_has(chunk->levels, m)) return QSGD_ERR_STREAM;
            k[s * chunk->segment + i] = (int16_t)m;
        }
        if (!msb_read_end(&r)) return r.overrun ? QSGD_ERR_STREAM : QSGD_ERR_PADDING;
    }
    return QSGD_OK;
}

static void damaged_chunks_are_refused_as_a_plain_reader_would(void) {
    enum { LEN = 5000 };
    static uint8_t dst[8 * LEN];
    static int16_t k[LEN], expected[LEN], back[LEN];
    int sound = 0, streams = 0, paddings = 0;
    for (int round = 0; round < 3000; round++) {
        struct levels levels;
        uniform_levels(&levels, round % 2 == 0 ? 7 : 100, round % 3 != 0);
        const int32_t number = dense_codes[round % 4];
        const size_t len = round % 5 == 0 ? 600 : LEN, segment = round % 7 == 0 ? LEN : 256;
        struct code_chunk chunk = chunk_of(&levels, number, len, segment, round % backend_count);
        struct code_plan plan = {.body = NULL};
        fill_indices(&levels, k, len, segment);
        code_find(number)->plan(&chunk, k, &plan);
        size_t bytes = code_find(number)->write(&chunk, k, &plan, dst, sizeof dst);
        /* a bit, a run of bytes, or one segment longer at the cost of the next */
        const size_t at = (size_t)random_below(&state, bytes), table = 1 + code_segments(&chunk);
        if (round % 3 == 0) dst[at] ^= (uint8_t)(1U << random_below(&state, 8));
        if (round % 3 == 1)
            memset(dst + at, (int)random_u64(&state) & 0xFF, bytes - at < 9 ? 1 : 9);
        if (round % 3 == 2 && bytes > 60) {
            const size_t one = 1 + random_below(&state, table < 3 ? 1 : table - 2);
            dst[one]++;
            dst[one + 1]--;
        }
        qsgd_status status = read_payload(&chunk, dst, bytes, back);
        bool all = true;
        for (size_t i = 0; i < len; i++)
            all &= back[i] == INT16_MIN || levels_has(&levels, back[i]);
        CHECK(all);
        sound += status == QSGD_OK;
        streams += status == QSGD_ERR_STREAM;
        paddings += status == QSGD_ERR_PADDING;
        if (number == QSGD_CODE_HUFFMAN) continue;
        CHECK(status == elias_status(&chunk, dst, bytes, expected));
        if (status == QSGD_OK) CHECK(memcmp(back, expected, len * sizeof *back) == 0);
    }
    CHECK(sound > 20 && streams > 20 && paddings > 20);
}

int main(void) {
    find_backends();
    for (int i = 0; i < 3; i++) guards[i] = guard_new(8 * LONGEST);
    memory =
        aligned_alloc(64, (sizeof *memory + (size_t)prefix_runs_bytes(SIZE_MAX) + 63) / 64 * 64);
    void *work = new_scratch(&scratch, LONGEST);
    kernels_write_what_single_bits_make();
    runs_hold_all_codewords_within_the_window_up_to_six();
    kernels_read_alike_and_stop_in_time();
    chunks_round_trip_on_all_backends_whatever_their_segments();
    sound_chunks_are_read_by_runs();
    damaged_chunks_are_refused_as_a_plain_reader_would();
    for (int i = 0; i < 3; i++) guard_free(guards[i]);
    free(memory);
    free(work);
    return check_result();
}
