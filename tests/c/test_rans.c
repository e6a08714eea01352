/* The rANS kernels of every backend against the scalar one and against the stream rule of FORMAT.md
 * section 8.5: all lane counts, table precisions and class counts, guard pages around the words. */
#define _DEFAULT_SOURCE
#include "guard.h"
#include "kernels.h"
#include "support.h"

#define LONGEST 8192
#define CLASSES 8

static uint64_t state = 20250714;
static struct guard guards[3]; /* tokens, words, decoded tokens */

static struct {
    struct rans_symbol_table symbols[CLASSES];
    uint32_t decode[CLASSES << 12];
    uint8_t classes[LONGEST / 128 + 1];
    uint32_t freq[CLASSES][64], start[CLASSES][64];
} model;

/* Random frequencies of A tokens that sum to 2^P, each at least 1. */
static void build_class(unsigned class, unsigned tokens, unsigned prob_bits) {
    uint32_t rest = (1U << prob_bits) - tokens, start = 0;
    uint32_t *slots = model.decode + ((size_t)class << prob_bits);
    memset(model.freq[class], 0, sizeof model.freq[class]);
    for (unsigned t = 0; t < tokens; t++) {
        uint32_t more = t + 1 == tokens ? rest : (uint32_t)random_below(&state, rest / 2 + 1);
        model.freq[class][t] = 1 + more;
        rest -= more;
    }
    for (unsigned t = 0; t < 64; t++) {
        uint32_t f = model.freq[class][t];
        model.start[class][t] = start;
        model.symbols[class].freq_start[t] = f | start << 16;
        model.symbols[class].rcp[t] = f == 0 ? 0 : UINT32_MAX / f;
        for (uint32_t s = 0; s < f; s++) *slots++ = t | (f - 1) << 8 | s << 20;
        start += f;
    }
}

/* Words downward from `end`, states: as FORMAT.md has it, with div and mod. */
static uint16_t *reference_encode(const struct rans_job *job, const uint8_t *tokens, uint16_t *end,
                                  uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    for (size_t l = 0; l < lanes; l++) states[l] = 65536;
    for (size_t i = job->len; i-- > 0;) {
        unsigned class = job->classes == NULL ? 0 : job->classes[i / 128];
        uint32_t f = model.freq[class][tokens[i]], *x = &states[i % lanes];
        if (*x >> (32 - job->prob_bits) >= f) {
            *--end = (uint16_t)*x;
            *x >>= 16;
        }
        *x = (*x / f << job->prob_bits) + *x % f + model.start[class][tokens[i]];
    }
    return end;
}

static void check_decode(const struct kernels *kernels, const struct rans_job *job,
                         const uint32_t *states, const uint16_t *words, size_t count,
                         const uint8_t *tokens, size_t missing) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    uint8_t *stream = guard_place(guards[1], 2 * (count - missing), 0);
    uint8_t *out = guard_place(guards[2], job->len, 0);
    uint32_t final[32];
    for (size_t i = 0; i < count - missing; i++) store_le16(stream + 2 * i, words[i]);
    memcpy(final, states, 4 * lanes);
    memset(out, 0xFF, job->len);
    const uint8_t *end = stream + 2 * (count - missing);
    const uint8_t *used = kernels->rans_decode(job, model.decode, final, stream, end, out);
    if (missing > 0) {
        CHECK(used == NULL);
        return;
    }
    CHECK(used == end);
    CHECK(memcmp(out, tokens, job->len) == 0);
    for (size_t l = 0; l < lanes; l++) CHECK(final[l] == 65536);
}

static void check_job(const struct kernels *kernels, const struct rans_job *job,
                      const uint8_t *tokens) {
    static uint16_t expected[LONGEST + 8];
    uint32_t states[32], got[32];
    const size_t lanes = (size_t)1 << job->lanes_log2;
    uint16_t *top = expected + sizeof expected / sizeof *expected;
    const uint16_t *first = reference_encode(job, tokens, top, states);
    const size_t count = (size_t)(top - first);
    /* at least 8 entries before the first word may be overwritten, and one word per token */
    uint16_t *end = guard_place(guards[1], 0, 0);
    const uint16_t *words = kernels->rans_encode(job, model.symbols, tokens, end, got);
    CHECK((size_t)(end - words) == count);
    CHECK(memcmp(words, first, 2 * count) == 0);
    CHECK(memcmp(got, states, 4 * lanes) == 0);
    check_decode(kernels, job, states, first, count, tokens, 0);
    if (count > 0) check_decode(kernels, job, states, first, count, tokens, 1);
    if (count > 20) check_decode(kernels, job, states, first, count, tokens, count - 20);
}

static void check_kernels(const struct kernels *kernels) {
    for (size_t n = 1; n <= LONGEST; n += n < 70 ? 1 : (n < 600 ? 61 : 2531)) {
        for (unsigned lanes_log2 = 0; lanes_log2 <= 5; lanes_log2++) {
            unsigned prob_bits = 9 + (unsigned)random_below(&state, 4);
            unsigned classes = 1 + (unsigned)random_below(&state, CLASSES);
            unsigned most = random_below(&state, 2) == 0 ? 16 : 63, used = 0;
            for (unsigned c = 0; c < classes; c++) {
                unsigned tokens = 1 + (unsigned)random_below(&state, most);
                build_class(c, tokens, prob_bits);
                if (tokens > used) used = tokens;
            }
            for (size_t g = 0; g < sizeof model.classes; g++) {
                model.classes[g] = (uint8_t)random_below(&state, classes);
            }
            struct rans_job job = {.classes = classes == 1 ? NULL : model.classes,
                                   .len = n,
                                   .lanes_log2 = lanes_log2,
                                   .prob_bits = prob_bits,
                                   .tokens = used};
            uint8_t *tokens = guard_place(guards[0], n, lanes_log2 % 2 == 0 ? 0 : SIZE_MAX);
            for (size_t i = 0; i < n; i++) {
                unsigned class = job.classes == NULL ? 0 : job.classes[i / 128];
                uint32_t slot = (uint32_t)random_below(&state, (uint64_t)1 << prob_bits);
                tokens[i] = (uint8_t)model.decode[((size_t)class << prob_bits) + slot];
            }
            check_job(kernels, &job, tokens);
        }
    }
}

int main(void) {
    int32_t available;
    for (int i = 0; i < 3; i++) guards[i] = guard_new(2 * LONGEST + 64);
    for (uint32_t i = 0; qsgd_backends(i, &available) != NULL; i++) {
        if (!available) continue;
        CHECK(qsgd_set_backend(qsgd_backends(i, NULL)) == QSGD_OK);
        check_kernels(kernels_current());
    }
    for (int i = 0; i < 3; i++) guard_free(guards[i]);
    return check_result();
}
