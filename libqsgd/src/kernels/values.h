/* Kernel bodies from indices or direct tokens back to values (FORMAT.md section 8.4). Stage:
 * index -> value; the inverse of round.h. */
#ifndef QSGD_KERNELS_VALUES_H
#define QSGD_KERNELS_VALUES_H

#include "kernels/body.h"
#include "kernels/types.h"

/* c = a (2 R - 65535) 2^-24, an integer below 2^24 times a power of two: exact. */
BODY vf value_dither(const struct value_bucket *bucket, vu noise) {
    vu odd = vu_sub(vu_sll(noise, 1), vu_set1(65535));
    vu product = vu_mullo(odd, vu_set1((uint32_t)bucket->damping));
    return vf_mul(vf_from_int(product), vf_set1(0x1p-24F));
}

/* Levels of turned indices, as they were. */
BODY vf value_turn(const struct value_bucket *bucket, vf h, vu noise) {
    const vu turn = vu_and(vu_sll(noise, 16), vu_set1(bucket->turned ? 0x80000000U : 0));
    return vf_from_bits(vu_xor(vf_bits(h), turn));
}

/* What a value is made of: h, the index in gaps of uniform levels, or a table's level. A turned 0
 * is -0 until c is added, which may be +0. */
BODY vf value_of(const struct value_bucket *bucket, const bool table, const bool dithered, vf h,
                 vu noise) {
    const vf unit = vf_set1(bucket->unit);
    if (!dithered) return vf_mul(h, unit);
    h = value_turn(bucket, h, noise);
    const vf c = value_dither(bucket, noise);
    if (!table) return vf_mul(vf_add(h, c), unit);
    return vf_add(vf_mul(h, unit), vf_mul(c, vf_set1(bucket->dither_unit)));
}

BODY vf value_h(const struct value_bucket *bucket, const bool table, vu k) {
    if (table) return vf_gather(bucket->table, k);
    vf h = vf_from_int(k);
    if (bucket->half == 0) return h;
    vu sign = vu_and(vf_bits(h), vu_set1(0x80000000U)); /* sign(k) (|k| - 1/2) */
    return vf_sub(h, vf_from_bits(vu_or(vf_bits(vf_set1(0.5F)), sign)));
}

/* True if values take noise. */
BODY bool value_dithers(const struct value_bucket *bucket) {
    return bucket->damping != 0 || bucket->turned;
}

/* What stays the same in a loop, as constants of the inlined bodies. */
struct value_shape {
    bool table, dithered, add;
    bool tokens; /* direct tokens, not indices */
    int size;    /* of their table in registers, or 0 to look up in memory */
};

/* n elements, by their indices or tokens. */
struct value_source {
    const int16_t *k;
    const uint8_t *tokens;
    const uint16_t *noise;
    size_t n;
};

/* h of tokens, in registers where they can hold it. */
#ifdef W_TABLE
typedef vt value_table;
BODY value_table value_table_of(const struct value_bucket *bucket, const struct value_shape shape) {
    uint32_t bits[32] = {0};
    if (shape.size != 0) memcpy(bits, bucket->of_token, sizeof bits);
    return vt_load(bits, shape.size == 0 ? 16 : shape.size);
}
BODY vf value_look_up(const struct value_bucket *bucket, const value_table *table, vu token,
                      const int size) {
    if (size == 0) return vf_gather(bucket->of_token, token);
    return vf_from_bits(vt_at(table, token, size));
}
#else
typedef struct value_shape value_table;
BODY value_table value_table_of(const struct value_bucket *bucket, const struct value_shape shape) {
    (void)bucket;
    return shape;
}
BODY vf value_look_up(const struct value_bucket *bucket, const value_table *table, vu token,
                      const int size) {
    (void)table, (void)size;
    return vf_gather(bucket->of_token, token);
}
#endif

/* Values of W elements from the i-th on, or of the first `left` of them. */
BODY vf value_vector(const struct value_bucket *bucket, const struct value_shape shape,
                     const value_table *table, const struct value_source *from, size_t i,
                     size_t left, const bool whole) {
    vu noise = vu_set1(0);
    vf h;
    if (shape.dithered) {
        noise = whole ? vu_load_u16(from->noise + i) : vu_load_u16_some(from->noise + i, left);
    }
    if (shape.tokens) {
        const vu t = whole ? vu_load_u8(from->tokens + i) : vu_load_u8_some(from->tokens + i, left);
        h = value_look_up(bucket, table, t, shape.size);
    } else {
        const vu k = whole ? vu_load_i16(from->k + i) : vu_load_i16_some(from->k + i, left);
        h = value_h(bucket, shape.table, k);
    }
    return value_of(bucket, shape.table, shape.dithered, h, noise);
}

#ifdef W_STREAM
/* Elements [i, end) of n, less than a line of them. */
BODY void values_edge(const struct value_bucket *bucket, const struct value_shape shape,
                      const value_table *table, const struct value_source *from, size_t i,
                      size_t end, float *out) {
    while (i < end) {
        const size_t base = i + W <= from->n ? i : from->n - W;
        const size_t stop = end - base < W ? end : base + W;
        const vf v = value_vector(bucket, shape, table, from, base, W, true);
        vf_stream_some(out + base, v, i - base, stop - base);
        i = stop;
    }
}
#endif

/* Long outputs pass the cache by, in whole lines: a line that was written both ways would be read
 * and written again. False if there is not enough to do. */
BODY bool values_stream(const struct value_bucket *bucket, const struct value_shape shape,
                        const value_table *table, const struct value_source *from, float *out) {
#ifdef W_STREAM
    const size_t line = 64 / sizeof(float), n = from->n;
    if (shape.add || !bucket->stream || n < 3 * line || ((uintptr_t)out & 3) != 0) return false;
    const size_t first = (0 - (uintptr_t)out) / sizeof(float) % line;
    const size_t end = first + (n - first) / line * line;
    values_edge(bucket, shape, table, from, 0, first, out);
    for (size_t i = first; i < end; i += W) {
        vf_stream(out + i, value_vector(bucket, shape, table, from, i, W, true));
    }
    values_edge(bucket, shape, table, from, end, n, out);
    return true;
#else
    (void)bucket, (void)shape, (void)table, (void)from, (void)out;
    return false;
#endif
}

/* The lines that the next block will write are fetched while its tokens are decoded. Never faults,
 * wherever it points. */
#define VALUE_AHEAD 8192 /* bytes */

BODY void values_all(const struct value_bucket *bucket, const struct value_shape shape,
                     const struct value_source *from, float alpha, float *out) {
    const value_table table = value_table_of(bucket, shape);
    const size_t n = from->n;
    size_t i = 0;
    if (values_stream(bucket, shape, &table, from, out)) return;
    for (; i + W <= n; i += W) {
        vf v = value_vector(bucket, shape, &table, from, i, W, true);
        PREFETCH((const void *)((uintptr_t)(out + i) + VALUE_AHEAD));
        if (shape.add) v = vf_add(vf_load(out + i), vf_mul(v, vf_set1(alpha)));
        vf_store(out + i, v);
    }
    if (i == n) return;
    vf v = value_vector(bucket, shape, &table, from, i, n - i, false);
    if (shape.add) v = vf_add(vf_load_some(out + i, n - i), vf_mul(v, vf_set1(alpha)));
    vf_store_some(out + i, v, n - i);
}

/* The common cases get loops of their own. */
BODY void values_of_indices(const struct value_bucket *bucket, const struct value_source *from,
                            const bool add, float alpha, float *out) {
    const bool dithered = value_dithers(bucket);
    const struct value_shape table = {true, dithered, add, false, 0};
    const struct value_shape with = {false, true, add, false, 0};
    const struct value_shape without = {false, false, add, false, 0};
    if (bucket->table != NULL) {
        values_all(bucket, table, from, alpha, out);
    } else if (dithered) {
        values_all(bucket, with, from, alpha, out);
    } else {
        values_all(bucket, without, from, alpha, out);
    }
}

#if !defined(W_TABLE) || W_TABLE < 32
#define VALUE_TABLE 0
#else
#define VALUE_TABLE 32
#endif

BODY void values_of_tokens(const struct value_bucket *bucket, const struct value_source *from,
                           const bool add, float alpha, float *out) {
    const bool table = bucket->table != NULL, dithered = value_dithers(bucket);
    const struct value_shape with = {table, true, add, true, 16};
    const struct value_shape without = {false, false, add, true, 16}; /* a table's h is no other */
    const struct value_shape any = {table, dithered, add, true, VALUE_TABLE};
    if (bucket->tokens > 16) {
        values_all(bucket, any, from, alpha, out);
    } else if (dithered) {
        values_all(bucket, with, from, alpha, out);
    } else {
        values_all(bucket, without, from, alpha, out);
    }
}

KERNEL void kernel_values(const struct value_bucket *bucket, const int16_t *k,
                          const uint16_t *noise, size_t n, float *out) {
    const struct value_source from = {k, NULL, noise, n};
    values_of_indices(bucket, &from, false, 0, out);
}

KERNEL void kernel_values_add(const struct value_bucket *bucket, const int16_t *k,
                              const uint16_t *noise, size_t n, float alpha, float *out) {
    const struct value_source from = {k, NULL, noise, n};
    values_of_indices(bucket, &from, true, alpha, out);
}

KERNEL void kernel_token_values(const struct value_bucket *bucket, const uint8_t *tokens,
                                const uint16_t *noise, size_t n, float *out) {
    const struct value_source from = {NULL, tokens, noise, n};
    values_of_tokens(bucket, &from, false, 0, out);
}

KERNEL void kernel_token_values_add(const struct value_bucket *bucket, const uint8_t *tokens,
                                    const uint16_t *noise, size_t n, float alpha, float *out) {
    const struct value_source from = {NULL, tokens, noise, n};
    values_of_tokens(bucket, &from, true, alpha, out);
}

#endif
