/* Reads lossless payloads. */
#include "codes/lossless/read.h"

#include <string.h>

#include "base/bits.h"
#include "base/dtype.h"
#include "codes/rans/plan.h"
#include "codes/rans/reader.h"
#include "kernels/kernels.h"

/* ---- parse ---------------------------------------------------------------------------------- */

/* What is left of a payload. */
struct cursor {
    const uint8_t *p, *end;
};

/* Takes a count of at most `most`, or of all n elements if it is not there. */
static bool take_count(struct cursor *c, bool there, size_t least, size_t most, size_t *count) {
    uint64_t value;
    if (!there) return true;
    const size_t used = varint_read(c->p, c->end, &value);
    if (used == 0 || value < least || value > most) return false;
    c->p += used;
    *count = (size_t)value;
    return true;
}

/* Takes a stream of n fields of that width, whose last byte is padded. */
static qsgd_status take_bits(struct cursor *c, size_t n, unsigned width, const uint8_t **bits) {
    const uint64_t used = (uint64_t)n * width;
    if ((used + 7) / 8 > (uint64_t)(c->end - c->p)) return QSGD_ERR_STREAM;
    *bits = c->p;
    c->p += (used + 7) / 8;
    if (used % 8 != 0 && c->p[-1] >> used % 8 != 0) return QSGD_ERR_PADDING;
    return QSGD_OK;
}

static qsgd_status take_fields(struct cursor *c, size_t n, unsigned bits,
                               struct lossless_fields *fields) {
    if (c->end - c->p < 2) return QSGD_ERR_STREAM;
    fields->drop = c->p[0];
    fields->width = c->p[1];
    if (fields->drop > bits || fields->width > bits - fields->drop) return QSGD_ERR_STREAM;
    if (fields->width == 0 && fields->drop != 0) return QSGD_ERR_STREAM;
    c->p += 2;
    return take_bits(c, n, fields->width, &fields->bits);
}

/* The first byte, the window, counts and fields. */
static qsgd_status parse_head(const struct lossless_type *type, size_t n, struct cursor *c,
                              struct lossless_plan *plan) {
    const unsigned first = *c->p, form = first & LOSSLESS_FORM;
    plan->lead = first >> LOSSLESS_LEAD_BIT & LOSSLESS_LEAD;
    plan->sparse = (first & LOSSLESS_IS_SPARSE) != 0;
    plan->form = form == LOSSLESS_CONSTANT ? LOSSLESS_CONSTANT : LOSSLESS_CODED;
    const unsigned symbol_bits = type->exponent_bits + plan->lead;
    if (form == LOSSLESS_PLAIN || form > LOSSLESS_CONSTANT ||
        first >> (LOSSLESS_LEAD_BIT + 2) != 0 || symbol_bits > 11) {
        return QSGD_ERR_CHUNK;
    }
    c->p++;
    if (c->end - c->p < 2) return QSGD_ERR_STREAM;
    plan->split = (struct lossless_split){15 - (int)symbol_bits, load_le16(c->p)};
    if (plan->split.top == 0 || plan->split.top >> symbol_bits != 0) return QSGD_ERR_STREAM;
    c->p += 2;
    plan->stored = n;
    plan->escapes = 0;
    if (!take_count(c, plan->sparse, 0, n, &plan->stored) ||
        !take_count(c, (first & LOSSLESS_HAS_ESCAPES) != 0, 1, plan->stored, &plan->escapes)) {
        return QSGD_ERR_STREAM;
    }
    qsgd_status status = take_bits(c, plan->escapes, symbol_bits, &plan->symbols);
    for (unsigned h = 0; h < type->halves && status == QSGD_OK; h++) {
        status = take_fields(c, plan->stored, h == 0 ? 16 - symbol_bits : 16, &plan->fields[h]);
    }
    return status;
}

/* True if a chunk may have that token. */
static bool token_is_valid(const struct lossless_plan *plan, unsigned t) {
    if (t == LOSSLESS_ESCAPE) return plan->escapes != 0;
    return t == 0 || t <= plan->split.top + LOSSLESS_FIRST - 1;
}

qsgd_status lossless_parse(const struct kernels *kernels, uint32_t dtype, size_t n,
                           struct code_scratch *codes, const uint8_t *p, size_t bytes,
                           struct lossless_plan *plan, size_t *where) {
    const struct lossless_type *type = lossless_type_of(dtype);
    struct cursor c = {p, p + bytes};
    memset(plan, 0, sizeof *plan);
    *where = 0;
    if (bytes == 0) return QSGD_ERR_CHUNK;
    if (p[0] == LOSSLESS_PLAIN) {
        plan->form = LOSSLESS_PLAIN;
        plan->plain = p + 1;
        return bytes == lossless_bound(n, 2 * (size_t)type->halves) ? QSGD_OK : QSGD_ERR_CHUNK;
    }
    qsgd_status status = parse_head(type, n, &c, plan);
    *where = (size_t)(c.p - p);
    if (status != QSGD_OK) return status;
    if (plan->form == LOSSLESS_CONSTANT) {
        if (c.p == c.end) return QSGD_ERR_STREAM;
        plan->token = *c.p;
        if (plan->token > LOSSLESS_FIRST + LOSSLESS_WINDOW - 1 ||
            !token_is_valid(plan, plan->token)) {
            return QSGD_ERR_STREAM;
        }
        return c.p + 1 == c.end ? QSGD_OK : QSGD_ERR_PADDING;
    }
    size_t at;
    const struct code_chunk chunk = lossless_chunk(kernels, n, codes);
    status = code_rans.parse(&chunk, c.p, (size_t)(c.end - c.p), &plan->rans, &at);
    *where += at;
    return status;
}

/* ---- read ----------------------------------------------------------------------------------- */

/* Tokens to codes->tokens. */
static qsgd_status read_tokens(const struct kernels *kernels, size_t n,
                               const struct lossless_plan *plan, struct code_scratch *codes) {
    uint8_t *const tokens = codes->tokens;
    if (plan->form == LOSSLESS_CONSTANT) {
        memset(tokens, plan->token, n);
        return QSGD_OK;
    }
    struct rans_reader r;
    const struct code_chunk chunk = lossless_chunk(kernels, n, codes);
    rans_reader_open(&r, &chunk, &plan->rans, codes->decode, codes->decode_bytes);
    rans_reader_read(&r, 0, n, tokens);
    const qsgd_status status = rans_reader_end(&r);
    if (status != QSGD_OK) return status;
    uint64_t refused = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (!token_is_valid(plan, t)) refused |= (uint64_t)1 << t;
    }
    if ((rans_possible(&plan->rans) & refused) == 0) return QSGD_OK;
    for (size_t i = 0; i < n; i++) {
        if ((refused >> tokens[i] & 1) != 0) return QSGD_ERR_STREAM;
    }
    return QSGD_OK;
}

/* Gives elements of token 0 a 0, and the others the numbers that were stored, from the last on. */
static void spread(const uint8_t *tokens, size_t n, size_t stored, uint16_t *v) {
    for (size_t i = n, from = stored; i-- > 0;) { /* no branch: who is 0 cannot be foretold */
        const unsigned there = tokens[i] != 0;
        from -= there;
        v[i] = (uint16_t)(v[from] & (0U - there));
    }
}

static void read_fields(const struct kernels *kernels, const struct lossless_plan *plan,
                        const struct lossless_fields *fields, const uint8_t *tokens, size_t n,
                        uint16_t *v) {
    const size_t stored = plan->stored;
    if (fields->width == 0) {
        memset(v, 0, n * sizeof *v);
        return;
    }
    const struct rank_map map = {fields->width, true, true, 0};
    kernels->unpack(&map, fields->bits, stored, (int16_t *)(void *)v);
    for (size_t i = 0; fields->drop != 0 && i < stored; i++) {
        v[i] = (uint16_t)(v[i] << fields->drop);
    }
    if (plan->sparse) spread(tokens, n, stored, v);
}

/* Symbols of escapes; false if there are others than so many. */
static bool put_symbols(const struct lossless_plan *plan, const uint8_t *tokens, size_t n,
                        uint16_t *halves) {
    const unsigned bits = 15 - (unsigned)plan->split.shift;
    size_t left = plan->escapes;
    struct bit_reader r;
    if (left == 0) return true;
    bit_read_init(&r, plan->symbols, plan->symbols + (left * bits + 7) / 8);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] != LOSSLESS_ESCAPE) continue;
        const unsigned symbol = (unsigned)lsb_read(&r, bits);
        if (left-- == 0 || symbol == 0) return false;
        if (plan->split.top - symbol < LOSSLESS_WINDOW) return false; /* it has a token */
        halves[i] = (uint16_t)(halves[i] | symbol << plan->split.shift);
    }
    return left == 0;
}

static bool counts_agree(const struct lossless_plan *plan, const uint8_t *tokens, size_t n) {
    size_t stored = 0;
    if (!plan->sparse) return true;
    for (size_t i = 0; i < n; i++) stored += tokens[i] != 0;
    return stored == plan->stored;
}

/* Halves in the scratch to elements. */
static void join(const struct kernels *kernels, const struct lossless_type *type, size_t n,
                 const struct lossless_scratch *scratch, void *out) {
    if (type->halves == 2) {
        kernels->words_of_halves(scratch->halves[0], scratch->halves[1], n, out);
        return;
    }
    uint64_t *const words = out;
    for (size_t i = 0; i < n; i++) {
        uint64_t word = 0;
        for (unsigned h = 0; h < 4; h++) word = word << 16 | scratch->halves[h][i];
        words[i] = word;
    }
}

qsgd_status lossless_read(const struct kernels *kernels, uint32_t dtype, size_t n,
                          const struct lossless_plan *plan, const struct lossless_scratch *scratch,
                          void *out) {
    const struct lossless_type *type = lossless_type_of(dtype);
    const size_t item = 2 * (size_t)type->halves;
    const uint8_t *const tokens = scratch->codes->tokens;
    if (plan->form == LOSSLESS_PLAIN) {
        dtype_swap_copy(dtype, plan->plain, n, out);
        return QSGD_OK;
    }
    const qsgd_status status = read_tokens(kernels, n, plan, scratch->codes);
    if (status != QSGD_OK) return status;
    if (!counts_agree(plan, tokens, n)) return QSGD_ERR_STREAM;
    void *const aligned = ((uintptr_t)out & (item - 1)) == 0 ? out : scratch->elements;
    uint16_t *const upper = type->halves == 1 ? aligned : scratch->halves[0];
    read_fields(kernels, plan, &plan->fields[0], tokens, n, (uint16_t *)(void *)scratch->fields);
    kernels->lossless_merge(&plan->split, tokens, scratch->fields, n, upper);
    if (!put_symbols(plan, tokens, n, upper)) return QSGD_ERR_STREAM;
    for (unsigned h = 1; h < type->halves; h++) {
        read_fields(kernels, plan, &plan->fields[h], tokens, n, scratch->halves[h]);
    }
    if (type->halves > 1) join(kernels, type, n, scratch, aligned);
    if (aligned != out) memcpy(out, aligned, n * item);
    return QSGD_OK;
}
