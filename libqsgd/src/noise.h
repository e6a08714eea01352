/* Kernel body of the noise: Philox4x32-7, sixteen bits per element (FORMAT.md section 6.1).
 * Seven rounds are the fewest that its authors report to pass BigCrush; ten cost 40 % more. */

#define PHILOX_ROUNDS 7

BODY void philox_round(vu c[4], uint32_t k0, uint32_t k1) {
    vu hi0, lo0, hi1, lo1;
    vu_mulhilo(c[0], 0xD2511F53U, &hi0, &lo0);
    vu_mulhilo(c[2], 0xCD9E8D57U, &hi1, &lo1);
    c[0] = vu_xor(vu_xor(hi1, c[1]), vu_set1(k0));
    c[1] = lo1;
    c[2] = vu_xor(vu_xor(hi0, c[3]), vu_set1(k1));
    c[3] = lo0;
}

BODY void philox(const struct noise_key *key, vu c[4]) {
    uint32_t k0 = key->key[0], k1 = key->key[1];
    for (int r = 0; r < PHILOX_ROUNDS; r++) {
        philox_round(c, k0, k1);
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
}

/* A tile of 256 elements is 32 counters; word w of counter l holds elements 64 w + 2 l and + 1. */
static void kernel_noise(const struct noise_key *key, uint64_t first, size_t n, uint16_t *out) {
    for (size_t i = 0; i < n; i += NOISE_TILE) {
        uint64_t block = (first + i) / 8; /* domain 0: the top bits of counter word 1 are 0 */
        vu high = vu_set1((uint32_t)(block >> 32));
        for (uint32_t l = 0; l < 32; l += W) {
            vu c[4] = {vu_add(vu_set1((uint32_t)block + l), vu_iota()), high,
                       vu_set1(key->nonce[0]), vu_set1(key->nonce[1])};
            philox(key, c);
            for (uint32_t w = 0; w < 4; w++) vu_store_halves(out + i + 64 * w + 2 * l, c[w]);
        }
    }
}

/* V(element): the second sixteen bits, from domain 1. Rare, so one element at a time will do. */
static uint32_t kernel_tie_noise(const struct noise_key *key, uint64_t element) {
    vu c[4] = {vu_set1((uint32_t)element), vu_set1(1U << 28 | (uint32_t)(element >> 32)),
               vu_set1(key->nonce[0]), vu_set1(key->nonce[1])};
    uint32_t lanes[W];
    philox(key, c);
    vu_store(lanes, c[0]);
    return lanes[0] & 0xFFFF;
}
