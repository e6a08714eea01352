/* Rice-sparse code: gaps between non-zero indices by a Rice code fitted to the chunk (FORMAT.md
 * section 7.3). For chunks where few indices are not 0, as after l2 norms with s = 1. */
#include "codes/codes.h"
#include "codes/elias.h"
#include "codes/nonzeros.h"

#define RICE_BITS 5U
#define RICE_MAX 24U
#define RUN 56U /* zeros written, or skipped, at once */

/* 2^16 ln 2: the best parameter is about log2 of ln 2 times the mean gap (ENCODER.md 8.2). */
#define LN2_2_16 45426U

static void rice_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    nonzeros_find(chunk, k, &plan->nonzeros);
    const uint32_t *at = plan->nonzeros.at;
    const uint64_t count = plan->nonzeros.count;
    plan->nonzeros.rice = 0;
    if (count == 0) return;
    const uint64_t u = (at[count - 1] + 1 - count) * LN2_2_16 / (65536 * count);
    unsigned rho = u == 0 ? 0 : floor_log2(u);
    if (rho > RICE_MAX - 1) rho = RICE_MAX - 1;

    /* Only the gaps' bits depend on the parameter. */
    uint64_t bits = count * rho, bits_above = count * (rho + 1);
    uint32_t before = 0;
    for (size_t i = 0; i < count; i++) {
        bits += (at[i] - before) >> rho;
        bits_above += (at[i] - before) >> (rho + 1);
        before = at[i] + 1;
    }
    plan->nonzeros.rice = bits_above < bits ? rho + 1 : rho;
}

/* Zeros for the run, a one, the low bits of `zeros` (the gap minus 1), and the sign. */
static void put_gap(struct msb_writer *w, uint64_t zeros, unsigned rho, bool negative) {
    const unsigned most = RUN - 2 - rho;
    uint64_t run = zeros >> rho;
    uint64_t low = zeros & (((uint64_t)1 << rho) - 1);
    for (; run > most; run -= most) msb_write(w, 0, most);
    msb_write(w, ((uint64_t)1 << rho | low) << 1 | negative, (unsigned)run + 2 + rho);
}

static size_t rice_write(const struct code_chunk *chunk, const int16_t *k,
                         const struct code_plan *plan, uint8_t *dst, size_t cap) {
    struct msb_writer w;
    const struct nonzeros_plan found = nonzeros_found(chunk, k, plan);
    const uint32_t *at = found.at;
    const size_t nonzeros = found.count;
    msb_write_init(&w, dst, dst + cap);
    msb_write(&w, plan->nonzeros.rice, RICE_BITS);
    struct codeword count = elias_codeword(QSGD_ELIAS_DELTA, nonzeros + 1);
    msb_write(&w, count.bits, count.length);

    const bool magnitudes = chunk->levels->largest > 1;
    uint32_t before = 0;
    for (size_t i = 0; i < nonzeros && !w.full; i++) {
        const int32_t value = k[at[i]];
        put_gap(&w, at[i] - before, plan->nonzeros.rice, value < 0);
        before = at[i] + 1;
        if (!magnitudes) continue;
        struct codeword m =
            elias_codeword(QSGD_ELIAS_GAMMA, (uint64_t)(value < 0 ? -value : value));
        msb_write(&w, m.bits, m.length);
    }
    uint8_t *end = msb_write_end(&w);
    return end == NULL ? SIZE_MAX : (size_t)(end - dst);
}

static qsgd_status rice_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                              struct code_plan *plan, size_t *where) {
    (void)chunk;
    *where = 0;
    if (bytes == 0) return QSGD_ERR_STREAM;
    plan->nonzeros.rice = p[0] >> (8 - RICE_BITS);
    if (plan->nonzeros.rice > RICE_MAX) return QSGD_ERR_CODE_TABLE;
    plan->body = p; /* the stream, with the parameter that it starts with */
    plan->tail = plan->end = p + bytes;
    plan->nonzeros.at = NULL;
    return QSGD_OK;
}

/* Gap of at most `most`, or 0 if it is malformed. */
static uint64_t take_gap(struct bit_reader *r, unsigned rho, uint64_t most) {
    uint64_t run = 0;
    msb_refill(r);
    while (r->acc >> (64 - RUN) == 0) {
        msb_take(r, RUN);
        run += RUN;
        if (r->overrun || run << rho >= most) return 0;
        msb_refill(r);
    }
    unsigned zeros = (unsigned)__builtin_clzll(r->acc);
    msb_take(r, zeros + 1);
    uint64_t gap = ((run + zeros) << rho | msb_read(r, rho)) + 1;
    return gap <= most ? gap : 0;
}

/* Sign and magnitude; 0 if they are no level. */
static int32_t take_value(struct bit_reader *r, const struct levels *levels) {
    msb_refill(r);
    bool negative = msb_take(r, 1) != 0;
    uint64_t m = levels->largest > 1 ? elias_take(QSGD_ELIAS_GAMMA, r, 15) : 1;
    int32_t value = negative ? -(int32_t)m : (int32_t)m;
    return levels_has(levels, value) ? value : 0;
}

static qsgd_status rice_read(const struct code_chunk *chunk, const struct code_plan *plan,
                             uint32_t *at, int16_t *k, size_t *nonzeros) {
    struct bit_reader r;
    size_t position = 0; /* behind the previous non-zero */
    bit_read_init(&r, plan->body, plan->end);
    msb_refill(&r);
    msb_take(&r, RICE_BITS);
    uint64_t count = elias_take(QSGD_ELIAS_DELTA, &r, ELIAS_LOG2_MAX);
    if (count == 0 || count - 1 > chunk->len) return QSGD_ERR_STREAM;
    *nonzeros = (size_t)count - 1;
    for (size_t i = 0; i < *nonzeros; i++) {
        uint64_t gap = take_gap(&r, plan->nonzeros.rice, chunk->len - position);
        if (gap == 0) return QSGD_ERR_STREAM;
        int32_t value = take_value(&r, chunk->levels);
        if (value == 0 || r.overrun) return QSGD_ERR_STREAM;
        position += (size_t)gap;
        at[i] = (uint32_t)(position - 1);
        k[i] = (int16_t)value;
    }
    if (r.overrun) return QSGD_ERR_STREAM;
    return msb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}

const struct code code_rice_sparse = {
    .name = "rice-sparse",
    .sparse = true,
    .plan = ENCODES(rice_plan),
    .write = ENCODES(rice_write),
    .parse = rice_parse,
    .read = nonzeros_read,
    .read_nonzeros = rice_read,
};
