/* Kernel bodies of rounding and of its inverse: element to index, index to value (FORMAT.md
 * sections 6.2 and 7). Ties on 16 bits of noise are only noticed here; quantise.c settles them. */

/* Sum over lanes of products below 2^17: callers keep n / W below 2^15. */
BODY uint64_t round_reduce(vu sum) {
    uint32_t lanes[W];
    uint64_t total = 0;
    vu_store(lanes, sum);
    for (int l = 0; l < W; l++) total += lanes[l];
    return total;
}

/* What stays the same over a run, as constants of the inlined bodies. */
struct round_kind {
    bool nearest, dithered, crossed; /* crossed: 0 is not a level */
};

/* m = (T + (N ^ 0xFFFF)) >> 16, k = +-m; sets *tie where the low half of the sum is all ones. */
BODY vu round_index(vu t, vu noise, vu sign, const struct round_kind kind, vu *tie) {
    const vu low = vu_set1(0xFFFF);
    if (kind.nearest) {
        noise = vu_set1(0x8000);
    } else {
        noise = vu_xor(noise, vu_andnot(sign, low)); /* N ^ 0xFFFF, N complemented for x < 0 */
    }
    vu sum = vu_add(t, noise);
    *tie = kind.nearest ? vu_set1(0) : vu_eq(vu_and(sum, low), low);
    vu m = vu_srl(sum, 16);
    if (kind.crossed) { /* m = 0 is the innermost level of the other sign */
        vu crossed = vu_eq(m, vu_set1(0));
        m = vu_or(m, vu_and(crossed, vu_set1(1)));
        sign = vu_xor(sign, crossed);
    }
    return vu_sub(vu_xor(m, sign), sign);
}

/* (f (2^16 - f)) >> 14: p (1 - p) in units of 2^-18. */
BODY vu round_variance(vu t) {
    vu f = vu_and(t, vu_set1(0xFFFF));
    return vu_srl(vu_mullo(f, vu_sub(vu_set1(0x10000), f)), 14);
}

BODY vu round_uniform_vector(const struct round_bucket *bucket, const struct round_kind kind, vf x,
                             vu noise, vu *variance, vu *tie) {
    vu bits = vf_bits(x);
    vf magnitude = vf_from_bits(vu_and(bits, vu_set1(0x7FFFFFFF)));
    vf y = vf_min(vf_mul(magnitude, vf_set1(bucket->inv16)), vf_set1(bucket->cap16));
    vu t = vf_trunc(y);
    if (kind.crossed) t = vu_add(t, vu_set1(0x8000));
    if (kind.dithered) *variance = vu_add(*variance, round_variance(t));
    return round_index(t, noise, vu_sign(bits), kind, tie);
}

/* j = the number of levels at or below r, then the position within the cell. */
BODY vu round_table_vector(const struct round_bucket *bucket, const struct round_kind kind, vf x,
                           vu noise, vu *variance, vu *tie) {
    const struct round_table *table = bucket->table;
    vu bits = vf_bits(x);
    vf magnitude = vf_from_bits(vu_and(bits, vu_set1(0x7FFFFFFF)));
    vf r = vf_min(vf_mul(magnitude, vf_set1(bucket->inv16)), vf_set1(1.0F));
    vu j = vu_set1(0);
    for (uint32_t i = 1; i <= table->count; i++) {
        j = vu_sub(j, vf_ge(r, vf_set1(table->level[i])));
    }
    vf q = vf_mul(vf_sub(r, vf_gather(table->level, j)), vf_gather(table->rcp, j));
    vf u = vf_min(vf_mul(q, vf_set1(65536.0F)), vf_set1(65536.0F));
    vu t = vu_add(vu_sll(j, 16), vf_trunc(u));
    if (kind.crossed) { /* the central cell reaches from -l_1 to l_1 */
        t = vu_add(t, vu_and(vu_eq(j, vu_set1(0)), vu_set1(0x8000)));
    }
    if (kind.dithered) {
        vu weight = vu_gather(table->weight, vu_srl(t, 16)); /* of the cell that T names */
        *variance = vu_add(*variance, vu_mullo(round_variance(t), weight));
    }
    return round_index(t, noise, vu_sign(bits), kind, tie);
}

typedef vu (*round_vector)(const struct round_bucket *, struct round_kind, vf, vu, vu *, vu *);

/* `flush`: vectors after which 32-bit sums might overflow. */
BODY uint64_t round_all(const struct round_bucket *bucket, const float *x, const uint16_t *noise,
                        size_t n, int16_t *k, bool *ties, const struct round_kind kind,
                        round_vector one, const size_t flush) {
    vu variance = vu_set1(0), any = vu_set1(0), tie;
    uint64_t total = 0;
    size_t i = 0;
    while (i + W <= n) {
        size_t stop = (n - i) / W < flush ? n : i + flush * W;
        for (; i + W <= stop; i += W) {
            vu index = one(bucket, kind, vf_load(x + i), vu_load_u16(noise + i), &variance, &tie);
            vu_store_i16(k + i, index);
            any = vu_or(any, tie);
        }
        if (!kind.dithered) continue;
        total += round_reduce(variance);
        variance = vu_set1(0);
    }
    if (i < n) {
        float xs[W] = {0};
        uint16_t ns[W] = {0};
        int16_t ks[W];
        memcpy(xs, x + i, (n - i) * sizeof *x);
        memcpy(ns, noise + i, (n - i) * sizeof *noise);
        vu unused = vu_set1(0);
        vu_store_i16(ks, one(bucket, kind, vf_load(xs), vu_load_u16(ns), &unused, &tie));
        uint32_t lanes[W], tie_lanes[W];
        vu_store(lanes, unused);
        vu_store(tie_lanes, tie);
        for (size_t l = 0; l < n - i; l++) { /* padding lanes must not count */
            k[i + l] = ks[l];
            total += lanes[l];
            any = vu_or(any, vu_set1(tie_lanes[l]));
        }
    }
    *ties = vu_any(any);
    return total;
}

static uint64_t kernel_round_uniform(const struct round_bucket *bucket, const float *x,
                                     const uint16_t *noise, size_t n, int16_t *k, bool *ties) {
    const bool crossed = bucket->offset != 0;
    const size_t flush = 32768;
    if (!bucket->nearest && !crossed) { /* the two common cases get loops of their own */
        if (!bucket->dithered) {
            return round_all(bucket, x, noise, n, k, ties, (struct round_kind){0},
                             round_uniform_vector, flush);
        }
        return round_all(bucket, x, noise, n, k, ties, (struct round_kind){.dithered = true},
                         round_uniform_vector, flush);
    }
    const struct round_kind kind = {bucket->nearest, bucket->dithered, crossed};
    return round_all(bucket, x, noise, n, k, ties, kind, round_uniform_vector, flush);
}

/* variance <= 2^16, weight < 2^16: a lane holds one product; sums go out every vector. */
static uint64_t kernel_round_table(const struct round_bucket *bucket, const float *x,
                                   const uint16_t *noise, size_t n, int16_t *k, bool *ties) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->offset != 0};
    return round_all(bucket, x, noise, n, k, ties, kind, round_table_vector, 1);
}

/* ---- back ----------------------------------------------------------------------------------- */

BODY vf value_vector(const struct value_bucket *bucket, vu k, vu noise) {
    /* c = a (2 R - 65535) 2^-24, an integer below 2^24 times a power of two: exact */
    vf c = vf_set1(0.0F);
    if (bucket->damping != 0) {
        vu odd = vu_sub(vu_sll(noise, 1), vu_set1(65535));
        vu product = vu_mullo(odd, vu_set1((uint32_t)bucket->damping));
        c = vf_mul(vf_from_int(product), vf_set1(0x1p-24F));
    }
    if (bucket->table != NULL) {
        vf v = vf_mul(vf_gather(bucket->table, k), vf_set1(bucket->unit));
        if (bucket->damping == 0) return v;
        return vf_add(v, vf_mul(c, vf_set1(bucket->dither_unit)));
    }
    vf h = vf_from_int(k);
    if (bucket->half != 0) { /* sign(k) (|k| - 1/2) */
        vu sign = vu_and(vf_bits(h), vu_set1(0x80000000U));
        h = vf_sub(h, vf_from_bits(vu_or(vf_bits(vf_set1(0.5F)), sign)));
    }
    if (bucket->damping != 0) h = vf_add(h, c);
    return vf_mul(h, vf_set1(bucket->unit));
}

/* The same for one element: a frame of tiny buckets never fills a vector, and moving two bytes in
 * and out of one costs more than the arithmetic. */
BODY float value_one(const struct value_bucket *bucket, int32_t k, uint32_t noise) {
    float c = 0.0F;
    if (bucket->damping != 0) {
        c = (float)((int32_t)(2 * noise - 65535) * bucket->damping) * 0x1p-24F;
    }
    if (bucket->table != NULL) {
        float v = bucket->table[k] * bucket->unit;
        return bucket->damping == 0 ? v : v + c * bucket->dither_unit;
    }
    float h = (float)k;
    if (bucket->half != 0) h = k < 0 ? h + 0.5F : h - 0.5F;
    if (bucket->damping != 0) h = h + c;
    return h * bucket->unit;
}

BODY void values_all(const struct value_bucket *bucket, const int16_t *k, const uint16_t *noise,
                     size_t n, const bool add, float alpha, float *out) {
    const vu none = vu_set1(0);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vf v = value_vector(bucket, vu_load_i16(k + i),
                            bucket->damping != 0 ? vu_load_u16(noise + i) : none);
        if (add) v = vf_add(vf_load(out + i), vf_mul(v, vf_set1(alpha)));
        vf_store(out + i, v);
    }
    for (; i < n; i++) {
        float v = value_one(bucket, k[i], bucket->damping != 0 ? noise[i] : 0);
        if (add) {
            float old;
            memcpy(&old, out + i, sizeof old);
            v = old + v * alpha;
        }
        memcpy(out + i, &v, sizeof v);
    }
}

static void kernel_values(const struct value_bucket *bucket, const int16_t *k,
                          const uint16_t *noise, size_t n, float *out) {
    values_all(bucket, k, noise, n, false, 0, out);
}

static void kernel_values_add(const struct value_bucket *bucket, const int16_t *k,
                              const uint16_t *noise, size_t n, float alpha, float *out) {
    values_all(bucket, k, noise, n, true, alpha, out);
}
