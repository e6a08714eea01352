/* The rANS kernels of every backend against the scalar one and against the stream rule of FORMAT.md
 * section 7.6: all lane counts, table precisions and class counts, split classes and others, guard
 * pages around the words. */
#define _DEFAULT_SOURCE
#include "backends/dispatch.h"
#include "guard.h"
#include "support.h"

#define LONGEST 8192
#define CLASSES 8

static uint64_t state = 20250714;
static struct guard guards[4]; /* symbols, words, decoded tokens, halves */

static struct {
    struct rans_symbol_table symbols[CLASSES];
    _Alignas(64) uint8_t tables[CLASSES * RANS_TABLE_BYTES];
    uint8_t symbol_of[CLASSES][1 << 13]; /* by half and slot */
    uint8_t classes[LONGEST / 128 + 1];
    uint16_t freq[CLASSES][64], start[CLASSES][64];
} model;

/* Random frequencies of A tokens, from the symbol `first` on, that sum to 2^P, each at least 1. */
static void build_table(unsigned class, unsigned first, unsigned tokens, unsigned prob_bits) {
    uint32_t rest = (1U << prob_bits) - tokens, start = 0;
    uint8_t *symbol_of = model.symbol_of[class] + (first == 0 ? 0 : 1U << prob_bits);
    for (unsigned t = 0; t < tokens; t++) {
        const uint32_t more = t + 1 == tokens ? rest : (uint32_t)random_below(&state, rest / 2 + 1);
        model.freq[class][first + t] = (uint16_t)(1 + more);
        model.start[class][first + t] = (uint16_t)start;
        memset(symbol_of + start, (int)(first + t), 1 + more);
        start += 1 + more;
        rest -= more;
    }
}

static void build_class(unsigned class, unsigned most, unsigned prob_bits, bool split) {
    memset(model.freq[class], 0, sizeof model.freq[class]);
    build_table(class, 0, 1 + (unsigned)random_below(&state, most), prob_bits);
    if (split) {
        build_table(class, RANS_HALF, 1 + (unsigned)random_below(&state, most), prob_bits);
    }
}

static unsigned class_at(const struct rans_job *job, size_t i) {
    return job->classes == NULL ? 0 : job->classes[i / 128];
}

/* A random symbol of element i, whose half is random where its class is not split. */
static uint8_t random_symbol(const struct rans_job *job, size_t i, uint8_t *half) {
    const unsigned class = class_at(job, i), h = (unsigned)random_below(&state, 2);
    const size_t slot = (size_t)random_below(&state, (uint64_t)1 << job->prob_bits);
    const bool split = (job->split >> class & 1) != 0;
    *half = (uint8_t)(h * RANS_HALF);
    return model.symbol_of[class][slot + (split ? (size_t)h << job->prob_bits : 0)];
}

static uint8_t token_of(const struct rans_job *job, size_t i, uint8_t symbol) {
    const bool split = (job->split >> class_at(job, i) & 1) != 0;
    return split ? symbol % RANS_HALF : symbol;
}

/* Words of a chunk, by group. */
struct words {
    uint16_t *first[RANS_GROUPS], *end[RANS_GROUPS];
};

static size_t groups_of(const struct rans_job *job) {
    return job->lanes_log2 <= 4 ? 1 : (size_t)1 << (job->lanes_log2 - 4);
}

static size_t count_of(const struct words *w, size_t g) {
    return (size_t)(w->end[g] - w->first[g]);
}

/* Room for all words of every group, and what may be overwritten before them. */
static struct words words_in(uint16_t *memory) {
    struct words w;
    for (size_t g = 0; g < RANS_GROUPS; g++) {
        w.first[g] = w.end[g] = memory + (g + 1) * (LONGEST + 32);
    }
    return w;
}

/* Words downward from their ends, states: as ENCODER.md has it, with div and mod. */
static void reference_encode(const struct rans_job *job, const uint8_t *symbols, struct words *w,
                             uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    for (size_t i = job->len; i-- > 0;) {
        const unsigned class = class_at(job, i);
        uint32_t f = model.freq[class][symbols[i]], *x = &states[i % lanes];
        if (*x >> (32 - job->prob_bits) >= f) {
            *--w->first[i % lanes / 16] = (uint16_t)*x;
            *x >>= 16;
        }
        *x = (*x / f << job->prob_bits) + *x % f + model.start[class][symbols[i]];
    }
}

/* All at once, or in pieces of 128 elements. */
static void decode_some(const struct kernels *kernels, const struct rans_job *job,
                        struct rans_stream *stream, size_t piece, const uint8_t *halves,
                        uint8_t *out) {
    while (stream->at < job->len) {
        const size_t from = stream->at, to = job->len - from < piece ? job->len : from + piece;
        stream->halves = job->split == 0 ? NULL : halves + from;
        kernels->rans_decode(job, model.tables, stream, to, out + from);
        CHECK(stream->at == to);
    }
}

/* The stream in one block of bytes, of which the last `missing` words of the last group are cut. */
static void decode_open(struct rans_stream *stream, const struct rans_job *job,
                        const struct words *w, const uint32_t *states, uint8_t *bytes,
                        size_t missing) {
    const size_t groups = groups_of(job);
    memset(stream, 0, sizeof *stream);
    memcpy(stream->states, states, sizeof *states << job->lanes_log2);
    for (size_t g = 0; g < groups; g++) {
        const size_t count = count_of(w, g) - (g + 1 == groups ? missing : 0);
        stream->words[g] = bytes;
        for (size_t i = 0; i < count; i++, bytes += 2) store_le16(bytes, w->first[g][i]);
        stream->end[g] = bytes;
    }
}

static bool at_end(const struct rans_stream *stream, const struct rans_job *job) {
    for (size_t g = 0; g < groups_of(job); g++) {
        if (stream->words[g] != stream->end[g]) return false;
    }
    return true;
}

static void check_decode(const struct kernels *kernels, const struct rans_job *job,
                         const uint32_t *states, const uint32_t *rest, const struct words *w,
                         const uint8_t *symbols, const uint8_t *halves, size_t missing) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    size_t count = 0;
    for (size_t g = 0; g < groups_of(job); g++) count += count_of(w, g);
    uint8_t *bytes = guard_place(guards[1], 2 * (count - missing), 0);
    uint8_t *out = guard_place(guards[2], job->len, 0);
    kernels->rans_decode_tables(job, model.tables);
    for (int pieces = 0; pieces < 2; pieces++) {
        struct rans_stream stream;
        decode_open(&stream, job, w, states, bytes, missing);
        memset(out, 0xFF, job->len);
        decode_some(kernels, job, &stream, pieces != 0 ? 128 : job->len, halves, out);
        CHECK(stream.bad == (missing > 0));
        if (missing > 0) continue;
        CHECK(at_end(&stream, job));
        for (size_t i = 0; i < job->len; i++) CHECK(out[i] == token_of(job, i, symbols[i]));
        for (size_t l = 0; l < lanes; l++) CHECK(stream.states[l] == rest[l]);
    }
}

/* Both streams of two chunks, of which the second has other classes, and may run out of words. */
static void check_two(const struct kernels *kernels, const struct rans_job *job, size_t missing) {
    static uint8_t stored[2][2 * LONGEST], symbols[2][LONGEST], tokens[2][LONGEST];
    static uint8_t halves[2][LONGEST], out[2][LONGEST], classes[LONGEST];
    static _Alignas(64) uint8_t tables[2][CLASSES * RANS_TABLE_BYTES];
    static uint16_t memory[RANS_GROUPS * (LONGEST + 32)], freq[2][CLASSES][64];
    struct rans_job jobs[2];
    struct rans_stream streams[2];
    const size_t lanes = (size_t)1 << job->lanes_log2, last = groups_of(job) - 1;
    for (int c = 0; c < 2; c++) { /* the second's classes are the first's, reversed */
        uint32_t states[RANS_LANES];
        struct words w = words_in(memory);
        memcpy(freq[c], model.freq, sizeof freq[c]);
        jobs[c] = *job;
        jobs[c].freq = (const uint16_t (*)[64])freq[c];
        if (c == 1 && job->classes != NULL) {
            for (size_t g = 0; g <= job->len / 128; g++) {
                classes[g] = (uint8_t)(job->tables - 1 - job->classes[g]);
            }
            jobs[1].classes = classes;
        }
        for (size_t i = 0; i < job->len; i++) {
            symbols[c][i] = random_symbol(&jobs[c], i, &halves[c][i]);
            tokens[c][i] = token_of(&jobs[c], i, symbols[c][i]);
        }
        for (size_t l = 0; l < lanes; l++) states[l] = RANS_LOW;
        kernels->rans_encode(&jobs[c], model.symbols, symbols[c], w.first, states);
        const bool cut = c == 1 && missing < count_of(&w, last);
        decode_open(&streams[c], job, &w, states, stored[c], cut ? missing : 0);
        kernels->rans_decode_tables(&jobs[c], tables[c]);
    }
    const void *const built[2] = {tables[0], tables[1]};
    struct rans_stream *const both[2] = {&streams[0], &streams[1]};
    for (size_t from = 0; from < job->len; from += 1024) {
        uint8_t *const to[2] = {out[0] + from, out[1] + from};
        for (int c = 0; c < 2; c++) {
            streams[c].halves = job->split == 0 ? NULL : halves[c] + from;
        }
        kernels->rans_decode_two(jobs, built, both, job->len - from < 1024 ? job->len : from + 1024,
                                 to);
    }
    CHECK(memcmp(out[0], tokens[0], job->len) == 0 && !streams[0].bad);
    CHECK(at_end(&streams[0], job));
    CHECK(streams[1].bad || memcmp(out[1], tokens[1], job->len) == 0);
    CHECK(streams[1].bad || at_end(&streams[1], job));
}

static void check_job(const struct kernels *kernels, const struct rans_job *job,
                      const uint8_t *tokens, const uint8_t *halves) {
    static uint16_t expected_memory[RANS_GROUPS * (LONGEST + 32)];
    static uint16_t memory[RANS_GROUPS * (LONGEST + 32)];
    uint32_t rest[RANS_LANES], states[RANS_LANES], got[RANS_LANES];
    const size_t lanes = (size_t)1 << job->lanes_log2, last = groups_of(job) - 1;
    struct words expected = words_in(expected_memory), w = words_in(memory);
    for (size_t l = 0; l < lanes; l++) {
        rest[l] = states[l] = got[l] = RANS_LOW + (uint32_t)random_below(&state, RANS_LOW);
    }
    reference_encode(job, tokens, &expected, states);
    /* nothing is written behind a group's end */
    memset(memory, 0xA5, sizeof memory);
    kernels->rans_encode(job, model.symbols, tokens, w.first, got);
    for (size_t g = 0; g <= last; g++) {
        CHECK(count_of(&w, g) == count_of(&expected, g));
        CHECK(memcmp(w.first[g], expected.first[g], 2 * count_of(&w, g)) == 0);
        const uint16_t *stop = g < last ? w.first[g + 1] - 16 : w.end[g];
        for (const uint16_t *p = w.end[g]; p < stop; p++) CHECK(*p == 0xA5A5);
    }
    CHECK(memcmp(got, states, 4 * lanes) == 0);
    check_decode(kernels, job, states, rest, &expected, tokens, halves, 0);
    if (count_of(&w, last) > 0) {
        check_decode(kernels, job, states, rest, &expected, tokens, halves, 1);
    }
    if (count_of(&w, last) > 20) {
        check_decode(kernels, job, states, rest, &expected, tokens, halves,
                     count_of(&w, last) - 20);
    }
}

static void check_kernels(const struct kernels *kernels) {
    for (size_t n = 1; n <= LONGEST; n += n < 70 ? 1 : (n < 600 ? 61 : 2531)) {
        for (unsigned lanes_log2 = 0; lanes_log2 <= RANS_LANES_LOG2; lanes_log2++) {
            unsigned prob_bits = 8 + (unsigned)random_below(&state, 5);
            unsigned classes = 1 + (unsigned)random_below(&state, CLASSES);
            const unsigned most = 16U << random_below(&state, 3);
            const unsigned some = (unsigned)random_below(&state, 1U << classes);
            const unsigned split = random_below(&state, 2) == 0 ? 0 : some;
            for (unsigned c = 0; c < classes; c++) {
                const bool two = (split >> c & 1) != 0;
                build_class(c, two && most > 32 ? 32 : (most < 63 ? most : 63), prob_bits, two);
            }
            for (size_t g = 0; g < sizeof model.classes; g++) {
                model.classes[g] = (uint8_t)random_below(&state, classes);
            }
            struct rans_job job = {.classes = classes == 1 ? NULL : model.classes,
                                   .len = n,
                                   .lanes_log2 = lanes_log2,
                                   .prob_bits = prob_bits,
                                   .tokens = split != 0 ? 64 : (most < 63 ? most : 63),
                                   .tables = classes,
                                   .split = split,
                                   .freq = (const uint16_t (*)[64])model.freq};
            for (unsigned c = 0; c < classes; c++) {
                kernels->rans_symbols(model.freq[c], prob_bits, &model.symbols[c]);
                job.plus |= model.symbols[c].plus;
            }
            uint8_t *tokens = guard_place(guards[0], n, lanes_log2 % 2 == 0 ? 0 : SIZE_MAX);
            uint8_t *halves = guard_place(guards[3], n, lanes_log2 % 2 == 0 ? 0 : SIZE_MAX);
            for (size_t i = 0; i < n; i++) tokens[i] = random_symbol(&job, i, &halves[i]);
            check_job(kernels, &job, tokens, halves);
            check_two(kernels, &job, 0);
            check_two(kernels, &job, 20);
        }
    }
}

/* Every frequency at every precision: the pushed state is that of ENCODER.md's div and mod, at both
 * ends of x's range and about it. */
static void every_quotient_is_exact(const struct kernels *kernels) {
    for (unsigned prob_bits = 8; prob_bits <= 12; prob_bits++) {
        const uint32_t whole = 1U << prob_bits;
        for (uint32_t f = 1; f <= whole; f++) {
            uint16_t freq[64] = {(uint16_t)f, (uint16_t)(whole - f)};
            const uint32_t end = f == whole ? UINT32_MAX : f << (32 - prob_bits);
            const uint32_t q = end / f, xs[] = {RANS_LOW,        RANS_LOW + f - 1, end - 1,
                                                end - f,         end - f - 1,      q / 2 * f - 1,
                                                (q / 2 + 1) * f, q / 3 * f + f / 2};
            struct rans_symbol_table table;
            kernels->rans_symbols(freq, prob_bits, &table);
            for (size_t i = 0; i < sizeof xs / sizeof *xs; i++) {
                uint32_t x = xs[i];
                if (x < RANS_LOW || x >= end) continue;
                struct rans_job job = {.len = 64, .lanes_log2 = 6, .prob_bits = prob_bits};
                job.tokens = 2;
                job.plus = table.plus;
                uint16_t memory[RANS_GROUPS][64], *words[RANS_GROUPS];
                uint8_t tokens[64] = {0};
                uint32_t states[64];
                for (int g = 0; g < RANS_GROUPS; g++) words[g] = memory[g] + 64;
                for (int l = 0; l < 64; l++) states[l] = x;
                kernels->rans_encode(&job, &table, tokens, words, states);
                for (int g = 0; g < RANS_GROUPS; g++) CHECK(words[g] == memory[g] + 64);
                const uint32_t expected = (x / f << prob_bits) + x % f;
                for (int l = 0; l < 64; l++) CHECK(states[l] == expected);
            }
        }
    }
}

/* True if the first payload is rANS of 16 lanes or more, of which some class is split. */
static bool splits(const struct bytes *frame) {
    struct parts parts;
    if (!frame_parts(frame->p, frame->n, &parts)) return false;
    const uint8_t *p = frame->p + parts.payload; /* a head, lanes and classes, a bit per class */
    const uint8_t *body = p + head_bytes(&parts, 1, p);
    return p[0] == 0 && (body[0] & 15) >= 4 &&
           (body[1] >> 3 & ((1U << (1 + (body[1] & 7))) - 1)) != 0;
}

/* Two chunks with classes, which dithered frames split, are decoded side by side; from where one's
 * words run out, in the middle of a group, each goes on by itself. */
static void chunks_that_run_out_apart_are_decoded(void) {
    enum { CHUNK = 32768 }; /* 64 lanes, or 32 */
    int split = 0;
    static float x[2 * CHUNK], whole[2 * CHUNK], part[CHUNK];
    qsgd_params p = params_qsgd();
    p.bucket = 0;
    p.chunk_log2 = 15;
    p.classes = QSGD_CLASSES_ON;
    for (size_t zeros = 200; zeros < 12000; zeros += 449) {
        p.rounding = zeros % 2 == 0 ? QSGD_ROUND_STOCHASTIC : QSGD_ROUND_DITHERED;
        p.s = zeros % 2 == 0 ? 7 : 2;
        for (size_t i = 0; i < 2 * CHUNK; i++) {
            x[i] = random_float(&state) * (random_below(&state, 2) != 0 ? 1.0F : 0.9F);
            if (i / 128 % 3 == 0) x[i] *= 0.1F;
            if (i < CHUNK && i >= CHUNK - zeros) x[i] = 1e-30F; /* rounds to 0 */
        }
        struct bytes b = encode_frame(&p, NULL, x, 2 * CHUNK);
        split += p.rounding == QSGD_ROUND_DITHERED && splits(&b);
        CHECK(decode_frame(b.p, b.n, 0, whole, 2 * CHUNK, NULL) == QSGD_OK);
        qsgd_memory work = decode_workspace(b.p, b.n, NULL);
        for (uint64_t first = 0; first < 2 * CHUNK; first += CHUNK) { /* one chunk by itself */
            CHECK(qsgd_decode_range(b.p, b.n, NULL, first, first + CHUNK, part, work, NULL) ==
                  QSGD_OK);
            CHECK(memcmp(part, whole + first, sizeof part) == 0);
        }
        odd_free(work);
        free(b.p);
    }
    CHECK(split > 10);
}

int main(void) {
    int32_t available;
    for (int i = 0; i < 4; i++) guards[i] = guard_new(2 * LONGEST + 64);
    for (uint32_t i = 0; qsgd_backends(i, &available) != NULL; i++) {
        if (!available) continue;
        CHECK(qsgd_set_backend(qsgd_backends(i, NULL), NULL) == QSGD_OK);
        check_kernels(kernels_current());
        every_quotient_is_exact(kernels_current());
        chunks_that_run_out_apart_are_decoded();
    }
    for (int i = 0; i < 4; i++) guard_free(guards[i]);
    return check_result();
}
