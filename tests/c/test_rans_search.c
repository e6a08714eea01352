/* Decoding rANS by searching frequencies does what the tables of every backend do: the same tokens,
 * words, states and errors, of random plans and of damaged payloads. */
#include <string.h>

#include "backends.h"
#include "codes/rans/reader.h"
#include "codes/rans/search.h"
#include "codes_support.h"
#include "level_sets.h"
#include "splitmix.h"

#define LONGEST 4096
#define TABLES (CODE_CLASSES * RANS_TABLE_BYTES)

static _Alignas(64) uint8_t tables[TABLES];
static _Alignas(64) uint8_t search[CODE_CLASSES * RANS_SEARCH_BYTES];

static size_t below(uint64_t bound) { return (size_t)((random_next() >> 16) % bound); }

/* ---- random jobs and words --------------------------------------------------------------------
 */

static struct {
    uint16_t freq[CODE_CLASSES][64];
    uint8_t classes[LONGEST / 128 + 1], halves[LONGEST], words[4 * LONGEST];
} model;

/* Frequencies of some of the symbols from `first` on. */
static void fill_table(uint16_t *freq, unsigned most, unsigned prob_bits) {
    uint32_t rest = 1U << prob_bits;
    for (unsigned i = 1 + (unsigned)below(most); i > 0 && rest > 1; i--) {
        uint16_t *f = &freq[below(most)];
        if (*f != 0) continue;
        *f = (uint16_t)(1 + below(below(2) != 0 ? rest - 1 : 3));
        if (*f >= rest) *f = 1;
        rest -= *f;
    }
    freq[below(most)] += (uint16_t)rest;
}

static struct rans_job random_job(void) {
    struct rans_job job = {.len = 1 + below(LONGEST),
                           .lanes_log2 = (unsigned)below(RANS_LANES_LOG2 + 1),
                           .prob_bits = 8 + (unsigned)below(5),
                           .tables = 1 + (unsigned)below(CODE_CLASSES),
                           .tokens = CODE_TOKENS,
                           .freq = (const uint16_t (*)[64])model.freq};
    if (below(2) != 0) job.split = (unsigned)below(1U << job.tables);
    if (job.tables > 1) job.classes = model.classes;
    memset(model.freq, 0, sizeof model.freq);
    for (unsigned c = 0; c < job.tables; c++) {
        const bool split = (job.split >> c & 1) != 0;
        fill_table(model.freq[c], split ? RANS_HALF : 63, job.prob_bits);
        if (split) fill_table(model.freq[c] + RANS_HALF, RANS_HALF, job.prob_bits);
    }
    for (size_t i = 0; i < sizeof model.classes; i++) model.classes[i] = (uint8_t)below(job.tables);
    for (size_t i = 0; i < LONGEST; i++) model.halves[i] = (uint8_t)(below(2) * RANS_HALF);
    for (size_t i = 0; i < sizeof model.words; i++) model.words[i] = (uint8_t)below(256);
    return job;
}

/* Random states and words, of which there may be too few. */
static struct rans_stream random_stream(const struct rans_job *job) {
    static struct rans_stream s;
    const size_t room = sizeof model.words / RANS_GROUPS;
    memset(&s, 0, sizeof s);
    for (size_t l = 0; l >> job->lanes_log2 == 0; l++) {
        s.states[l] = RANS_LOW + (uint32_t)below(UINT32_MAX - RANS_LOW);
    }
    for (size_t g = 0; g < RANS_GROUPS; g++) {
        s.words[g] = model.words + g * room;
        s.end[g] = s.words[g] + (below(3) != 0 ? room : below(200));
    }
    return s;
}

/* Words taken of a group: the kernels may have moved the last ones. */
static size_t words_left(const struct rans_stream *s, size_t g) {
    return (size_t)(s->end[g] - s->words[g]);
}

static void jobs_are_read_alike(void) {
    static uint8_t expected[LONGEST], got[LONGEST];
    int sound = 0, cut = 0;
    for (int round = 0; round < 500; round++) {
        const struct rans_job job = random_job();
        const struct rans_stream start = random_stream(&job);
        struct rans_stream a = start;
        rans_search_build(&job, search);
        for (size_t to; a.at < job.len;) {
            to = below(2) != 0 ? job.len : (a.at / 128 + 1 + below(8)) * 128;
            if (to > job.len) to = job.len;
            a.halves = model.halves + a.at;
            rans_search_decode(&job, search, &a, to, expected + a.at);
            CHECK(a.at == to);
        }
        for (int b = 0; b < backend_count; b++) {
            struct rans_stream k = start;
            backends[b]->rans_decode_tables(&job, tables);
            k.halves = job.split != 0 ? model.halves : NULL;
            backends[b]->rans_decode(&job, tables, &k, job.len, got);
            CHECK(k.bad == a.bad);
            if (a.bad) continue; /* what was read means nothing */
            CHECK(memcmp(expected, got, job.len) == 0);
            CHECK(memcmp(k.states, a.states, sizeof(uint32_t) << job.lanes_log2) == 0);
            for (size_t g = 0; g << 4 >> job.lanes_log2 == 0; g++) {
                CHECK(words_left(&k, g) == words_left(&a, g));
            }
        }
        if (a.bad) cut++;
        if (!a.bad) sound++;
    }
    CHECK(sound > 200 && cut > 50);
}

/* ---- payloads ---------------------------------------------------------------------------------
 */

/* All tokens of a parsed plan, with so much memory for tables. */
static qsgd_status read_with(const struct code_chunk *chunk, const struct code_plan *plan,
                             size_t bytes, uint8_t *tokens) {
    static struct rans_reader r;
    rans_reader_open(&r, chunk, plan, tables, bytes);
    CHECK(r.search == (bytes < TABLES));
    rans_reader_read(&r, 0, chunk->len, tokens);
    return rans_reader_end(&r);
}

/* Groups of many energies, so that there are many classes. */
static void fill_indices(const struct levels *levels, int16_t *k, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const int32_t reach = 1 + (int32_t)(levels->largest >> (i / 128 % 8 * 2));
        const int32_t m = (int32_t)below((uint64_t)reach) & (int32_t)below((uint64_t)reach);
        k[i] = (int16_t)(below(2) != 0 ? m : -m);
        if (!levels_has(levels, k[i])) k[i] = (int16_t)levels->idle;
    }
}

static void payloads_are_read_alike(void) {
    static int16_t k[LONGEST];
    static uint8_t payload[8 * LONGEST], one[LONGEST], other[LONGEST];
    static const struct noise_key key = {{1, 2}, {3, 4}, false};
    int sound = 0, broken = 0, many = 0;
    for (int round = 0; round < 500; round++) {
        struct levels levels;
        const int32_t s = (int32_t[]){2, 7, 127, 32767}[below(4)];
        build_levels(&levels, QSGD_LEVELS_UNIFORM, (uint32_t)s, 1);
        struct code_chunk chunk = make_chunk(&levels, QSGD_CODE_RANS, 1 + below(LONGEST), 256);
        struct code_plan plan;
        size_t where;
        chunk.kernels = backends[below((uint64_t)backend_count)];
        chunk.classes = true;
        chunk.turned = below(2) != 0 ? &key : NULL;
        fill_indices(&levels, k, chunk.len);
        memset(&plan, 0, sizeof plan);
        code_rans.plan(&chunk, k, &plan);
        const size_t bytes = code_rans.write(&chunk, k, &plan, payload, sizeof payload);
        CHECK(bytes != SIZE_MAX);
        for (uint64_t damage = below(3); damage > 0; damage--) {
            payload[below(below(2) != 0 ? bytes : (bytes < 40 ? bytes : 40))] ^=
                (uint8_t)below(256);
        }
        if (code_rans.parse(&chunk, payload, bytes, &plan, &where) != QSGD_OK) continue;
        many += plan.rans.classes > 4;
        const size_t least = CODE_CLASSES * RANS_SEARCH_BYTES;
        if (rans_reader_bytes(&plan) <= least) continue;
        const qsgd_status by_tables = read_with(&chunk, &plan, TABLES, one);
        CHECK(read_with(&chunk, &plan, least, other) == by_tables);
        if (by_tables == QSGD_OK) CHECK(memcmp(one, other, chunk.len) == 0);
        sound += by_tables == QSGD_OK;
        broken += by_tables != QSGD_OK;
    }
    CHECK(sound > 100 && broken > 50 && many > 50);
}

int main(void) {
    find_backends();
    void *memory = new_scratch(&scratch, LONGEST);
    jobs_are_read_alike();
    payloads_are_read_alike();
    free(memory);
    return check_result();
}
