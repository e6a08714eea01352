/* The six Elias codes of chunks (FORMAT.md section 8.2). Plain integers: elias.c.
 *
 * Dense: every index, a stream per segment. Sparse: gaps and magnitudes of the non-zero indices, a
 * stream per chunk (Code_s of Alistarh et al., NeurIPS 2017, with a count). Each body is written
 * once, with the kind of Elias code as a parameter that is constant where it is inlined. */
#include "elias.h"
#include "segments.h"
#include "sparse.h"

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

static void no_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    (void)chunk;
    (void)k;
    (void)plan;
}

/* ---- dense ---------------------------------------------------------------------------------- */

#define DENSE_REACH 64                      /* |k| up to here is coded by table */
#define DENSE_LOG2_MAX 15U                  /* |k| + 1 is at most 2^15 */
#define DENSE_BITS (2 * DENSE_LOG2_MAX + 2) /* longest codeword, with its sign */

struct dense_word {
    uint32_t bits, length;
};

struct dense_table {
    bool zero;
    int32_t reach;
    struct dense_word words[2 * DENSE_REACH + 1];
};

/* Codeword of k with its sign bit. */
INLINE struct dense_word dense_codeword(int32_t elias, bool zero, int32_t k) {
    uint32_t m = (uint32_t)(k < 0 ? -k : k);
    struct codeword word = elias_codeword(elias, zero ? m + 1 : m);
    if (k == 0) return (struct dense_word){(uint32_t)word.bits, word.length};
    return (struct dense_word){(uint32_t)word.bits << 1 | (k < 0 ? 1U : 0U), word.length + 1};
}

INLINE void dense_table_build(int32_t elias, const struct levels *levels,
                              struct dense_table *table) {
    table->zero = levels->zero;
    table->reach = levels->largest < DENSE_REACH ? levels->largest : DENSE_REACH;
    for (int32_t k = -table->reach; k <= table->reach; k++) {
        struct dense_word none = {0, 0};
        bool level = levels->zero || k != 0;
        table->words[k + DENSE_REACH] = level ? dense_codeword(elias, levels->zero, k) : none;
    }
}

INLINE struct dense_word dense_lookup(int32_t elias, const struct dense_table *table, int32_t k) {
    if (k >= -table->reach && k <= table->reach) return table->words[k + DENSE_REACH];
    return dense_codeword(elias, table->zero, k);
}

INLINE void dense_write_segment(int32_t elias, const struct dense_table *table, const int16_t *k,
                                size_t len, struct msb_writer *w) {
    uint64_t pending = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        struct dense_word word = dense_lookup(elias, table, k[i]);
        if (held + word.length > 56) {
            msb_write(w, pending, held);
            pending = 0;
            held = 0;
        }
        pending = pending << word.length | word.bits;
        held += word.length;
    }
    msb_write(w, pending, held);
}

INLINE size_t dense_write(int32_t elias, const struct code_chunk *chunk, const int16_t *k,
                          uint8_t *dst, size_t cap) {
    struct dense_table table;
    uint32_t *lengths = segments_scratch(chunk);
    size_t count = code_segments(chunk);
    dense_table_build(elias, chunk->levels, &table);
    for (size_t s = 0; s < count; s++) {
        const int16_t *first = k + s * chunk->segment;
        size_t len = segments_elements(chunk, s);
        uint64_t bits = 0;
        for (size_t i = 0; i < len; i++) bits += dense_lookup(elias, &table, first[i]).length;
        lengths[s] = (uint32_t)((bits + 7) / 8);
    }
    size_t head = segments_write(lengths, count, dst, cap);
    if (head == SIZE_MAX) return SIZE_MAX;

    struct msb_writer w;
    uint8_t *end = dst + head;
    msb_write_init(&w, dst + head, dst + cap);
    for (size_t s = 0; s < count; s++) {
        dense_write_segment(elias, &table, k + s * chunk->segment, segments_elements(chunk, s), &w);
        end = msb_write_end(&w);
        if (end == NULL) return SIZE_MAX;
    }
    return (size_t)(end - dst);
}

static qsgd_status dense_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                               struct code_plan *plan, size_t *where) {
    *where = 0;
    plan->end = p + bytes;
    qsgd_status status = segments_parse(chunk, p, plan->end, plan);
    if (status != QSGD_OK) return status;
    *where = (size_t)(plan->tail - p);
    return plan->tail == plan->end ? QSGD_OK : QSGD_ERR_PADDING;
}

/* What the next bits say: up to eight whole codewords at once. count 0: the first is longer. */
struct dense_run {
    uint64_t k; /* indices as bytes, the first lowest */
    uint8_t count, bits, unused[6];
};

#define RUN_BITS 11          /* looked at; all tables of 0 to RUN_BITS bits fill 64 KiB */
#define RUN_LEAST_CHUNK 4096 /* shorter chunks do not repay the tables */

/* Runs of the codewords that lie within `bits` bits. */
static inline struct dense_run *runs_of(struct dense_run *runs, unsigned bits) {
    return runs + ((1U << bits) - 1);
}

/* One codeword of `length` bits, then what follows it. Seven bits hold seven codewords at most, so
 * that eight are never passed. */
static struct dense_run run_prepend(struct dense_run *runs, int32_t k, unsigned length,
                                    uint32_t rest, unsigned rest_bits) {
    struct dense_run after = runs_of(runs, rest_bits)[rest];
    if (after.count == 8) after = runs_of(runs, 7)[rest >> (rest_bits - 7)];
    return (struct dense_run){.k = after.k << 8 | (uint8_t)k,
                              .count = (uint8_t)(after.count + 1),
                              .bits = (uint8_t)(after.bits + length)};
}

INLINE void dense_runs_build(int32_t elias, const struct levels *levels, struct dense_run *runs) {
    const int32_t low = levels->kmin < -127 ? -127 : levels->kmin;
    const int32_t high = levels->kmax > 127 ? 127 : levels->kmax;
    memset(runs, 0, (2U << RUN_BITS) * sizeof *runs);
    for (unsigned bits = 1; bits <= RUN_BITS; bits++) {
        for (int32_t k = low; k <= high; k++) {
            if (k == 0 && !levels->zero) continue;
            struct dense_word word = dense_codeword(elias, levels->zero, k);
            if (word.length > bits) continue;
            const unsigned rest_bits = bits - word.length;
            struct dense_run *first = runs_of(runs, bits) + ((size_t)word.bits << rest_bits);
            for (uint32_t rest = 0; rest < 1U << rest_bits; rest++) {
                first[rest] = run_prepend(runs, k, word.length, rest, rest_bits);
            }
        }
    }
}

/* Whole runs while eight indices fit; returns how many indices. */
static size_t dense_read_runs(const struct dense_run *all, struct bit_reader *r, int16_t *k,
                              size_t len) {
    const struct dense_run *runs = all + ((1U << RUN_BITS) - 1);
    size_t i = 0;
    while (len - i >= 8) {
        if (r->held < RUN_BITS) msb_refill(r);
        const struct dense_run run = runs[r->acc >> (64 - RUN_BITS)];
        if (run.count == 0) break;
        for (int j = 0; j < 8; j++) k[i + (size_t)j] = (int8_t)(run.k >> (8 * j));
        msb_take(r, run.bits);
        i += run.count;
    }
    return i;
}

/* Reads up to len indices; returns how many, fewer where one is no level. runs may be NULL. */
INLINE size_t dense_read_segment(int32_t elias, const struct levels *levels,
                                 const struct dense_run *runs, struct bit_reader *r, int16_t *k,
                                 size_t len) {
    uint64_t shift = levels->zero ? 1 : 0;
    for (size_t i = 0; i < len; i++) {
        if (runs != NULL) {
            i += dense_read_runs(runs, r, k + i, len - i);
            if (i == len) break;
        }
        if (r->held < DENSE_BITS) msb_refill(r);
        uint64_t v = elias_take(elias, r, DENSE_LOG2_MAX);
        if (v == 0) return i;
        int32_t value = (int32_t)(v - shift);
        if (value != 0 && msb_take(r, 1) != 0) value = -value;
        if (!levels_has(levels, value)) return i;
        k[i] = (int16_t)value;
    }
    return len;
}

static void fill(const struct levels *levels, int16_t *k, size_t from, size_t len) {
    for (size_t i = from; i < len; i++) k[i] = (int16_t)levels->idle;
}

INLINE qsgd_status dense_read(int32_t elias, const struct code_chunk *chunk,
                              const struct code_plan *plan, int16_t *k) {
    const uint8_t *p = plan->body;
    struct dense_run *runs = NULL;
    if (chunk->len >= RUN_LEAST_CHUNK) {
        runs = (void *)chunk->scratch->decode;
        dense_runs_build(elias, chunk->levels, runs);
    }
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t from = s * chunk->segment;
        size_t len = segments_elements(chunk, s);
        struct bit_reader r;
        bit_read_init(&r, p, p + segments_length(plan, s));
        p = r.end;
        size_t got = dense_read_segment(elias, chunk->levels, runs, &r, k + from, len);
        if (got == len && msb_read_end(&r)) continue;
        fill(chunk->levels, k, from + got, chunk->len);
        return got < len || r.overrun ? QSGD_ERR_STREAM : QSGD_ERR_PADDING;
    }
    return QSGD_OK;
}

/* ---- sparse --------------------------------------------------------------------------------- */

INLINE void elias_put(int32_t elias, struct msb_writer *w, uint64_t v) {
    struct codeword word = elias_codeword(elias, v);
    msb_write(w, word.bits, word.length);
}

INLINE size_t sparse_write(int32_t elias, const struct code_chunk *chunk, const int16_t *k,
                           uint8_t *dst, size_t cap) {
    struct msb_writer w;
    msb_write_init(&w, dst, dst + cap);
    for (size_t s = 0; s < code_segments(chunk) && !w.full; s++) {
        const int16_t *first = k + s * chunk->segment;
        size_t len = segments_elements(chunk, s);
        size_t before = 0; /* position of the previous non-zero, from 1 */
        elias_put(elias, &w, sparse_count(first, len) + 1);
        for (size_t i = sparse_next(first, 0, len); i < len; i = sparse_next(first, i + 1, len)) {
            struct dense_word magnitude = dense_codeword(elias, false, first[i]);
            uint64_t negative = magnitude.bits & 1;
            elias_put(elias, &w, i + 1 - before);
            msb_write(&w, negative << (magnitude.length - 1) | magnitude.bits >> 1,
                      magnitude.length);
            before = i + 1;
        }
    }
    uint8_t *end = msb_write_end(&w);
    return end == NULL ? SIZE_MAX : (size_t)(end - dst);
}

static qsgd_status sparse_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                                struct code_plan *plan, size_t *where) {
    (void)chunk;
    *where = 0;
    plan->body = p;
    plan->tail = plan->end = p + bytes;
    return QSGD_OK;
}

/* Reads one segment into k, zeros before; false if a symbol is malformed. */
INLINE bool sparse_read_segment(int32_t elias, const struct levels *levels, struct bit_reader *r,
                                int16_t *k, size_t len) {
    msb_refill(r);
    uint64_t count = elias_take(elias, r, ELIAS_LOG2_MAX);
    if (count == 0 || count - 1 > len) return false;
    size_t position = 0; /* of the previous non-zero, from 1 */
    while (--count > 0) {
        msb_refill(r);
        uint64_t gap = elias_take(elias, r, ELIAS_LOG2_MAX);
        if (gap == 0 || gap > len - position) return false;
        position += (size_t)gap;
        if (r->held < DENSE_BITS) msb_refill(r);
        bool negative = msb_take(r, 1) != 0;
        uint64_t m = elias_take(elias, r, DENSE_LOG2_MAX);
        if (m == 0) return false;
        int32_t value = negative ? -(int32_t)m : (int32_t)m;
        if (!levels_has(levels, value)) return false;
        k[position - 1] = (int16_t)value;
    }
    return true;
}

INLINE qsgd_status sparse_read(int32_t elias, const struct code_chunk *chunk,
                               const struct code_plan *plan, int16_t *k) {
    struct bit_reader r;
    bit_read_init(&r, plan->body, plan->end);
    fill(chunk->levels, k, 0, chunk->len);
    for (size_t s = 0; s < code_segments(chunk); s++) {
        int16_t *first = k + s * chunk->segment;
        size_t len = segments_elements(chunk, s);
        if (!sparse_read_segment(elias, chunk->levels, &r, first, len)) return QSGD_ERR_STREAM;
        if (r.overrun) return QSGD_ERR_STREAM;
    }
    return msb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}

/* ---- rows of the table ---------------------------------------------------------------------- */

#define ELIAS_ROWS(kind, elias)                                                                    \
    static size_t dense_write_##kind(const struct code_chunk *chunk, const int16_t *k,             \
                                     const struct code_plan *plan, uint8_t *dst, size_t cap) {     \
        (void)plan;                                                                                \
        return dense_write(elias, chunk, k, dst, cap);                                             \
    }                                                                                              \
    static qsgd_status dense_read_##kind(const struct code_chunk *chunk,                           \
                                         const struct code_plan *plan, int16_t *k) {               \
        return dense_read(elias, chunk, plan, k);                                                  \
    }                                                                                              \
    static size_t sparse_write_##kind(const struct code_chunk *chunk, const int16_t *k,            \
                                      const struct code_plan *plan, uint8_t *dst, size_t cap) {    \
        (void)plan;                                                                                \
        return sparse_write(elias, chunk, k, dst, cap);                                            \
    }                                                                                              \
    static qsgd_status sparse_read_##kind(const struct code_chunk *chunk,                          \
                                          const struct code_plan *plan, int16_t *k) {              \
        return sparse_read(elias, chunk, plan, k);                                                 \
    }                                                                                              \
    const struct qsgd_code code_elias_##kind = {                                                   \
        .name = "elias-" #kind,                                                                    \
        .plan = no_plan,                                                                           \
        .write = dense_write_##kind,                                                               \
        .parse = dense_parse,                                                                      \
        .read = dense_read_##kind,                                                                 \
    };                                                                                             \
    const struct qsgd_code code_elias_##kind##_sparse = {                                          \
        .name = "elias-" #kind "-sparse",                                                          \
        .sparse = true,                                                                            \
        .plan = no_plan,                                                                           \
        .write = sparse_write_##kind,                                                              \
        .parse = sparse_parse,                                                                     \
        .read = sparse_read_##kind,                                                                \
    };

ELIAS_ROWS(gamma, QSGD_ELIAS_GAMMA)
ELIAS_ROWS(delta, QSGD_ELIAS_DELTA)
ELIAS_ROWS(omega, QSGD_ELIAS_OMEGA)
