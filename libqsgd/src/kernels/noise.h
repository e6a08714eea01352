/* Kernel body of the noise: Philox4x32-7, sixteen bits per element (FORMAT.md section 8.1).
 * Seven rounds are the fewest that its authors report to pass BigCrush; ten cost 40 % more. */
#ifndef QSGD_KERNELS_NOISE_H
#define QSGD_KERNELS_NOISE_H

#include "kernels/philox.h"
#include "kernels/types.h"

/* The keys of all rounds, in every lane. */
struct philox_keys {
    vu k0[PHILOX_ROUNDS], k1[PHILOX_ROUNDS];
};

BODY void philox_schedule(const struct noise_key *key, struct philox_keys *keys) {
    uint32_t k0 = key->key[0], k1 = key->key[1];
    for (int r = 0; r < PHILOX_ROUNDS; r++, k0 += PHILOX_K0, k1 += PHILOX_K1) {
        keys->k0[r] = vu_set1(k0);
        keys->k1[r] = vu_set1(k1);
    }
}

BODY void philox_round(vp c[4], vu k0, vu k1) {
    vp hi0, lo0, hi1, lo1;
    vp_mulhilo(c[0], PHILOX_M0, &hi0, &lo0);
    vp_mulhilo(c[2], PHILOX_M1, &hi1, &lo1);
    c[0] = vp_xor3(hi1, c[1], k0);
    c[1] = lo1;
    c[2] = vp_xor3(hi0, c[3], k1);
    c[3] = lo0;
}

/* The first two rounds of counters block .. block + W - 1, whose high halves are the same. What
 * does not differ between them is computed once: c[1] to c[3] in round 1, half of round 2's
 * products. */
BODY void philox_begin(const struct noise_key *key, const struct philox_keys *keys, uint64_t block,
                       vp c[4]) {
    uint32_t one[4] = {0, (uint32_t)(block >> 32), key->nonce[0], key->nonce[1]};
    vp hi, lo, hi1, lo1;
    vp_mulhilo(vp_count((uint32_t)block), PHILOX_M0, &hi, &lo);
    const vp c2 = vp_xor3(hi, vp_set1(one[3]), keys->k1[0]), c3 = lo;
    philox_one(one, key->key[0], key->key[1]);
    vp_mulhilo(c2, PHILOX_M1, &hi1, &lo1);
    c[0] = vp_xor3(hi1, vp_set1(one[1]), keys->k0[1]);
    c[1] = lo1;
    const uint64_t product = (uint64_t)one[0] * PHILOX_M0;
    c[2] = vp_xor3(c3, vp_set1((uint32_t)(product >> 32)), keys->k1[1]);
    c[3] = vp_set1((uint32_t)product);
}

#if W < 32
/* Two vectors of counters side by side, because rounds wait for their products. */
BODY void philox_two(const struct noise_key *key, const struct philox_keys *keys, uint64_t block,
                     vp a[4], vp b[4]) {
    philox_begin(key, keys, block, a);
    philox_begin(key, keys, block + W, b);
    for (int r = 2; r < PHILOX_ROUNDS; r++) {
        philox_round(a, keys->k0[r], keys->k1[r]);
        philox_round(b, keys->k0[r], keys->k1[r]);
    }
}
#else
/* One fills a tile. */
BODY void philox_vector(const struct noise_key *key, const struct philox_keys *keys, uint64_t block,
                        vp c[4]) {
    philox_begin(key, keys, block, c);
    for (int r = 2; r < PHILOX_ROUNDS; r++) philox_round(c, keys->k0[r], keys->k1[r]);
}
#endif

/* A tile of 256 elements is 32 counters; word w of counter l holds elements 64 w + 2 l and + 1. */
KERNEL void kernel_noise(const struct noise_key *key, unsigned domain, uint64_t first, size_t n,
                         uint16_t *out) {
    struct philox_keys keys;
    philox_schedule(key, &keys);
    for (size_t i = 0; i < n; i += NOISE_TILE) {
        const uint64_t block = (uint64_t)domain << 60 | (first + i) / 8;
#if W < 32
        for (uint32_t l = 0; l < 32; l += 2 * W) {
            vp a[4], b[4];
            philox_two(key, &keys, block + l, a, b);
            for (uint32_t w = 0; w < 4; w++) {
                vu_store_halves(out + i + 64 * w + 2 * l, vp_join(a[w]));
                vu_store_halves(out + i + 64 * w + 2 * l + 2 * W, vp_join(b[w]));
            }
        }
#else
        vp c[4];
        philox_vector(key, &keys, block, c);
        for (uint32_t w = 0; w < 4; w++) vu_store_halves(out + i + 64 * w, vp_join(c[w]));
#endif
    }
}

/* V of W elements in a row: the second sixteen bits, from domain 1. Rare. */
BODY vu tie_noise_vector(const struct noise_key *key, uint64_t element) {
    const uint32_t low = (uint32_t)element, high = NOISE_TIES << 28 | (uint32_t)(element >> 32);
    const uint32_t before = 0U - low; /* lanes until `low` overflows; 0: 2^32 of them */
    const vm same = vm_first(before == 0 || before > W ? W : before);
    struct philox_keys keys;
    vp c[4] = {vp_count(low), vp_split(vu_select(same, vu_set1(high), vu_set1(high + 1))),
               vp_set1(key->nonce[0]), vp_set1(key->nonce[1])};
    philox_schedule(key, &keys);
    for (int r = 0; r < PHILOX_ROUNDS; r++) philox_round(c, keys.k0[r], keys.k1[r]);
    return vu_and(vp_join(c[0]), vu_set1(0xFFFF));
}

/* The same of one element. */
KERNEL uint32_t kernel_tie_noise(const struct noise_key *key, uint64_t element) {
    uint32_t c[4] = {(uint32_t)element, NOISE_TIES << 28 | (uint32_t)(element >> 32), key->nonce[0],
                     key->nonce[1]};
    philox(c, key->key[0], key->key[1]);
    return c[0] & 0xFFFF;
}

#endif
