/* Kernel bodies from indices or direct tokens back to values (FORMAT.md section 7). Stage:
 * index -> value; the inverse of round.h. */

/* c = a (2 R - 65535) 2^-24, an integer below 2^24 times a power of two: exact. */
BODY vf value_dither(const struct value_bucket *bucket, vu noise) {
    vu odd = vu_sub(vu_sll(noise, 1), vu_set1(65535));
    vu product = vu_mullo(odd, vu_set1((uint32_t)bucket->damping));
    return vf_mul(vf_from_int(product), vf_set1(0x1p-24F));
}

/* What a value is made of: h, the index in gaps of uniform levels, or a table's level. */
BODY vf value_of(const struct value_bucket *bucket, const bool table, const bool dithered, vf h,
                 vu noise) {
    const vf unit = vf_set1(bucket->unit);
    if (!dithered) return vf_mul(h, unit);
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

/* The same for one element: a frame of tiny buckets never fills a vector, and moving two bytes in
 * and out of one costs more than the arithmetic. */
BODY float value_one(const struct value_bucket *bucket, float h, uint32_t noise) {
    if (bucket->damping == 0) return h * bucket->unit;
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

/* The lines that the next block will write are fetched while its tokens are decoded. Never faults,
 * wherever it points. */
#define VALUE_AHEAD 8192 /* bytes */

BODY void value_put_vector(float *out, vf v, const bool add, float alpha) {
    PREFETCH((const void *)((uintptr_t)out + VALUE_AHEAD));
    if (add) v = vf_add(vf_load(out), vf_mul(v, vf_set1(alpha)));
    vf_store(out, v);
}

BODY void values_all(const struct value_bucket *bucket, const int16_t *k, const uint16_t *noise,
                     size_t n, const bool table, const bool dithered, const bool add, float alpha,
                     float *out) {
    size_t i = 0;
    for (; i + W <= n; i += W) {
        const vu r = dithered ? vu_load_u16(noise + i) : vu_set1(0);
        const vf h = value_h(bucket, table, vu_load_i16(k + i));
        value_put_vector(out + i, value_of(bucket, table, dithered, h, r), add, alpha);
    }
    for (; i < n; i++) {
        const float h = value_one_h(bucket, k[i]);
        value_put(out + i, value_one(bucket, h, dithered ? noise[i] : 0), add, alpha);
    }
}

/* The common cases get loops of their own. */
BODY void values_any(const struct value_bucket *bucket, const int16_t *k, const uint16_t *noise,
                     size_t n, const bool add, float alpha, float *out) {
    const bool dithered = bucket->damping != 0;
    if (bucket->table != NULL) {
        values_all(bucket, k, noise, n, true, dithered, add, alpha, out);
    } else if (dithered) {
        values_all(bucket, k, noise, n, false, true, add, alpha, out);
    } else {
        values_all(bucket, k, noise, n, false, false, add, alpha, out);
    }
}

KERNEL void kernel_values(const struct value_bucket *bucket, const int16_t *k,
                          const uint16_t *noise, size_t n, float *out) {
    values_any(bucket, k, noise, n, false, 0, out);
}

KERNEL void kernel_values_add(const struct value_bucket *bucket, const int16_t *k,
                              const uint16_t *noise, size_t n, float alpha, float *out) {
    values_any(bucket, k, noise, n, true, alpha, out);
}

/* size: of the in-register table, or 0 to look up in memory. */
BODY void token_values_all(const struct value_bucket *bucket, const uint8_t *tokens,
                           const uint16_t *noise, size_t n, const int size, const bool dithered,
                           const bool add, float alpha, float *out) {
    const bool table = bucket->table != NULL;
    size_t i = 0;
    (void)size;
#ifdef W_TABLE
    uint32_t bits[32];
    memcpy(bits, bucket->of_token, sizeof bits);
    const vt h_of = vt_load(bits, size == 0 ? 16 : size);
#endif
    for (; i + W <= n; i += W) {
        const vu token = vu_load_u8(tokens + i);
        const vu r = dithered ? vu_load_u16(noise + i) : vu_set1(0);
#ifdef W_TABLE
        const vf h = size == 0 ? vf_gather(bucket->of_token, token)
                               : vf_from_bits(vt_at(&h_of, token, size));
#else
        const vf h = vf_gather(bucket->of_token, token);
#endif
        value_put_vector(out + i, value_of(bucket, table, dithered, h, r), add, alpha);
    }
    for (; i < n; i++) {
        const float h = bucket->of_token[tokens[i]];
        value_put(out + i, value_one(bucket, h, dithered ? noise[i] : 0), add, alpha);
    }
}

BODY void token_values_any(const struct value_bucket *bucket, const uint8_t *tokens,
                           const uint16_t *noise, size_t n, const bool add, float alpha,
                           float *out) {
    const bool dithered = bucket->damping != 0;
#ifdef W_TABLE
    if (bucket->tokens <= 16 && dithered) {
        token_values_all(bucket, tokens, noise, n, 16, true, add, alpha, out);
        return;
    }
    if (bucket->tokens <= 16) {
        token_values_all(bucket, tokens, noise, n, 16, false, add, alpha, out);
        return;
    }
#endif
#if defined(W_TABLE) && W_TABLE >= 32
    token_values_all(bucket, tokens, noise, n, 32, dithered, add, alpha, out);
#else
    token_values_all(bucket, tokens, noise, n, 0, dithered, add, alpha, out);
#endif
}

KERNEL void kernel_token_values(const struct value_bucket *bucket, const uint8_t *tokens,
                                const uint16_t *noise, size_t n, float *out) {
    token_values_any(bucket, tokens, noise, n, false, 0, out);
}

KERNEL void kernel_token_values_add(const struct value_bucket *bucket, const uint8_t *tokens,
                                    const uint16_t *noise, size_t n, float alpha, float *out) {
    token_values_any(bucket, tokens, noise, n, true, alpha, out);
}
