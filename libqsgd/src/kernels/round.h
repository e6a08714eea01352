/* Kernel bodies of rounding: element to index or token (ENCODER.md section 6.2). The way back is
 * values.h. */
#ifndef QSGD_KERNELS_ROUND_H
#define QSGD_KERNELS_ROUND_H

#include "kernels/noise.h"
#include "kernels/norm.h"
#include "kernels/types.h"

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

/* Where T's fraction equals the noise N, V settles which way: of 2 W elements, one in 65536. All
 * but u in pair order. */
struct round_tie {
    vf u[2];             /* of struct round_position */
    vh sign, low, noise; /* N: complemented where the sign is set, as V is to be */
};

/* 1 in each half that ties and goes up, else 0. Rare, so that it stays out of loops. */
KERNEL_APART vh round_ties(const struct noise_key *key, uint64_t element,
                           const struct round_tie *tie) {
    const vh sign = vh_natural(tie->sign), low = vh_natural(tie->low);
    const vh noise = vh_natural(tie->noise);
    vu up[2];
    for (int v = 0; v < 2; v++) {
        const vf whole = vf_from_int(vf_trunc(tie->u[v]));
        const vu rest = vf_trunc(vf_mul(vf_sub(tie->u[v], whole), vf_set1(65536.0F)));
        const vu noise_of = tie_noise_vector(key, element + (uint64_t)(v * W));
        const vm higher = vu_gt31(rest, vu_xor(noise_of, vh_lanes(sign, v)));
        const vm ties = vu_eq(vh_lanes(low, v), vh_lanes(noise, v));
        up[v] = vu_where(ties, vu_where(higher, vu_set1(1)));
    }
    return vh_low(up[0], up[1]);
}

/* Elements of one bucket in turn, and where their indices or, if k is NULL, tokens go. */
struct round_run {
    uint64_t element; /* the first one's position in the tensor */
    const float *x;
    const uint16_t *noise;
    int16_t *k;
    uint8_t *tokens;
};

BODY struct round_run round_from(const struct round_run *run, size_t i, const bool indices) {
    struct round_run from = *run;
    from.element += i;
    from.x += i;
    from.noise += i;
    if (indices) {
        from.k += i;
    } else {
        from.tokens += i;
    }
    return from;
}

/* 2 W elements, in pair order. */
struct round_pair {
    vh m, sign;   /* magnitude of the index; all ones where it is negative */
    vh low;       /* high half of T's fraction, 0 where there is no element */
    vu weight[2]; /* G of each vector's cells */
};

/* Noise of `left` elements; behind them numbers that tie with nothing that 0 gives. */
BODY vh round_noise(const uint16_t *noise, size_t left, const bool whole) {
    if (whole) return vh_pair(vh_load_u16(noise));
    const vh behind = vh_xor(vh_first(left), vh_set1(-1));
    return vh_pair(vh_xor(vh_load_u16_some(noise, left), behind));
}

/* m = (T + (N ^ 0xFFFF)) >> 16, which is T >> 16 and one more where T's low half is above N (one
 * more where a tie goes up); N is complemented for negative x. whole: all 2 W elements are there,
 * else the first `left`. */
BODY struct round_pair round_two(const struct round_bucket *bucket, const struct round_kind kind,
                                 const struct round_run *run, size_t left, const bool whole) {
    const vf x0 = whole ? vf_load(run->x) : vf_load_some(run->x, left);
    const vf x1 = whole ? vf_load(run->x + W) : vf_load_some(run->x + W, elements_left(left, W));
    const struct round_position a = position_of(bucket, kind, x0);
    const struct round_position b = position_of(bucket, kind, x1);
    struct round_pair r;
    r.sign = vh_signs(vf_bits(x0), vf_bits(x1));
    r.low = vh_low(a.t, b.t);
    r.m = vh_high(a.t, b.t);
    r.weight[0] = a.weight;
    r.weight[1] = b.weight;
    const vh raw = kind.nearest ? vh_set1(0) : round_noise(run->noise, left, whole);
    if (kind.nearest) {
        r.m = vh_inc(vh_above(r.low, vh_set1((int16_t)bucket->edge)), r.m);
    } else {
        const vh n = vh_xor(raw, r.sign);
        r.m = vh_inc(vh_above(r.low, n), r.m);
        if (vhm_any(vh_eq(r.low, n))) {
            const struct round_tie tie = {{a.u, b.u}, r.sign, r.low, n};
            r.m = vh_add(r.m, round_ties(bucket->key, run->element, &tie));
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
    if (!whole) r.low = vh_and(r.low, vh_pair(vh_first(left)));
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
    const vh natural = vh_natural(v);
    sum = vu_add(sum, vu_mullo(vh_lanes(natural, 0), r->weight[0]));
    return vu_add(sum, vu_mullo(vh_lanes(natural, 1), r->weight[1]));
}

/* 4 W elements, or the last, fewer ones: bytes are stored by pairs of pairs. Returns their terms of
 * the damping. */
BODY vu round_step(const struct round_bucket *bucket, const struct round_kind kind,
                   const struct round_run *run, size_t left, const bool whole, const bool indices,
                   vu variance) {
    const struct round_run next = round_from(run, 2 * W, indices);
    const size_t more = elements_left(left, 2 * W);
    const struct round_pair a = round_two(bucket, kind, run, left, whole);
    const struct round_pair b = round_two(bucket, kind, &next, more, whole);
    if (indices && whole) {
        vh_store(run->k, round_index(&a));
        vh_store(next.k, round_index(&b));
    } else if (indices) {
        vh_store_some(run->k, round_index(&a), left);
        vh_store_some(next.k, round_index(&b), more);
    } else if (whole) {
        vh_store_u8(run->tokens, round_token(&a), round_token(&b));
    } else {
        vh_store_u8_some(run->tokens, round_token(&a), round_token(&b), left);
    }
    if (!kind.dithered) return variance;
    variance = round_add_variance(&a, kind, variance);
    return round_add_variance(&b, kind, variance);
}

/* `flush`: steps after which 32-bit sums might overflow. */
BODY uint64_t round_all(const struct round_bucket *bucket, const struct round_kind kind,
                        const struct round_run *run, size_t n, const size_t flush,
                        const bool indices) {
    const size_t step = 4 * W;
    vu variance = vu_set1(0);
    uint64_t total = 0;
    size_t i = 0;
    while (i + step <= n) {
        size_t stop = (n - i) / step < flush ? n : i + flush * step;
        for (; i + step <= stop; i += step) {
            const struct round_run from = round_from(run, i, indices);
            for (size_t line = 0; line < step; line += 16) norm_prefetch(from.x + line);
            variance = round_step(bucket, kind, &from, step, true, indices, variance);
        }
        if (!kind.dithered) continue;
        total += vu_sum(variance);
        variance = vu_set1(0);
    }
    if (i == n) return total;
    if (!kind.dithered && n >= step) { /* the last ones overlap: the same again */
        const struct round_run from = round_from(run, n - step, indices);
        round_step(bucket, kind, &from, step, true, indices, variance);
        return total;
    }
    const struct round_run from = round_from(run, i, indices);
    return total + vu_sum(round_step(bucket, kind, &from, n - i, false, indices, variance));
}

/* The common cases get loops of their own. Sums: a step adds at most 2^16 to a lane. */
KERNEL uint64_t kernel_round_uniform(const struct round_bucket *bucket, uint64_t element,
                                     const float *x, const uint16_t *noise, size_t n, int16_t *k,
                                     uint8_t *tokens) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->crossed, false};
    const struct round_kind plain = {false, false, false, false};
    const struct round_kind dithered = {false, true, false, false};
    const struct round_run run = {element, x, noise, k, tokens};
    const size_t flush = 32768;
    if (kind.nearest || kind.crossed) {
        return k != NULL ? round_all(bucket, kind, &run, n, flush, true)
                         : round_all(bucket, kind, &run, n, flush, false);
    }
    if (k == NULL && kind.dithered) return round_all(bucket, dithered, &run, n, flush, false);
    if (k == NULL) return round_all(bucket, plain, &run, n, flush, false);
    if (kind.dithered) return round_all(bucket, dithered, &run, n, flush, true);
    return round_all(bucket, plain, &run, n, flush, true);
}

/* variance <= 2^14, weight < 2^16: a lane holds the products of one step, no more. */
KERNEL uint64_t kernel_round_table(const struct round_bucket *bucket, uint64_t element,
                                   const float *x, const uint16_t *noise, size_t n, int16_t *k,
                                   uint8_t *tokens) {
    const struct round_kind kind = {bucket->nearest, bucket->dithered, bucket->crossed, true};
    const struct round_run run = {element, x, noise, k, tokens};
    return k != NULL ? round_all(bucket, kind, &run, n, 1, true)
                     : round_all(bucket, kind, &run, n, 1, false);
}

#endif
