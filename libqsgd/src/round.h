/* Kernel bodies of rounding and of its inverse: element to index, index to value (FORMAT.md
 * sections 6.2 and 7). */

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

/* Where elements lie between levels. */
struct round_position {
    vu t;      /* T: cell << 16 | high half of the fraction */
    vf u;      /* its fraction's low half is frac(u) 2^16 */
    vu weight; /* G of the cell; tables alone */
};

BODY struct round_position position_uniform(const struct round_bucket *bucket,
                                            const struct round_kind kind, vf magnitude) {
    struct round_position at;
    at.u = vf_min(vf_mul(magnitude, vf_set1(bucket->inv16)), vf_set1(bucket->cap16));
    at.t = vf_trunc(at.u);
    at.weight = vu_set1(0);
    if (kind.crossed) at.t = vu_add(at.t, vu_set1(0x8000));
    return at;
}

/* The cell is the number of levels at or below r. */
BODY struct round_position position_table(const struct round_bucket *bucket,
                                          const struct round_kind kind, vf magnitude) {
    const struct round_table *table = bucket->table;
    struct round_position at;
    vf r = vf_min(vf_mul(magnitude, vf_set1(bucket->inv16)), vf_set1(1.0F));
    vu j = vu_set1(0);
    for (uint32_t i = 1; i <= table->count; i++) {
        j = vu_inc(vf_ge(r, vf_set1(table->level[i])), j);
    }
    vf q = vf_mul(vf_sub(r, vf_gather(table->level, j)), vf_gather(table->rcp, j));
    at.u = vf_min(vf_mul(q, vf_set1(65536.0F)), vf_set1(65536.0F));
    at.t = vu_add(vu_sll(j, 16), vf_trunc(at.u));
    if (kind.crossed) { /* the central cell reaches from -l_1 to l_1 */
        at.t = vu_add(at.t, vu_where(vu_eq(j, vu_set1(0)), vu_set1(0x8000)));
    }
    at.weight = kind.dithered ? vu_gather(table->weight, vu_srl(at.t, 16)) : vu_set1(0);
    return at;
}

typedef struct round_position (*position_of)(const struct round_bucket *, struct round_kind, vf);

/* The lanes of `tie` where Vn < low. One element in 65536 gets here. */
static __attribute__((noinline)) vm round_ties(const struct noise_key *key, uint64_t element, vf u,
                                               vu sign, vm tie) {
    uint32_t v[W];
    for (uint32_t l = 0; l < W; l++) {
        v[l] = vm_bits(tie) >> l & 1 ? kernel_tie_noise(key, element + l) : 0;
    }
    vu low = vf_trunc(vf_mul(vf_sub(u, vf_from_int(vf_trunc(u))), vf_set1(65536.0F)));
    vu noise = vu_xor(vu_load(v), vu_and(sign, vu_set1(0xFFFF)));
    return vm_and(tie, vu_gt31(low, noise));
}

/* (f (2^16 - f)) >> 14: p (1 - p) in units of 2^-18. */
BODY vu round_variance(vu t) {
    vu f = vu_and(t, vu_set1(0xFFFF));
    return vu_srl(vu_mullo(f, vu_sub(vu_set1(0x10000), f)), 14);
}

/* m = (T + (N ^ 0xFFFF)) >> 16, one more where a tie goes up; k = +-m. */
BODY vu round_vector(const struct round_bucket *bucket, const struct round_kind kind,
                     position_of position, uint64_t element, vf x, vu noise, vu *variance) {
    const vu low = vu_set1(0xFFFF);
    vu bits = vf_bits(x), sign = vu_sign(bits);
    const struct round_position at =
        position(bucket, kind, vf_from_bits(vu_and(bits, vu_set1(0x7FFFFFFF))));
    if (kind.dithered) {
        vu v = round_variance(at.t);
        *variance = vu_add(*variance, bucket->table != NULL ? vu_mullo(v, at.weight) : v);
    }
    vu m;
    if (kind.nearest) {
        m = vu_srl(vu_add(at.t, vu_set1(0x8000)), 16);
    } else { /* N ^ 0xFFFF, with N complemented for negative x */
        vu sum = vu_add(at.t, vu_xor(noise, vu_andnot(sign, low)));
        vm tie = vu_eq(vu_and(sum, low), low);
        m = vu_srl(sum, 16);
        if (vm_any(tie)) m = vu_inc(round_ties(bucket->key, element, at.u, sign, tie), m);
    }
    if (kind.crossed) { /* m = 0 is the innermost level of the other sign */
        vm crossed = vu_eq(m, vu_set1(0));
        m = vu_inc(crossed, m);
        sign = vu_xor(sign, vu_ones(crossed));
    }
    return vu_sub(vu_xor(m, sign), sign);
}

/* `flush`: vectors after which 32-bit sums might overflow. */
BODY uint64_t round_all(const struct round_bucket *bucket, uint64_t element, const float *x,
                        const uint16_t *noise, size_t n, int16_t *k, const struct round_kind kind,
                        position_of position, const size_t flush) {
    vu variance = vu_set1(0);
    uint64_t total = 0;
    size_t i = 0;
    while (i + W <= n) {
        size_t stop = (n - i) / W < flush ? n : i + flush * W;
        for (; i + W <= stop; i += W) {
            vu index = round_vector(bucket, kind, position, element + i, vf_load(x + i),
                                    vu_load_u16(noise + i), &variance);
            vu_store_i16(k + i, index);
        }
        if (!kind.dithered) continue;
        total += round_reduce(variance);
        variance = vu_set1(0);
    }
    if (i == n) return total;
    float xs[W] = {0};
    uint16_t ns[W] = {0};
    int16_t ks[W];
    uint32_t lanes[W];
    memcpy(xs, x + i, (n - i) * sizeof *x);
    memcpy(ns, noise + i, (n - i) * sizeof *noise);
    vu_store_i16(ks, round_vector(bucket, kind, position, element + i, vf_load(xs), vu_load_u16(ns),
                                  &variance));
    vu_store(lanes, variance);
    memcpy(k + i, ks, (n - i) * sizeof *k);
    for (size_t l = 0; l < n - i; l++) total += lanes[l]; /* padding lanes must not count */
    return total;
}

static uint64_t kernel_round_uniform(const struct round_bucket *bucket, uint64_t element,
                                     const float *x, const uint16_t *noise, size_t n, int16_t *k) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->crossed};
    const struct round_kind plain = {0}, dithered = {.dithered = true};
    const size_t flush = 32768;
    if (kind.nearest || kind.crossed) {
        return round_all(bucket, element, x, noise, n, k, kind, position_uniform, flush);
    }
    if (kind.dithered) { /* the two common cases get loops of their own */
        return round_all(bucket, element, x, noise, n, k, dithered, position_uniform, flush);
    }
    return round_all(bucket, element, x, noise, n, k, plain, position_uniform, flush);
}

/* variance <= 2^16, weight < 2^16: a lane holds one product; sums go out every vector. */
static uint64_t kernel_round_table(const struct round_bucket *bucket, uint64_t element,
                                   const float *x, const uint16_t *noise, size_t n, int16_t *k) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->crossed};
    return round_all(bucket, element, x, noise, n, k, kind, position_table, 1);
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
