/* The dense Elias codes of chunks (FORMAT.md section 7.2): every index, a stream per segment.
 * Sparse ones: codes/elias_sparse.c; plain integers: codes/elias.c.
 *
 * Each body is written once, with the kind of Elias code as a parameter that is constant where it
 * is inlined. */
#include "codes/elias.h"
#include "codes/prefix.h"
#include "codes/segments.h"

static void no_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    (void)chunk;
    (void)k;
    (void)plan;
}

/* ---- dense ---------------------------------------------------------------------------------- */

#define DENSE_LOG2_MAX 15U                  /* |k| + 1 is at most 2^15 */
#define DENSE_BITS (2 * DENSE_LOG2_MAX + 2) /* longest codeword, with its sign */

struct dense_word {
    uint32_t bits, length;
};

/* Codeword of k with its sign bit. */
ELIAS_BODY struct dense_word dense_codeword(int32_t elias, bool zero, int32_t k) {
    const uint32_t m = (uint32_t)(k < 0 ? -k : k);
    const uint32_t sign = k != 0 ? 1U : 0U, negative = k < 0 ? 1U : 0U;
    const struct codeword word = elias_codeword(elias, zero ? m + 1 : m);
    return (struct dense_word){(uint32_t)word.bits << sign | negative, word.length + sign};
}

/* Index by index: for those that are no byte symbols. */
ELIAS_BODY size_t dense_write_plain(int32_t elias, const struct code_chunk *chunk, const int16_t *k,
                                    uint8_t *dst, size_t cap) {
    const bool zero = chunk->levels->zero;
    const size_t count = code_segments(chunk);
    uint32_t *lengths = segments_scratch(chunk);
    for (size_t s = 0, i = 0; s < count; s++) {
        const size_t end = i + segments_elements(chunk, s);
        uint64_t bits = 0;
        for (; i < end; i++) bits += dense_codeword(elias, zero, k[i]).length;
        lengths[s] = (uint32_t)((bits + 7) / 8);
    }
    const size_t head = segments_write(lengths, count, dst, cap);
    if (head == SIZE_MAX) return SIZE_MAX;

    struct msb_writer w;
    uint8_t *end = dst + head;
    msb_write_init(&w, dst + head, dst + cap);
    for (size_t s = 0, i = 0; s < count && end != NULL; s++) {
        const size_t stop = i + segments_elements(chunk, s);
        for (; i < stop; i++) {
            const struct dense_word word = dense_codeword(elias, zero, k[i]);
            msb_write(&w, word.bits, word.length);
        }
        end = msb_write_end(&w);
    }
    return end == NULL ? SIZE_MAX : (size_t)(end - dst);
}

/* ---- dense, indices as bytes: -127..127 in zigzag order ------------------------------------- */

#define BYTE_REACH 127
#define BYTE_MOST_BITS 8 /* per index on average: more of them do not repay tables */

/* Codewords of the indices low..high, whether or not they are levels. */
ELIAS_BODY void dense_code_build(int32_t elias, bool zero, int32_t low, int32_t high,
                                 struct prefix_memory *memory) {
    const uint64_t key = (uint64_t)(elias + 1) << 24 | (uint64_t)(low + BYTE_REACH) << 16 |
                         (uint64_t)(high + BYTE_REACH) << 8 | (zero ? 1U : 0U);
    if (memory->code_key == key) return;
    memory->code_key = key;
    const unsigned last_low = levels_zigzag(low), last_high = levels_zigzag(high);
    memory->code.rows = (last_low > last_high ? last_low : last_high) / 16 + 1;
    for (unsigned symbol = 0; symbol < 16 * memory->code.rows; symbol++) {
        const int32_t k = levels_unzigzag(symbol);
        struct dense_word word = {0, 0};
        if (k >= low && k <= high && (zero || k != 0)) word = dense_codeword(elias, zero, k);
        prefix_set(&memory->code, symbol, word.bits, word.length);
    }
}

/* The same of all levels that are byte symbols, and their runs. */
ELIAS_BODY void dense_runs_build(int32_t elias, const struct levels *levels, unsigned window,
                                 struct prefix_memory *memory) {
    const int32_t low = levels->kmin < -BYTE_REACH ? -BYTE_REACH : levels->kmin;
    const int32_t high = levels->kmax > BYTE_REACH ? BYTE_REACH : levels->kmax;
    dense_code_build(elias, levels->zero, low, high, memory);
    const uint64_t key = memory->code_key << 8 | window;
    if (memory->runs_key == key) return;
    memory->runs_key = key;
    prefix_runs_build(memory, window);
}

/* True if all indices are byte symbols; *largest receives the largest of them. */
static bool dense_symbols(const struct code_chunk *chunk, const int16_t *k, unsigned *largest) {
    uint8_t *symbols = chunk->scratch->tokens, most = 0;
    if (chunk->levels->largest > BYTE_REACH) {
        unsigned wide = 0;
        for (size_t i = 0; i < chunk->len; i++) wide |= (unsigned)(k[i] < 0 ? -k[i] : k[i]);
        if (wide > BYTE_REACH) return false;
    }
    chunk->kernels->tokens(k, chunk->len, true, symbols);
    for (size_t i = 0; i < chunk->len; i++) most = symbols[i] > most ? symbols[i] : most;
    *largest = most;
    return true;
}

ELIAS_BODY size_t dense_write(int32_t elias, const struct code_chunk *chunk, const int16_t *k,
                              uint8_t *dst, size_t cap) {
    struct prefix_memory *memory = chunk->scratch->prefix;
    unsigned largest;
    if (!dense_symbols(chunk, k, &largest)) return dense_write_plain(elias, chunk, k, dst, cap);
    const int32_t reach = (int32_t)(largest | 15) / 2; /* a whole row: one table for many chunks */
    dense_code_build(elias, chunk->levels->zero, -reach, reach + (reach < BYTE_REACH), memory);
    return prefix_write_segments(chunk, &memory->code, chunk->scratch->tokens, dst, cap);
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

/* Takes one index; false if it is no level. */
ELIAS_BODY bool dense_take(int32_t elias, const struct levels *levels, struct bit_reader *r,
                           int32_t *k) {
    if (r->held < DENSE_BITS) msb_refill(r);
    uint64_t v = elias_take(elias, r, DENSE_LOG2_MAX);
    if (v == 0) return false;
    int32_t value = (int32_t)(v - (levels->zero ? 1 : 0));
    if (value != 0 && msb_take(r, 1) != 0) value = -value;
    *k = value;
    return levels_has(levels, value);
}

static void fill(const struct levels *levels, int16_t *k, size_t from, size_t len) {
    for (size_t i = from; i < len; i++) k[i] = (int16_t)levels->idle;
}

/* Index by index: says what is wrong with a payload, and reads what is too short or too large for
 * tables. */
ELIAS_BODY qsgd_status dense_read_plain(int32_t elias, const struct code_chunk *chunk,
                                        const struct code_plan *plan, int16_t *k) {
    const uint8_t *p = plan->body;
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t i = s * chunk->segment, end = i + segments_elements(chunk, s);
        struct bit_reader r;
        bit_read_init(&r, p, p + segments_length(plan, s));
        p = r.end;
        for (int32_t value; i < end; i++) {
            if (!dense_take(elias, chunk->levels, &r, &value)) break;
            k[i] = (int16_t)value;
        }
        if (i == end && msb_read_end(&r)) continue;
        fill(chunk->levels, k, i, chunk->len);
        return i < end || r.overrun ? QSGD_ERR_STREAM : QSGD_ERR_PADDING;
    }
    return QSGD_OK;
}

/* A codeword longer than the window, of an index that is a byte symbol. */
ELIAS_BODY int dense_take_long(int32_t elias, const struct code_chunk *chunk,
                               struct bit_reader *r) {
    int32_t k;
    if (!dense_take(elias, chunk->levels, r, &k) || k < -BYTE_REACH || k > BYTE_REACH) return -1;
    return (int)levels_zigzag(k);
}

ELIAS_BODY qsgd_status dense_read(int32_t elias, const struct code_chunk *chunk,
                                  const struct code_plan *plan, prefix_long *take_long,
                                  int16_t *k) {
    const unsigned window = prefix_window(chunk->len);
    const uint64_t bits = (uint64_t)(plan->tail - plan->body) * 8;
    if (window > 0 && bits / BYTE_MOST_BITS <= chunk->len) {
        uint8_t *symbols = chunk->scratch->tokens;
        dense_runs_build(elias, chunk->levels, window, chunk->scratch->prefix);
        if (prefix_read_segments(chunk, plan, take_long, symbols)) {
            chunk->kernels->whole_tokens(symbols, chunk->len, k);
            return QSGD_OK;
        }
    }
    return dense_read_plain(elias, chunk, plan, k);
}

/* ---- rows of the table ---------------------------------------------------------------------- */

#define ELIAS_ROWS(kind, elias)                                                                    \
    static int dense_take_long_##kind(const struct code_chunk *chunk, struct bit_reader *r) {      \
        return dense_take_long(elias, chunk, r);                                                   \
    }                                                                                              \
    static size_t dense_write_##kind(const struct code_chunk *chunk, const int16_t *k,             \
                                     const struct code_plan *plan, uint8_t *dst, size_t cap) {     \
        (void)plan;                                                                                \
        return dense_write(elias, chunk, k, dst, cap);                                             \
    }                                                                                              \
    static qsgd_status dense_read_##kind(const struct code_chunk *chunk,                           \
                                         const struct code_plan *plan, int16_t *k) {               \
        return dense_read(elias, chunk, plan, dense_take_long_##kind, k);                          \
    }                                                                                              \
    const struct code code_elias_##kind = {                                                        \
        .name = "elias-" #kind,                                                                    \
        .plan = ENCODES(no_plan),                                                                  \
        .write = ENCODES(dense_write_##kind),                                                      \
        .parse = dense_parse,                                                                      \
        .read = dense_read_##kind,                                                                 \
    };

ELIAS_ROWS(gamma, QSGD_ELIAS_GAMMA)
ELIAS_ROWS(delta, QSGD_ELIAS_DELTA)
ELIAS_ROWS(omega, QSGD_ELIAS_OMEGA)
