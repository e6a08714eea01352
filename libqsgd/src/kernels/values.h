/* Kernel bodies from indices or direct tokens back to values (FORMAT.md section 7). Stage:
 * index -> value; the inverse of round.h. */

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

/* The same for one element: a frame of tiny buckets never fills a vector, and moving two bytes in
 * and out of one costs more than the arithmetic. */
BODY float value_one(const struct value_bucket *bucket, float h, uint32_t noise) {
    if (!value_dithers(bucket)) return h * bucket->unit;
    if (bucket->turned && noise >> 15 != 0) h = -h;
    const float c = (float)((int32_t)(2 * noise - 65535) * bucket->damping) * 0x1p-24F;
    /* every operation into a variable: some compilers evaluate expressions in binary64 */
    const float sum = h + c, level = h * bucket->unit, dither = c * bucket->dither_unit;
    return bucket->table == NULL ? sum * bucket->unit : level + dither;
}

BODY float value_one_h(const struct value_bucket *bucket, int32_t k) {
    if (bucket->table != NULL) return bucket->table[k];
    const float h = (float)k;
    return bucket->half == 0 ? h : (k < 0 ? h + 0.5F : h - 0.5F);
}

BODY void value_put(float *out, float v, const bool add, float alpha) {
    if (add) {
        float old;
        memcpy(&old, out, sizeof old);
        v = v * alpha;
        v = old + v;
    }
    memcpy(out, &v, sizeof v);
}

/* What stays the same in a loop, as constants of the inlined bodies. */
struct value_shape {
    bool table, dithered, add;
    bool tokens; /* direct tokens, not indices */
    int size;    /* of their table in registers, or 0 to look up in memory */
};

/* Of the first element. */
struct value_source {
    const int16_t *k;
    const uint8_t *tokens;
    const uint16_t *noise;
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

/* Values of W elements, from the i-th on. */
BODY vf value_vector(const struct value_bucket *bucket, const struct value_shape shape,
                     const value_table *table, const struct value_source *from, size_t i) {
    const vu noise = shape.dithered ? vu_load_u16(from->noise + i) : vu_set1(0);
    const vf h = shape.tokens
                     ? value_look_up(bucket, table, vu_load_u8(from->tokens + i), shape.size)
                     : value_h(bucket, shape.table, vu_load_i16(from->k + i));
    return value_of(bucket, shape.table, shape.dithered, h, noise);
}

#ifdef W_STREAM
/* Elements [i, end) of n, less than a line of them. */
BODY void values_edge(const struct value_bucket *bucket, const struct value_shape shape,
                      const value_table *table, const struct value_source *from, size_t i,
                      size_t end, size_t n, float *out) {
    while (i < end) {
        const size_t base = i + W <= n ? i : n - W, last = end - base < W ? end - base : W;
        const vf v = value_vector(bucket, shape, table, from, base);
        float lanes[W];
        vf_store(lanes, v);
        for (; i < base + last; i++) vf_stream_one(out + i, lanes[i - base]);
    }
}
#endif

/* Long outputs pass the cache by, in whole lines: a line that was written both ways would be read
 * and written again. False if there is not enough to do. */
BODY bool values_stream(const struct value_bucket *bucket, const struct value_shape shape,
                        const value_table *table, const struct value_source *from, size_t n,
                        float *out) {
#ifdef W_STREAM
    const size_t line = 64 / sizeof(float);
    if (shape.add || !bucket->stream || n < 3 * line || ((uintptr_t)out & 3) != 0) return false;
    const size_t first = (0 - (uintptr_t)out) / sizeof(float) % line;
    const size_t end = first + (n - first) / line * line;
    values_edge(bucket, shape, table, from, 0, first, n, out);
    for (size_t i = first; i < end; i += W) {
        vf_stream(out + i, value_vector(bucket, shape, table, from, i));
    }
    values_edge(bucket, shape, table, from, end, n, n, out);
    return true;
#else
    (void)bucket, (void)shape, (void)table, (void)from, (void)n, (void)out;
    return false;
#endif
}

/* The lines that the next block will write are fetched while its tokens are decoded. Never faults,
 * wherever it points. */
#define VALUE_AHEAD 8192 /* bytes */

BODY void values_all(const struct value_bucket *bucket, const struct value_shape shape,
                     const struct value_source *from, size_t n, float alpha, float *out) {
    const value_table table = value_table_of(bucket, shape);
    size_t i = 0;
    if (values_stream(bucket, shape, &table, from, n, out)) return;
    for (; i + W <= n; i += W) {
        vf v = value_vector(bucket, shape, &table, from, i);
        PREFETCH((const void *)((uintptr_t)(out + i) + VALUE_AHEAD));
        if (shape.add) v = vf_add(vf_load(out + i), vf_mul(v, vf_set1(alpha)));
        vf_store(out + i, v);
    }
    for (; i < n; i++) {
        const float h =
            shape.tokens ? bucket->of_token[from->tokens[i]] : value_one_h(bucket, from->k[i]);
        value_put(out + i, value_one(bucket, h, shape.dithered ? from->noise[i] : 0), shape.add,
                  alpha);
    }
}

/* The common cases get loops of their own. */
BODY void values_of_indices(const struct value_bucket *bucket, const struct value_source *from,
                            size_t n, const bool add, float alpha, float *out) {
    const bool dithered = value_dithers(bucket);
    const struct value_shape table = {.table = true, .dithered = dithered, .add = add};
    const struct value_shape with = {.dithered = true, .add = add}, without = {.add = add};
    if (bucket->table != NULL) {
        values_all(bucket, table, from, n, alpha, out);
    } else if (dithered) {
        values_all(bucket, with, from, n, alpha, out);
    } else {
        values_all(bucket, without, from, n, alpha, out);
    }
}

#if !defined(W_TABLE) || W_TABLE < 32
#define VALUE_TABLE 0
#else
#define VALUE_TABLE 32
#endif

BODY void values_of_tokens(const struct value_bucket *bucket, const struct value_source *from,
                           size_t n, const bool add, float alpha, float *out) {
    const bool table = bucket->table != NULL, dithered = value_dithers(bucket);
    const struct value_shape with = {table, true, add, true, 16};
    const struct value_shape without = {false, false, add, true, 16}; /* a table's h is no other */
    const struct value_shape any = {table, dithered, add, true, VALUE_TABLE};
    if (bucket->tokens > 16) {
        values_all(bucket, any, from, n, alpha, out);
    } else if (dithered) {
        values_all(bucket, with, from, n, alpha, out);
    } else {
        values_all(bucket, without, from, n, alpha, out);
    }
}

KERNEL void kernel_values(const struct value_bucket *bucket, const int16_t *k,
                          const uint16_t *noise, size_t n, float *out) {
    const struct value_source from = {k, NULL, noise};
    values_of_indices(bucket, &from, n, false, 0, out);
}

KERNEL void kernel_values_add(const struct value_bucket *bucket, const int16_t *k,
                              const uint16_t *noise, size_t n, float alpha, float *out) {
    const struct value_source from = {k, NULL, noise};
    values_of_indices(bucket, &from, n, true, alpha, out);
}

KERNEL void kernel_token_values(const struct value_bucket *bucket, const uint8_t *tokens,
                                const uint16_t *noise, size_t n, float *out) {
    const struct value_source from = {NULL, tokens, noise};
    values_of_tokens(bucket, &from, n, false, 0, out);
}

KERNEL void kernel_token_values_add(const struct value_bucket *bucket, const uint8_t *tokens,
                                    const uint16_t *noise, size_t n, float alpha, float *out) {
    const struct value_source from = {NULL, tokens, noise};
    values_of_tokens(bucket, &from, n, true, alpha, out);
}
