/* Kernel bodies of the token map (FORMAT.md section 8.4): index to token, whole tokens to indices.
 * Extra bits are tokens.c's. */

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

BODY vh token_zigzag_halves(vh k) {
    vh minus = vh_sub(vh_set1(0), k);
    return vh_xor(vh_add(minus, minus), vh_sign(minus));
}

BODY vh token_unzigzag_halves(vh t) {
    vh magnitude = vh_srl(vh_add(t, vh_set1(1)), 1);
    vh even = vh_sub(vh_and(t, vh_set1(1)), vh_set1(1));
    return vh_sub(vh_xor(magnitude, even), even);
}

BODY void tokens_all(const int16_t *k, size_t n, uint8_t *tokens, const bool direct) {
    size_t i = 0;
    for (; direct && i + 2 * W_HALVES <= n; i += 2 * W_HALVES) {
        vh_store_u8(tokens + i, token_zigzag_halves(vh_load(k + i)),
                    token_zigzag_halves(vh_load(k + i + W_HALVES)));
    }
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
    for (; i + W_HALVES <= n; i += W_HALVES) {
        vh_store(k + i, token_unzigzag_halves(vh_load_u8(tokens + i)));
    }
    for (; i + W <= n; i += W) vu_store_i16(k + i, token_unzigzag(vu_load_u8(tokens + i)));
    if (i == n) return;
    uint8_t ts[W] = {0};
    int16_t ks[W];
    memcpy(ts, tokens + i, n - i);
    vu_store_i16(ks, token_unzigzag(vu_load_u8(ts)));
    memcpy(k + i, ks, (n - i) * sizeof *k);
}
