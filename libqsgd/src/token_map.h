/* Kernel bodies of the token map (FORMAT.md section 8.4): index to token, whole tokens to indices,
 * and their histogram. Extra bits are tokens.c's. */

/* zigzag: k > 0 -> 2 k - 1, k <= 0 -> -2 k, as 32-bit lanes. */
BODY vu token_zigzag(vu k) {
    vu minus = vu_sub(vu_set1(0), k);
    return vu_xor(vu_sll(minus, 1), vu_sign(minus));
}

/* Where |k| >= 8: quarter octaves. As a float, |k| shows its octave and quarter in bits 21 and up.
 */
BODY vu token_vector(vu k, const bool direct) {
    vu whole = token_zigzag(k);
    if (direct) return whole;
    vu sign = vu_sign(k);
    vu magnitude = vu_sub(vu_xor(k, sign), sign);
    vu quarter = vu_srl(vf_bits(vf_from_int(magnitude)), 21);
    vu escaped = vu_sub(quarter, vu_set1(4 * 127 + 4 * 3 - 15)); /* 15 at |k| = 8 */
    return vu_select(vu_gt31(vu_set1(8), magnitude), whole, escaped);
}

#ifdef W_HALVES
BODY vh token_zigzag_halves(vh k) {
    vh minus = vh_sub(vh_set1(0), k);
    return vh_xor(vh_add(minus, minus), vh_sign(minus));
}

BODY vh token_unzigzag_halves(vh t) {
    vh magnitude = vh_srl(vh_add(t, vh_set1(1)), 1);
    vh even = vh_sub(vh_and(t, vh_set1(1)), vh_set1(1));
    return vh_sub(vh_xor(magnitude, even), even);
}
#endif

BODY void tokens_all(const int16_t *k, size_t n, uint8_t *tokens, const bool direct) {
    size_t i = 0;
#ifdef W_HALVES
    for (; direct && i + 2 * W_HALVES <= n; i += 2 * W_HALVES) {
        vh_store_u8(tokens + i, token_zigzag_halves(vh_load(k + i)),
                    token_zigzag_halves(vh_load(k + i + W_HALVES)));
    }
#endif
    for (; i + W <= n; i += W) vu_store_u8(tokens + i, token_vector(vu_load_i16(k + i), direct));
    if (i == n) return;
    int16_t ks[W] = {0};
    uint8_t ts[W];
    memcpy(ks, k + i, (n - i) * sizeof *k);
    vu_store_u8(ts, token_vector(vu_load_i16(ks), direct));
    memcpy(tokens + i, ts, n - i);
}

static void kernel_tokens(const int16_t *k, size_t n, bool direct, uint8_t *tokens) {
    if (direct) {
        tokens_all(k, n, tokens, true);
    } else {
        tokens_all(k, n, tokens, false);
    }
}

/* The inverse of zigzag: odd t -> (t + 1) / 2, even t -> -t / 2. */
BODY vu token_unzigzag(vu t) {
    vu magnitude = vu_srl(vu_add(t, vu_set1(1)), 1);
    vu even = vu_sub(vu_and(t, vu_set1(1)), vu_set1(1)); /* all ones for even t */
    return vu_sub(vu_xor(magnitude, even), even);
}

static void kernel_whole_tokens(const uint8_t *tokens, size_t n, int16_t *k) {
    size_t i = 0;
#ifdef W_HALVES
    for (; i + W_HALVES <= n; i += W_HALVES) {
        vh_store(k + i, token_unzigzag_halves(vh_load_u8(tokens + i)));
    }
#endif
    for (; i + W <= n; i += W) vu_store_i16(k + i, token_unzigzag(vu_load_u8(tokens + i)));
    if (i == n) return;
    uint8_t ts[W] = {0};
    int16_t ks[W];
    memcpy(ts, tokens + i, n - i);
    vu_store_i16(ks, token_unzigzag(vu_load_u8(ts)));
    memcpy(k + i, ks, (n - i) * sizeof *k);
}

/* Four histograms in turn: equal neighbours would wait for each other's store. */
static void histogram_any(const uint8_t *tokens, size_t n, uint32_t counts[64]) {
    uint32_t part[4][64];
    size_t i = 0;
    memset(part, 0, sizeof part);
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        memcpy(&eight, tokens + i, 8);
        for (int j = 0; j < 8; j++) part[j % 4][eight >> (8 * j) & 63]++;
    }
    for (; i < n; i++) part[0][tokens[i] & 63]++;
    for (int t = 0; t < 64; t++) counts[t] = part[0][t] + part[1][t] + part[2][t] + part[3][t];
}

#ifdef W_BYTES
/* Tokens below 16 by comparison, four of them at a time in registers. False if others occur. */
static bool histogram_small(const uint8_t *tokens, size_t n, uint32_t counts[64]) {
    const size_t block = 255 * W_BYTES; /* lanes count to 255 */
    uint64_t seen = 0;
    memset(counts, 0, 64 * sizeof *counts);
    for (size_t first = 0; first < n; first += block) {
        if (first == block) { /* an early end if others occur */
            for (int t = 0; t < 16; t++) seen += counts[t];
            if (seen != block) return false;
            seen = 0;
        }
        size_t end = n - first < block ? n : first + block;
        for (int t = 0; t < 16; t += 4) {
            vb count[4] = {vb_set1(0), vb_set1(0), vb_set1(0), vb_set1(0)};
            for (size_t i = first; i + W_BYTES <= end; i += W_BYTES) {
                vb bytes = vb_load(tokens + i);
                for (int j = 0; j < 4; j++) {
                    count[j] = vb_count_eq(count[j], bytes, vb_set1((uint8_t)(t + j)));
                }
            }
            for (int j = 0; j < 4; j++) counts[t + j] += (uint32_t)vb_sum(count[j]);
        }
        for (size_t i = end - (end - first) % W_BYTES; i < end; i++) counts[tokens[i] & 63]++;
    }
    for (int t = 0; t < 16; t++) seen += counts[t];
    return seen == n;
}
#endif

static void kernel_histogram(const uint8_t *tokens, size_t n, uint32_t counts[64]) {
#ifdef W_BYTES
    if (histogram_small(tokens, n, counts)) return;
#endif
    histogram_any(tokens, n, counts);
}
