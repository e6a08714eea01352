/* Tokens with extra bits, kernel by kernel on every backend, against one bit at a time (FORMAT.md
 * section 7.4): all widths, lengths and alignments, streams that end early, guard pages around
 * every buffer; and what the reader of a chunk's indices refuses. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "base/bits.h"
#include "codes/tokens.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "support.h"

#define LONGEST 5000
#define MOST_BYTES ((size_t)LONGEST * 13 / 8 + 1)

static struct guard guards[4];
static uint64_t state = 20261122;

/* 1 .. 140, then a few around the blocks of the kernels. */
static size_t next_length(size_t n) {
    static const size_t more[] = {255,  256,  1023, 1024, 1025, 1055, 1056,
                                  2047, 2048, 2049, 4095, 4096, 4097, LONGEST};
    if (n < 140) return n + 1;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (more[i] > n) return more[i];
    }
    return LONGEST + 1;
}

/* Indices with about one in `rare` of up to `largest`, the others whole tokens. */
static void fill_indices(int16_t *k, size_t n, unsigned rare, uint32_t largest) {
    for (size_t i = 0; i < n; i++) {
        const uint32_t most = random_below(&state, rare) == 0 ? largest : 7;
        const uint32_t octave = most >> random_below(&state, 1 + floor_log2(most));
        const int32_t m = (int32_t)random_below(&state, octave + 1);
        k[i] = (int16_t)(random_below(&state, 2) != 0 ? -m : m);
    }
}

/* The token of k; its extra bits are appended to bits[] from *bit on. */
static uint8_t spell(int32_t k, uint8_t *bits, size_t *bit) {
    const uint32_t m = (uint32_t)(k < 0 ? -k : k);
    if (m < 8) return (uint8_t)(k > 0 ? 2 * k - 1 : -2 * k);
    const unsigned e = floor_log2(m);
    const uint32_t extra = (m & ((1U << (e - 2)) - 1)) << 1 | (k < 0);
    for (unsigned i = 0; i < e - 1; i++, ++*bit) {
        bits[*bit / 8] = (uint8_t)(bits[*bit / 8] | (extra >> i & 1) << (*bit % 8));
    }
    return (uint8_t)(15 + 4 * (e - 3) + (m >> (e - 2) & 3));
}

static uint8_t expected[MOST_BYTES];

static void check_write(const struct kernels *kernels, const int16_t *k, const uint8_t *tokens,
                        size_t n, size_t bytes) {
    static const size_t rooms[] = {0, 1, 7, 8, 40, 73, 3000};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        uint8_t *p = guard_place(guards[0], bytes + rooms[i], 0);
        memset(p, 0xA5, bytes + rooms[i]);
        CHECK(kernels->extra_write(k, tokens, n, p, p + bytes + rooms[i]) == p + bytes);
        CHECK(memcmp(p, expected, bytes) == 0);
    }
    for (size_t less = 1; less <= bytes && less <= 9; less++) {
        uint8_t *p = guard_place(guards[0], bytes - less, 0);
        CHECK(kernels->extra_write(k, tokens, n, p, p + bytes - less) == NULL);
    }
}

/* In blocks of `block`, from a stream that ends at a guard page or `gap` bytes before. */
static void check_read(const struct kernels *kernels, const int16_t *k, const uint8_t *tokens,
                       size_t n, size_t bytes, size_t bits, size_t block, size_t gap) {
    uint8_t *p = guard_place(guards[0], bytes, gap);
    int16_t *back = guard_place(guards[1], 2 * n, 0);
    struct extra_stream s = {p, bytes, 0};
    memcpy(p, expected, bytes);
    memset(back, 0x5A, 2 * n);
    for (size_t i = 0; i < n; i += block) {
        const size_t some = n - i < block ? n - i : block;
        const uint32_t bound = kernels->extra_read(&s, tokens + i, some, back + i);
        for (size_t j = i; j < i + some; j++) CHECK((uint32_t)(k[j] < 0 ? -k[j] : k[j]) <= bound);
    }
    CHECK(s.bit == bits);
    CHECK(memcmp(back, k, 2 * n) == 0);
}

static void extra_bits_are_those_of_the_format(void) {
    for (size_t n = 1; n <= LONGEST; n = next_length(n)) {
        for (unsigned round = 0; round < 6; round++) {
            static const unsigned rare[] = {1, 1, 2, 10, 60, 1000};
            const uint32_t largest = round == 0 ? 32767 : 16U << random_below(&state, 11);
            int16_t *k = guard_place(guards[2], 2 * n, 0);
            uint8_t *tokens = guard_place(guards[3], n, 0);
            size_t bits = 0;
            fill_indices(k, n, rare[round], largest);
            memset(expected, 0, sizeof expected);
            for (size_t i = 0; i < n; i++) tokens[i] = spell(k[i], expected, &bits);
            const size_t bytes = (bits + 7) / 8;
            for (int b = 0; b < backend_count; b++) {
                CHECK(backends[b]->extra_count(tokens, n) == bits);
                check_write(backends[b], k, tokens, n, bytes);
                check_read(backends[b], k, tokens, n, bytes, bits, n, 0);
                check_read(backends[b], k, tokens, n, bytes, bits, n,
                           1 + random_below(&state, 300));
                check_read(backends[b], k, tokens, n, bytes, bits, 1 + random_below(&state, n), 0);
            }
        }
    }
}

/* Every token alone and between others, with every sign and low bits of all ones or none. */
static void every_token_is_read_and_written(void) {
    enum { N = 128 };
    for (unsigned e = 3; e < 15; e++) {
        for (unsigned quarter = 0; quarter < 4; quarter++) {
            for (int kind = 0; kind < 4; kind++) {
                int16_t k[N] = {0};
                uint8_t tokens[N];
                size_t bits = 0;
                const int32_t first = (int32_t)((4 + quarter) << (e - 2));
                const int32_t m = kind & 1 ? first + (1 << (e - 2)) - 1 : first;
                for (size_t i = 0; i < N; i++) {
                    if (kind & 2 && i % 3 != 0) continue;
                    k[i] = (int16_t)(i % 2 != 0 ? -m : m);
                }
                memset(expected, 0, sizeof expected);
                for (size_t i = 0; i < N; i++) tokens[i] = spell(k[i], expected, &bits);
                for (int b = 0; b < backend_count; b++) {
                    uint8_t made[N];
                    backends[b]->tokens(k, N, false, made);
                    CHECK(memcmp(made, tokens, N) == 0);
                    check_write(backends[b], k, tokens, N, (bits + 7) / 8);
                    check_read(backends[b], k, tokens, N, (bits + 7) / 8, bits, N, 0);
                }
            }
        }
    }
}

/* Bits past the end are zeros, wherever the stream ends. */
static void streams_that_end_early_read_alike(void) {
    for (unsigned round = 0; round < 3000; round++) {
        const size_t n = 1 + random_below(&state, 400), bytes = random_below(&state, 400);
        const size_t block = 1 + random_below(&state, n);
        int16_t *k = guard_place(guards[1], 2 * n, 0);
        uint8_t *tokens = guard_place(guards[3], n, 0), *p = guard_place(guards[0], bytes, 0);
        static int16_t first[400];
        uint64_t first_bit = 0;
        for (size_t i = 0; i < n; i++) {
            tokens[i] = (uint8_t)(round % 2 == 0 ? random_below(&state, 63) : 59);
        }
        for (size_t i = 0; i < bytes; i++) p[i] = (uint8_t)random_below(&state, 256);
        for (int b = 0; b < backend_count; b++) {
            struct extra_stream s = {p, bytes, 0};
            for (size_t i = 0; i < n; i += block) {
                backends[b]->extra_read(&s, tokens + i, n - i < block ? n - i : block, k + i);
            }
            if (b == 0) {
                memcpy(first, k, 2 * n);
                first_bit = s.bit;
            }
            CHECK(memcmp(k, first, 2 * n) == 0 && s.bit == first_bit);
        }
    }
}

/* ---- the reader of a chunk's indices --------------------------------------------------------- */

static struct code_chunk chunk_of(struct levels *levels, uint32_t s, int32_t zero, int backend) {
    qsgd_params p = params_qsgd();
    p.s = s;
    p.zero = zero;
    levels_build(levels, &p);
    return (struct code_chunk){.levels = levels, .kernels = backends[backend], .len = 1};
}

/* The status of n times the same token and `bytes` bytes of extra bits; all indices are levels. */
static qsgd_status status_of(const struct code_chunk *chunk, uint8_t token, size_t n,
                             const uint8_t *extra, size_t bytes) {
    uint8_t tokens[100];
    int16_t k[100];
    struct tokens_reader r;
    memset(tokens, token, n);
    tokens_reader_open(&r, chunk, (uint64_t)1 << token, extra, extra + bytes);
    tokens_reader_read(&r, tokens, n / 2, k);
    tokens_reader_read(&r, tokens + n / 2, n - n / 2, k + n / 2);
    for (size_t i = 0; i < n; i++) CHECK(levels_has(chunk->levels, k[i]));
    return tokens_reader_end(&r);
}

static void what_names_no_level_or_does_not_end_is_refused(void) {
    static const uint8_t zeros[64], ones[64] = {255, 255, 255, 255, 255, 255, 255, 255};
    for (int b = 0; b < backend_count; b++) {
        struct levels levels;
        struct code_chunk chunk = chunk_of(&levels, 100, 1, b);
        /* 64 + 16 .. 64 + 31 by four low bits: 96 .. 111 is token 15 + 4 * 3 + 2 */
        CHECK(status_of(&chunk, 29, 64, zeros, 40) == QSGD_OK);
        CHECK(status_of(&chunk, 29, 64, zeros, 39) == QSGD_ERR_STREAM);
        CHECK(status_of(&chunk, 29, 64, zeros, 41) == QSGD_ERR_PADDING);
        CHECK(status_of(&chunk, 29, 1, ones, 1) == QSGD_ERR_STREAM);      /* -111 */
        CHECK(status_of(&chunk, 25, 1, ones + 7, 1) == QSGD_ERR_PADDING); /* -55, ones left */
        CHECK(status_of(&chunk, 28, 1, (uint8_t[]){31}, 1) == QSGD_OK);   /* -95 */
        CHECK(status_of(&chunk, 28, 1, (uint8_t[]){63}, 1) == QSGD_ERR_PADDING);
        CHECK(status_of(&chunk, 31, 1, zeros, 1) == QSGD_ERR_STREAM); /* 128 */
        CHECK(status_of(&chunk, 62, 1, zeros, 2) == QSGD_ERR_STREAM); /* 28672 */
        CHECK(status_of(&chunk, 63, 1, zeros, 0) == QSGD_ERR_STREAM);
        CHECK(status_of(&chunk, 0, 70, zeros, 0) == QSGD_OK);
        CHECK(status_of(&chunk, 0, 70, zeros, 1) == QSGD_ERR_PADDING);
        chunk = chunk_of(&levels, 100, 0, b);
        CHECK(status_of(&chunk, 0, 70, zeros, 0) == QSGD_ERR_STREAM);
        CHECK(status_of(&chunk, 1, 70, zeros, 0) == QSGD_OK);
        chunk = chunk_of(&levels, 7, 1, b); /* direct */
        CHECK(status_of(&chunk, 14, 70, zeros, 0) == QSGD_OK);
        CHECK(status_of(&chunk, 14, 70, zeros, 1) == QSGD_ERR_PADDING);
        CHECK(status_of(&chunk, 15, 70, zeros, 0) == QSGD_ERR_STREAM);
    }
}

/* ---- chunks side by side, and by themselves -------------------------------------------------- */

/* Decoders read two chunks block by block; the checking pass of an atomic one reads each at once.
 * Damage has the same status either way, and what is whole the same values. */
static void damage_has_one_status_however_chunks_are_read(uint32_t s) {
    enum { CHUNK = 32768 };
    static float x[2 * CHUNK], plain[2 * CHUNK], atomic[2 * CHUNK];
    qsgd_params p;
    struct parts parts;
    p = params_qsgd();
    p.s = s;
    p.chunk_log2 = 15;
    p.bucket = 8192;
    for (size_t i = 0; i < 2 * CHUNK; i++) {
        x[i] = random_float(&state) * (i / 1000 % 3 == 0 ? 1.0F : 0.05F);
    }
    struct bytes whole = encode_frame(&p, NULL, x, 2 * CHUNK);
    CHECK(frame_parts(whole.p, whole.n, &parts));
    const uint64_t first = load_le32(whole.p + parts.index);
    const uint64_t middle = parts.payload + first, last = whole.n - middle;
    for (unsigned round = 0; round < 60; round++) {
        struct bytes b = bytes_copy(whole.p, whole.n);
        const uint64_t back = 1 + random_below(&state, round % 3 == 0 ? 40 : 9000);
        if (round % 4 == 0) { /* the second payload is cut, or goes on */
            uint8_t *longer = calloc(1, (size_t)last + 40);
            memcpy(longer, whole.p + middle, (size_t)last);
            replace_payload(&b, longer, round % 8 == 0 ? last - back % 300 : last + back % 40);
            free(longer);
        } else if (round != 1) { /* a bit of the first payload, or of the second */
            uint8_t *at = b.p + (round % 4 == 1 ? middle - back % first : whole.n - back % last);
            *at ^= (uint8_t)(1U << random_below(&state, 8));
            repair_frame(b.p, b.n);
        }
        const qsgd_status status = decode_frame(b.p, b.n, 0, plain, 2 * CHUNK, NULL);
        CHECK(decode_frame(b.p, b.n, QSGD_DECODE_ATOMIC, atomic, 2 * CHUNK, NULL) == status);
        CHECK(status != QSGD_OK || memcmp(plain, atomic, sizeof plain) == 0);
        CHECK(round != 1 || status == QSGD_OK);
        free(b.p);
    }
    free(whole.p);
}

int main(void) {
    find_backends();
    for (int i = 0; i < 4; i++) guards[i] = guard_new(2 * LONGEST + 8192);
    extra_bits_are_those_of_the_format();
    every_token_is_read_and_written();
    streams_that_end_early_read_alike();
    what_names_no_level_or_does_not_end_is_refused();
    for (int b = 0; b < backend_count; b++) {
        CHECK(qsgd_set_backend(backends[b]->name, NULL) == QSGD_OK);
        damage_has_one_status_however_chunks_are_read(7);
        damage_has_one_status_however_chunks_are_read(100);
    }
    for (int i = 0; i < 4; i++) guard_free(guards[i]);
    return check_result();
}
