/* Writes lossless payloads. */
#include "codes/lossless/write.h"

#include <string.h>

#include "base/bits.h"
#include "base/dtype.h"
#include "codes/lossless/choose.h"
#include "kernels/kernels.h"

#if QSGD_ENCODER

/* Upper and lower halves of elements to the scratch. */
static void take_halves(const struct kernels *kernels, const struct lossless_type *type,
                        const void *elements, size_t n, const struct lossless_scratch *scratch) {
    const size_t item = 2 * (size_t)type->halves;
    const void *aligned = elements;
    if (((uintptr_t)elements & (item - 1)) != 0) {
        aligned = memcpy(scratch->elements, elements, n * item);
    }
    if (type->halves == 1) {
        memcpy(scratch->halves[0], aligned, n * item);
    } else if (type->halves == 2) {
        kernels->halves_of_words(aligned, n, scratch->halves[0], scratch->halves[1]);
    } else {
        const uint64_t *const words = aligned;
        for (size_t i = 0; i < n; i++) {
            for (unsigned h = 0; h < 4; h++) {
                scratch->halves[h][i] = (uint16_t)(words[i] >> (48 - 16 * h));
            }
        }
    }
}

/* True if elements of token 0 are +0, all of them. */
static bool zeros_are_whole(const struct lossless_type *type, size_t n,
                            const struct lossless_scratch *scratch) {
    uint32_t some = 0;
    for (unsigned h = 0; h < type->halves; h++) {
        const uint16_t *const v = scratch->halves[h];
        for (size_t i = 0; i < n; i++) some |= v[i] & (0U - (scratch->codes->tokens[i] == 0));
    }
    return some == 0;
}

/* Moves the numbers of elements whose token is not 0 together. */
static void close_up(const uint8_t *tokens, size_t n, uint16_t *v) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        v[to] = v[i];
        to += tokens[i] != 0;
    }
}

/* Which bits any of n numbers has. */
static unsigned bits_of(const uint16_t *v, size_t n) {
    uint64_t any = 0, four;
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        memcpy(&four, v + i, sizeof four);
        any |= four;
    }
    any |= any >> 32;
    any |= any >> 16;
    for (; i < n; i++) any |= v[i];
    return (unsigned)(any & 0xFFFF);
}

static struct lossless_fields form_of(const uint16_t *v, size_t n) {
    const unsigned any = bits_of(v, n);
    if (any == 0) return (struct lossless_fields){NULL, 0, 0};
    const unsigned drop = (unsigned)__builtin_ctz(any);
    return (struct lossless_fields){NULL, drop, floor_log2(any >> drop) + 1};
}

/* Writes them at p; returns what is behind. */
static uint8_t *write_fields(const struct kernels *kernels, const struct lossless_fields *form,
                             uint16_t *v, size_t n, uint8_t *p) {
    if (form->width == 16) {
        store_le16s(p, v, n);
        return p + 2 * n;
    }
    if (form->width == 0) return p;
    for (size_t i = 0; form->drop != 0 && i < n; i++) v[i] = (uint16_t)(v[i] >> form->drop);
    const struct rank_map map = {form->width, true, true, 0};
    kernels->pack(&map, (const int16_t *)(void *)v, n, p);
    return p + (n * form->width + 7) / 8;
}

static uint8_t *write_symbols(const struct lossless_plan *plan, const uint8_t *tokens, size_t n,
                              const uint16_t *halves, uint8_t *p, uint8_t *end) {
    struct lsb_writer w;
    lsb_write_init(&w, p, end);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] != LOSSLESS_ESCAPE) continue;
        lsb_write(&w, (halves[i] & 0x7FFFU) >> plan->split.shift, 15 - (unsigned)plan->split.shift);
    }
    return lsb_write_end(&w);
}

/* Bytes before the tokens. */
static uint64_t bytes_before(const struct lossless_type *type, const struct lossless_plan *plan) {
    uint64_t bytes = 3;
    if (plan->sparse) bytes += varint_bytes(plan->stored);
    if (plan->escapes != 0) bytes += varint_bytes(plan->escapes);
    for (unsigned h = 0; h < type->halves; h++) {
        bytes += 2 + ((uint64_t)plan->stored * plan->fields[h].width + 7) / 8;
    }
    return bytes + ((uint64_t)plan->escapes * (15 - (unsigned)plan->split.shift) + 7) / 8;
}

/* What comes before the tokens. */
static uint8_t *write_head(const struct kernels *kernels, const struct lossless_type *type,
                           const struct lossless_plan *plan, size_t n,
                           const struct lossless_scratch *scratch, uint8_t *dst, uint8_t *end) {
    const uint8_t *const tokens = scratch->codes->tokens;
    uint8_t *p = dst;
    *p++ = (uint8_t)(plan->form | (plan->sparse ? LOSSLESS_IS_SPARSE : 0) |
                     (plan->escapes != 0 ? LOSSLESS_HAS_ESCAPES : 0) |
                     plan->lead << LOSSLESS_LEAD_BIT);
    store_le16(p, (uint16_t)plan->split.top);
    p += 2;
    if (plan->sparse) p += varint_write(p, plan->stored);
    if (plan->escapes != 0) {
        p += varint_write(p, plan->escapes);
        p = write_symbols(plan, tokens, n, scratch->halves[0], p, end);
    }
    for (unsigned h = 0; h < type->halves; h++) {
        uint16_t *const v = h == 0 ? (uint16_t *)(void *)scratch->fields : scratch->halves[h];
        *p++ = (uint8_t)plan->fields[h].drop;
        *p++ = (uint8_t)plan->fields[h].width;
        p = write_fields(kernels, &plan->fields[h], v, plan->stored, p);
    }
    return p;
}

/* Counts tokens, and finds what is stored beside them. */
static void plan_fields(const struct kernels *kernels, const struct lossless_type *type, size_t n,
                        const struct lossless_scratch *scratch, struct lossless_plan *plan) {
    const uint8_t *const tokens = scratch->codes->tokens;
    uint32_t counts[CODE_TOKENS];
    kernels->histogram(tokens, n, counts);
    plan->form = LOSSLESS_CODED;
    if (counts[tokens[0]] == n) plan->form = LOSSLESS_CONSTANT;
    plan->token = tokens[0];
    plan->escapes = counts[LOSSLESS_ESCAPE];
    plan->sparse = counts[0] != 0 && counts[0] >= n / 16 && zeros_are_whole(type, n, scratch);
    plan->stored = plan->sparse ? n - counts[0] : n;
    for (unsigned h = 0; h < type->halves; h++) {
        uint16_t *const v = h == 0 ? (uint16_t *)(void *)scratch->fields : scratch->halves[h];
        if (plan->sparse) close_up(tokens, n, v);
        plan->fields[h] = form_of(v, plan->stored);
    }
}

size_t lossless_write(const struct kernels *kernels, uint32_t dtype, const void *elements, size_t n,
                      const struct lossless_scratch *scratch, uint8_t *dst) {
    const struct lossless_type *type = lossless_type_of(dtype);
    const size_t bound = (size_t)lossless_bound(n, 2 * (size_t)type->halves);
    struct lossless_plan plan = {.form = LOSSLESS_PLAIN};
    take_halves(kernels, type, elements, n, scratch);
    lossless_choose(type, scratch->halves[0], n, &plan);
    kernels->lossless_split(&plan.split, scratch->halves[0], n, scratch->codes->tokens,
                            scratch->fields);
    plan_fields(kernels, type, n, scratch, &plan);
    uint8_t *const end = dst + bound;
    if (bytes_before(type, &plan) + 1 < bound) {
        uint8_t *p = write_head(kernels, type, &plan, n, scratch, dst, end);
        if (plan.form == LOSSLESS_CONSTANT) {
            *p++ = plan.token;
            return (size_t)(p - dst);
        }
        const struct code_chunk chunk = lossless_chunk(kernels, n, scratch->codes);
        code_rans.plan(&chunk, NULL, &plan.rans);
        const size_t bytes = code_rans.write(&chunk, NULL, &plan.rans, p, (size_t)(end - p));
        if (bytes != SIZE_MAX && bytes < (size_t)(end - p)) return (size_t)(p - dst) + bytes;
    }
    dst[0] = LOSSLESS_PLAIN;
    dtype_swap_copy(dtype, elements, n, dst + 1);
    return bound;
}

#endif
