/* Kernel bodies of rounding: element to index or token (FORMAT.md section 6.2). The way back is
 * values.h. */

/* What stays the same over a run, as constants of the inlined bodies. */
struct round_kind {
    bool nearest, dithered, crossed; /* crossed: 0 is not a level */
    bool table;
};

/* Where the elements of one vector lie between levels. */
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

BODY struct round_position position_of(const struct round_bucket *bucket,
                                       const struct round_kind kind, vf x) {
    vf magnitude = vf_from_bits(vu_and(vf_bits(x), vu_set1(0x7FFFFFFF)));
    return kind.table ? position_table(bucket, kind, magnitude)
                      : position_uniform(bucket, kind, magnitude);
}

/* Adds 1 to m where T ties with the noise and V says up. One element in 65536 gets here, so that
 * it may take its time. low, noise, m: in pair order. */
KERNEL __attribute__((noinline)) vh round_ties(const struct noise_key *key, uint64_t element, vf u0,
                                               vf u1, vh sign, vh low, vh noise, vh m) {
    float u[2 * W];
    int16_t lows[2 * W], noises[2 * W], signs[2 * W], ms[2 * W];
    vf_store(u, u0);
    vf_store(u + W, u1);
    vh_store(lows, vh_natural(low));
    vh_store(noises, vh_natural(noise));
    vh_store(signs, vh_natural(sign));
    vh_store(ms, vh_natural(m));
    for (uint32_t l = 0; l < 2 * W; l++) {
        if (lows[l] != noises[l]) continue;
        const uint32_t v = kernel_tie_noise(key, element + l) ^ (uint16_t)signs[l];
        const uint32_t rest = (uint32_t)((u[l] - (float)(uint32_t)u[l]) * 65536.0F);
        if (v < rest) ms[l]++;
    }
    return vh_pair(vh_load(ms));
}

/* 2 W elements, in pair order. */
struct round_pair {
    vh m, sign;   /* magnitude of the index; all ones where it is negative */
    vh low;       /* high half of T's fraction */
    vu weight[2]; /* G of each vector's cells */
};

/* m = (T + (N ^ 0xFFFF)) >> 16, which is T >> 16 and one more where T's low half is above N (one
 * more where a tie goes up); N is complemented for negative x. */
BODY struct round_pair round_two(const struct round_bucket *bucket, const struct round_kind kind,
                                 uint64_t element, const float *x, const uint16_t *noise) {
    const vf x0 = vf_load(x), x1 = vf_load(x + W);
    const struct round_position a = position_of(bucket, kind, x0);
    const struct round_position b = position_of(bucket, kind, x1);
    struct round_pair r;
    r.sign = vh_signs(vf_bits(x0), vf_bits(x1));
    r.low = vh_low(a.t, b.t);
    r.m = vh_high(a.t, b.t);
    r.weight[0] = a.weight;
    r.weight[1] = b.weight;
    const vh raw = kind.nearest ? vh_set1(0) : vh_pair(vh_load_u16(noise));
    if (kind.nearest) {
        r.m = vh_sub(r.m, vh_sign(r.low));
    } else {
        const vh n = vh_xor(raw, r.sign);
        r.m = vh_inc(vh_above(r.low, n), r.m);
        if (vhm_any(vh_eq(r.low, n))) {
            r.m = round_ties(bucket->key, element, a.u, b.u, r.sign, r.low, n, r.m);
        }
    }
    if (kind.crossed) { /* m = 0 is the innermost level of the other sign */
        const vhm crossed = vh_eq(r.m, vh_set1(0));
        r.m = vh_inc(crossed, r.m);
        r.sign = vh_xor(r.sign, vh_ones(crossed));
    }
    if (kind.dithered) {
        r.sign = vh_xor(r.sign, vh_and(vh_sign(raw), vh_set1(bucket->turned ? -1 : 0)));
    }
    return r;
}

BODY vh round_index(const struct round_pair *r) {
    return vh_natural(vh_sub(vh_xor(r->m, r->sign), r->sign));
}

/* zigzag: 2 m for negative indices and 0, 2 m - 1 for positive ones. */
BODY vh round_token(const struct round_pair *r) {
    return vh_natural(vh_sub_or_zero(vh_add(r->m, r->m), vh_add(r->sign, vh_set1(1))));
}

/* p (1 - p) in units of 2^-16, of T's fraction cut to 8 bits. */
BODY vh round_variance(vh low) {
    const vh q = vh_srl(low, 8);
    return vh_mullo(q, vh_sub(vh_set1(256), q));
}

/* The term of the damping: added to lanes of sum. */
BODY vu round_add_variance(const struct round_pair *r, const struct round_kind kind, vu sum) {
    const vh v = round_variance(r->low);
    if (!kind.table) return vu_add(sum, vh_pair_sums(v));
    int16_t each[2 * W];
    uint16_t halves[2 * W];
    vh_store(each, vh_natural(v));
    memcpy(halves, each, sizeof halves);
    sum = vu_add(sum, vu_mullo(vu_load_u16(halves), r->weight[0]));
    return vu_add(sum, vu_mullo(vu_load_u16(halves + W), r->weight[1]));
}

/* The last, at most 2 W - 1 elements, padded; returns their part of the damping. */
BODY uint64_t round_rest(const struct round_bucket *bucket, uint64_t element, const float *x,
                         const uint16_t *noise, size_t n, int16_t *k, uint8_t *tokens,
                         const struct round_kind kind) {
    float xs[2 * W] = {0};
    uint16_t ns[2 * W];
    int16_t out[2 * W], lows[2 * W];
    uint32_t weights[2 * W];
    uint64_t total = 0;
    memset(ns, 0xFF, sizeof ns); /* no tie with what pads x */
    memcpy(xs, x, n * sizeof *x);
    memcpy(ns, noise, n * sizeof *noise);
    const struct round_pair r = round_two(bucket, kind, element, xs, ns);
    vh_store(out, k != NULL ? round_index(&r) : round_token(&r));
    if (k != NULL) memcpy(k, out, n * sizeof *k);
    for (size_t l = 0; k == NULL && l < n; l++) tokens[l] = (uint8_t)out[l];
    if (!kind.dithered) return 0;
    vh_store(lows, vh_natural(r.low));
    vu_store(weights, r.weight[0]);
    vu_store(weights + W, r.weight[1]);
    for (size_t l = 0; l < n; l++) {
        const uint64_t q = (uint16_t)lows[l] >> 8;
        total += q * (256 - q) * (kind.table ? weights[l] : 1);
    }
    return total;
}

/* 4 W elements: bytes are stored by pairs of pairs. */
BODY void round_step(const struct round_bucket *bucket, uint64_t element, const float *x,
                     const uint16_t *noise, int16_t *k, uint8_t *tokens,
                     const struct round_kind kind, vu *variance) {
    const struct round_pair a = round_two(bucket, kind, element, x, noise);
    const struct round_pair b = round_two(bucket, kind, element + 2 * W, x + 2 * W, noise + 2 * W);
    if (k != NULL) {
        vh_store(k, round_index(&a));
        vh_store(k + 2 * W, round_index(&b));
    } else {
        vh_store_u8(tokens, round_token(&a), round_token(&b));
    }
    if (!kind.dithered) return;
    *variance = round_add_variance(&a, kind, *variance);
    *variance = round_add_variance(&b, kind, *variance);
}

/* `flush`: steps after which 32-bit sums might overflow. */
BODY uint64_t round_all(const struct round_bucket *bucket, uint64_t element, const float *x,
                        const uint16_t *noise, size_t n, int16_t *k, uint8_t *tokens,
                        const struct round_kind kind, const size_t flush) {
    const size_t step = 4 * W;
    vu variance = vu_set1(0);
    uint64_t total = 0;
    size_t i = 0;
    while (i + step <= n) {
        size_t stop = (n - i) / step < flush ? n : i + flush * step;
        for (; i + step <= stop; i += step) {
            for (size_t line = 0; line < step; line += 16) norm_prefetch(x + i + line);
            round_step(bucket, element + i, x + i, noise + i, k == NULL ? NULL : k + i,
                       k == NULL ? tokens + i : NULL, kind, &variance);
        }
        if (!kind.dithered) continue;
        total += vu_sum(variance);
        variance = vu_set1(0);
    }
    if (!kind.dithered && i < n && n >= step) { /* the last ones overlap: the same again */
        i = n - step;
        round_step(bucket, element + i, x + i, noise + i, k == NULL ? NULL : k + i,
                   k == NULL ? tokens + i : NULL, kind, &variance);
        i = n;
    }
    for (; i < n; i += 2 * W) {
        const size_t rest = n - i < 2 * W ? n - i : 2 * W;
        total += round_rest(bucket, element + i, x + i, noise + i, rest, k == NULL ? NULL : k + i,
                            k == NULL ? tokens + i : NULL, kind);
    }
    return total;
}

/* The common cases get loops of their own. Sums: a step adds at most 2^16 to a lane. */
KERNEL uint64_t kernel_round_uniform(const struct round_bucket *bucket, uint64_t element,
                                     const float *x, const uint16_t *noise, size_t n, int16_t *k,
                                     uint8_t *tokens) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->crossed, false};
    const struct round_kind plain = {0}, dithered = {.dithered = true};
    const size_t flush = 32768;
    if (kind.nearest || kind.crossed) {
        return round_all(bucket, element, x, noise, n, k, tokens, kind, flush);
    }
    if (tokens != NULL && kind.dithered) {
        return round_all(bucket, element, x, noise, n, NULL, tokens, dithered, flush);
    }
    if (tokens != NULL) return round_all(bucket, element, x, noise, n, NULL, tokens, plain, flush);
    if (kind.dithered) return round_all(bucket, element, x, noise, n, k, NULL, dithered, flush);
    return round_all(bucket, element, x, noise, n, k, NULL, plain, flush);
}

/* variance <= 2^14, weight < 2^16: a lane holds the products of one step, no more. */
KERNEL uint64_t kernel_round_table(const struct round_bucket *bucket, uint64_t element,
                                   const float *x, const uint16_t *noise, size_t n, int16_t *k,
                                   uint8_t *tokens) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->crossed, true};
    return round_all(bucket, element, x, noise, n, k, tokens, kind, 1);
}
