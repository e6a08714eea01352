/* Lossless frames (FORMAT.md section 7.9): their kernels on every backend beside one element at a
 * time; any bits of every float type come back, and frames are alike on all backends; payloads that
 * are damaged are refused. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "lengths.h"
#include "support.h"

static struct guard guards[4];
static uint64_t state = 20260801;

static uint16_t half_below(uint64_t bound) { return (uint16_t)random_below(&state, bound); }

static void halves_split_and_merge(void) {
    static uint16_t halves[LONGEST];
    static uint8_t tokens[LONGEST];
    static uint16_t fields[LONGEST], merged[LONGEST];
    FOR_LENGTHS(n) {
        FOR_GAPS(gap, n) {
            const int shift = 4 + (int)random_below(&state, 7);
            const struct lossless_split s = {
                shift, 1 + (unsigned)random_below(&state, ((uint64_t)1 << (15 - shift)) - 1)};
            for (size_t i = 0; i < n; i++) {
                halves[i] = half_below(4) == 0 ? half_below(32) : half_below(65536);
                const unsigned symbol = (halves[i] & 0x7FFFU) >> shift, below = s.top - symbol;
                tokens[i] = (uint8_t)(symbol == 0 ? 0 : (below < 61 ? below + 2 : 1));
                const unsigned low = halves[i] & ((1U << shift) - 1);
                fields[i] = (uint16_t)(low | (unsigned)halves[i] >> 15 << shift);
                merged[i] = tokens[i] == 1 ? (uint16_t)(low | (halves[i] & 0x8000U)) : halves[i];
            }
            uint16_t *in = guard_place(guards[0], 2 * n, even(gap));
            uint8_t *t = guard_place(guards[1], n, gap);
            int16_t *f = guard_place(guards[2], 2 * n, even(gap));
            uint16_t *out = guard_place(guards[3], 2 * n, even(gap));
            memcpy(in, halves, 2 * n);
            for (int b = 0; b < backend_count; b++) {
                memset(t, 0xFF, n);
                memset(f, 0xFF, 2 * n);
                memset(out, 0xFF, 2 * n);
                backends[b]->lossless_split(&s, in, n, t, f);
                CHECK(memcmp(t, tokens, n) == 0 && memcmp(f, fields, 2 * n) == 0);
                backends[b]->lossless_merge(&s, t, f, n, out);
                CHECK(memcmp(out, merged, 2 * n) == 0);
            }
        }
    }
}

static void words_are_two_halves(void) {
    static uint32_t words[LONGEST];
    FOR_LENGTHS(n) {
        uint32_t *in = guard_place(guards[0], 4 * n, 0), *out = guard_place(guards[3], 4 * n, 0);
        uint16_t *upper = guard_place(guards[1], 2 * n, 0),
                 *lower = guard_place(guards[2], 2 * n, 0);
        for (size_t i = 0; i < n; i++) words[i] = half_below(65536) * 65537U ^ half_below(65536);
        memcpy(in, words, 4 * n);
        for (int b = 0; b < backend_count; b++) {
            bool right = true;
            memset(upper, 0xFF, 2 * n);
            memset(lower, 0xFF, 2 * n);
            memset(out, 0xFF, 4 * n);
            backends[b]->halves_of_words(in, n, upper, lower);
            for (size_t i = 0; i < n; i++) {
                right &= upper[i] == words[i] >> 16 && lower[i] == (words[i] & 0xFFFF);
            }
            backends[b]->words_of_halves(upper, lower, n, out);
            CHECK(right && memcmp(out, words, 4 * n) == 0);
        }
    }
}

/* ---- frames --------------------------------------------------------------------------------- */

#define MOST 3000 /* three chunks */

static size_t item_of(uint32_t dtype) {
    return dtype == QSGD_FLOAT32 ? 4 : (dtype == QSGD_FLOAT64 ? 8 : 2);
}

/* n numbers of a type: exponents near each other, perhaps zeros, perhaps anything among them. */
static void fill(void *to, uint32_t dtype, size_t n, unsigned kind) {
    static const unsigned mantissa[4] = {23, 52, 10, 7}, bias[4] = {127, 1023, 15, 127};
    for (size_t i = 0; i < n; i++) {
        uint64_t any = 0;
        for (int h = 0; h < 4; h++) any = any << 16 | half_below(65536);
        const uint64_t exponent = bias[dtype] - random_below(&state, 8);
        uint64_t bits = (any & (((uint64_t)1 << mantissa[dtype]) - 1)) | exponent
                                                                             << mantissa[dtype];
        bits |= (any >> 63) << (8 * item_of(dtype) - 1);
        if (kind % 2 == 1 && any >> 60 < 9) bits = 0;
        if (kind / 2 % 2 == 1 && any >> 56 % 16 < 2) bits = any;
        if (kind == 4) bits = any;
        if (kind == 5) bits = (uint64_t)1 << (8 * item_of(dtype) - 1); /* -0 */
        const uint64_t as64 = bits;
        const uint32_t as32 = (uint32_t)bits;
        const uint16_t as16 = (uint16_t)bits;
        const void *from = dtype == QSGD_FLOAT64   ? (const void *)&as64
                           : dtype == QSGD_FLOAT32 ? (const void *)&as32
                                                   : (const void *)&as16;
        memcpy((uint8_t *)to + i * item_of(dtype), from, item_of(dtype));
    }
}

static struct bytes frame_of(uint32_t dtype, const void *x, size_t n) {
    qsgd_params p;
    qsgd_encode_options o;
    qsgd_params_init(&p);
    qsgd_encode_options_init(&o);
    p.code = QSGD_CODE_LOSSLESS;
    p.chunk_log2 = 10;
    o.dtype = dtype;
    return encode_frame(&p, &o, x, n);
}

static void any_bits_come_back(void) {
    static uint64_t x[MOST + 1], y[MOST + 1];
    static const size_t lengths[] = {0, 1, 2, 31, 1024, 1025, MOST};
    for (uint32_t dtype = 0; dtype < 4; dtype++) {
        for (unsigned kind = 0; kind < 6; kind++) {
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const size_t n = lengths[l], bytes = n * item_of(dtype);
                uint8_t *const from = (uint8_t *)x + l % 2, *const to = (uint8_t *)y + l % 3;
                fill(from, dtype, n, kind);
                struct bytes first = {0};
                for (int b = 0; b < backend_count; b++) {
                    CHECK(qsgd_set_backend(backends[b]->name, NULL) == QSGD_OK);
                    struct bytes f = frame_of(dtype, from, n);
                    memset(to, 0x5A, bytes);
                    CHECK(decode_frame(f.p, f.n, 0, to, n, NULL) == QSGD_OK);
                    CHECK(memcmp(from, to, bytes) == 0);
                    CHECK(b == 0 || (f.n == first.n && memcmp(f.p, first.p, (size_t)f.n) == 0));
                    if (b == 0) first = bytes_copy(f.p, f.n);
                    free(f.p);
                }
                free(first.p);
            }
        }
    }
    CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
}

/* ---- damage --------------------------------------------------------------------------------- */

struct damage {
    const char *hex; /* the payload of four bfloat16 */
    qsgd_status status;
    size_t offset;
};

/* top 127: token 2 is exponent 127. */
static const struct damage damages[] = {
    {"02 7F00 0008 00000000 02", QSGD_OK, 0},    /* four times 1 */
    {"02 7F00 0000 02", QSGD_OK, 0},             /* the same, shorter */
    {"0A 7F00 04 20202020 0000 01", QSGD_OK, 0}, /* four escapes, of exponent 32 */
    {"06 7F00 00 0000 00", QSGD_OK, 0},          /* zeros */
    {"00 0000 0000 0000 0000", QSGD_OK, 0},      /* plain */
    {"", QSGD_ERR_CHUNK, 0},
    {"00 0000 0000 0000", QSGD_ERR_CHUNK, 0},           /* plain, cut */
    {"03 7F00 0000 02", QSGD_ERR_CHUNK, 0},             /* form 3 */
    {"04 0000 0000 0000 0000", QSGD_ERR_CHUNK, 0},      /* plain with more bits */
    {"42 7F00 0000 02", QSGD_ERR_CHUNK, 0},             /* bit 6 */
    {"02 7F", QSGD_ERR_STREAM, 1},                      /* cut */
    {"02 0000 0000 02", QSGD_ERR_STREAM, 1},            /* top 0 */
    {"02 0001 0000 02", QSGD_ERR_STREAM, 1},            /* top of nine bits */
    {"02 7F00 0009 0000000000 02", QSGD_ERR_STREAM, 3}, /* nine bits of eight */
    {"02 7F00 0108 00000000 02", QSGD_ERR_STREAM, 3},   /* eight above one */
    {"02 7F00 0100 02", QSGD_ERR_STREAM, 3},            /* none above one */
    {"02 7F00 0008 0000", QSGD_ERR_STREAM, 5},          /* cut */
    {"02 7F00 0003 000010 02", QSGD_ERR_PADDING, 7},
    {"02 7F00 0000", QSGD_ERR_STREAM, 5}, /* no token */
    {"02 7F00 0000 02 00", QSGD_ERR_PADDING, 5},
    {"02 7F00 0000 3F", QSGD_ERR_STREAM, 5}, /* token 63 */
    {"02 0100 0000 03", QSGD_ERR_STREAM, 5}, /* symbol 0 has token 0 */
    {"02 7F00 0000 01", QSGD_ERR_STREAM, 5}, /* an escape that is not listed */
    {"0A 7F00 05 2020202020 0000 01", QSGD_ERR_STREAM, 3},
    {"0A 7F00 00 0000 01", QSGD_ERR_STREAM, 3},                 /* no escapes are said otherwise */
    {"0A 7F00 04 20207F20 0000 01", QSGD_ERR_STREAM, SIZE_MAX}, /* one has a token */
    {"0A 7F00 04 20200020 0000 01", QSGD_ERR_STREAM, SIZE_MAX}, /* and 0, too */
    {"0A 7F00 03 202020 0000 01", QSGD_ERR_STREAM, SIZE_MAX},
    {"0A 7F00 01 20 0000 02", QSGD_ERR_STREAM, SIZE_MAX},
    {"06 7F00 01 0000 00", QSGD_ERR_STREAM, SIZE_MAX}, /* one that is not there */
    {"06 7F00 05 0000 02", QSGD_ERR_STREAM, 3},
    {"01 7F00 0000", QSGD_ERR_CODE_TABLE, 5}, /* no tables */
};

static size_t bytes_of_hex(const char *hex, uint8_t *to) {
    size_t n = 0;
    for (; *hex != 0; hex++) {
        if (*hex == ' ') continue;
        const char pair[3] = {hex[0], hex[1], 0};
        to[n++] = (uint8_t)strtoul(pair, NULL, 16);
        hex++;
    }
    return n;
}

static void each_payload_has_its_status(void) {
    const uint16_t x[4] = {0x3F80, 0x4000, 0xBF80, 0};
    uint16_t y[4];
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const struct damage *d = &damages[i];
        uint8_t payload[64];
        struct parts parts;
        qsgd_error error = error_new();
        struct bytes f = frame_of(QSGD_BFLOAT16, x, 4);
        const size_t n = bytes_of_hex(d->hex, payload);
        replace_payload(&f, payload, n);
        CHECK(frame_parts(f.p, f.n, &parts));
        const qsgd_status status = decode_frame(f.p, f.n, 0, y, 4, &error);
        const bool deep = d->offset == SIZE_MAX;
        const bool there =
            status == QSGD_OK || error.offset == parts.payload + (deep ? 0 : d->offset);
        if (status != d->status || !there) {
            fprintf(stderr, "%s: %s at %d\n", d->hex, qsgd_status_name(status),
                    (int)(error.offset - parts.payload));
        }
        CHECK(status == d->status && there);
        free(f.p);
    }
}

int main(void) {
    find_backends();
    for (int i = 0; i < 4; i++) guards[i] = guard_new(4 * LONGEST + 64);
    halves_split_and_merge();
    words_are_two_halves();
    any_bits_come_back();
    each_payload_has_its_status();
    for (int i = 0; i < 4; i++) guard_free(guards[i]);
    return check_result();
}
