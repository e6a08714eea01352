/* Kernel bodies of interleaved rANS (FORMAT.md section 8.5). States lie in [2^16, 2^32); at most
 * one 16-bit word moves per symbol. Rows of whole vectors use the vocabulary where it can exchange
 * words with memory (W_RENORM); the last, partial row and narrow streams go lane by lane. */

#define RANS_LOW 65536U

/* ---- one lane: the specification ------------------------------------------------------------ */

BODY uint16_t *rans_encode_lane(const struct rans_symbol_table *table, uint8_t token,
                                unsigned prob_bits, uint32_t *state, uint16_t *words) {
    uint32_t x = *state, entry = table->freq_start[token];
    uint32_t f = entry & 0xFFFF, start = entry >> 16;
    if (x >> (32 - prob_bits) >= f) {
        *--words = (uint16_t)x;
        x >>= 16;
    }
    /* floor(x / f) from rcp = floor((2^32 - 1) / f): one too small at most */
    uint32_t q = (uint32_t)((uint64_t)x * table->rcp[token] >> 32);
    if (x - q * f >= f) q++;
    *state = x + start + q * ((1U << prob_bits) - f);
    return words;
}

BODY uint8_t rans_decode_lane(const uint32_t *decode, unsigned prob_bits, uint32_t *state,
                              const uint8_t **words, const uint8_t *end, bool *bad) {
    uint32_t x = *state, entry = decode[x & ((1U << prob_bits) - 1)];
    x = (x >> prob_bits) * ((entry >> 8 & 0xFFF) + 1) + (entry >> 20);
    if (x < RANS_LOW) {
        uint32_t word = 0;
        if (end - *words >= 2) {
            word = (uint32_t)((*words)[0] | (*words)[1] << 8);
            *words += 2;
        } else {
            *bad = true;
        }
        x = x << 16 | word;
    }
    *state = x;
    return (uint8_t)entry;
}

/* ---- whole rows of vectors ------------------------------------------------------------------- */

#ifdef W_RENORM
/* entry: f | c << 16, rcp as in rans_symbol_table, of each lane's token. */
BODY uint16_t *rans_encode_vector(vu entry, vu rcp, unsigned prob_bits, vu *state,
                                  uint16_t *words) {
    vu x = *state;
    vu f = vu_and(entry, vu_set1(0xFFFF)), start = vu_srl(entry, 16);
    /* both below 2^16, so the signed comparison of the vocabulary is enough */
    vm keep = vu_gt31(f, vu_srl(x, (int)(32 - prob_bits)));
    words = vu_push_words(words, x, vm_not(keep));
    x = vu_select(keep, x, vu_srl(x, 16));
    vu q = vu_mulhi(x, rcp), rest = vu_sub(x, vu_mullo(q, f));
    vm short_by_one = vm_not(vu_gt31(f, rest));
    vu more = vu_where(short_by_one, vu_sub(vu_set1(1U << prob_bits), f));
    vu base = vu_add(vu_add(vu_sll(q, (int)prob_bits), rest), start);
    *state = vu_add(base, more);
    return words;
}

BODY vu rans_decode_vector(const uint32_t *decode, unsigned prob_bits, vu *state,
                           const uint8_t **words) {
    vu x = *state;
    vu entry = vu_gather(decode, vu_and(x, vu_set1((1U << prob_bits) - 1)));
    vu f = vu_add(vu_and(vu_srl(entry, 8), vu_set1(0xFFF)), vu_set1(1));
    x = vu_add(vu_mullo(vu_srl(x, (int)prob_bits), f), vu_srl(entry, 20));
    vm low = vu_eq(vu_srl(x, 16), vu_set1(0));
    *state = vu_pull_words(words, x, low);
    return vu_and(entry, vu_set1(0xFF));
}
#endif

#ifdef W_RENORM
/* Rows of `vectors` * W lanes, from the last to the first. Tables of W_TABLE tokens stay in
 * registers, and are loaded again where the class may change. */
BODY uint16_t *rans_encode_rows(const struct rans_job *job, const struct rans_symbol_table *tables,
                                const uint8_t *tokens, size_t rows, uint16_t *words,
                                uint32_t *states, const int vectors, const bool small) {
    vu state[32 / W];
    const size_t lanes = (size_t)vectors * W, per_group = 128 / lanes;
    const struct rans_symbol_table *table = tables;
    vt entries = vt_load(table->freq_start), rcps = vt_load(table->rcp);
    for (int v = 0; v < vectors; v++) state[v] = vu_load(states + v * W);
    for (size_t row = rows; row > 0;) {
        size_t stop = job->classes == NULL ? 0 : (row - 1) / per_group * per_group;
        if (job->classes != NULL) {
            table = tables + job->classes[stop / per_group];
            if (small) {
                entries = vt_load(table->freq_start);
                rcps = vt_load(table->rcp);
            }
        }
        for (; row > stop; row--) {
            const uint8_t *p = tokens + (row - 1) * lanes;
            for (int v = vectors - 1; v >= 0; v--) {
                vu token = vu_load_u8(p + v * W);
                vu entry = small ? vt_at(entries, token) : vu_gather(table->freq_start, token);
                vu rcp = small ? vt_at(rcps, token) : vu_gather(table->rcp, token);
                words = rans_encode_vector(entry, rcp, job->prob_bits, &state[v], words);
            }
        }
    }
    for (int v = 0; v < vectors; v++) vu_store(states + v * W, state[v]);
    return words;
}

/* Stops while a whole row's words (and the over-read of the last vector) are surely there. */
BODY size_t rans_decode_rows(const struct rans_job *job, const uint32_t *decode, uint32_t *states,
                             const uint8_t **words, const uint8_t *end, uint8_t *tokens,
                             size_t rows, const int vectors) {
    vu state[32 / W];
    const size_t lanes = (size_t)vectors * W;
    const uint8_t *p = *words;
    size_t row = 0;
    for (int v = 0; v < vectors; v++) state[v] = vu_load(states + v * W);
    for (; row < rows && (size_t)(end - p) >= 2 * lanes + 2 * W; row++) {
        size_t i = row * lanes;
        const uint32_t *table =
            decode + ((size_t)(job->classes ? job->classes[i >> 7] : 0) << job->prob_bits);
        for (int v = 0; v < vectors; v++) {
            vu token = rans_decode_vector(table, job->prob_bits, &state[v], &p);
            vu_store_u8(tokens + i + (size_t)v * W, token);
        }
    }
    for (int v = 0; v < vectors; v++) vu_store(states + v * W, state[v]);
    *words = p;
    return row;
}
#endif

static uint16_t *kernel_rans_encode(const struct rans_job *job,
                                    const struct rans_symbol_table *tables, const uint8_t *tokens,
                                    uint16_t *words, uint32_t *states) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    size_t rows = 0, i = job->len;
    for (size_t l = 0; l < lanes; l++) states[l] = RANS_LOW;
#ifdef W_RENORM
    if (lanes >= W) rows = job->len >> job->lanes_log2;
#endif
    while (i > rows * lanes) {
        i--;
        const struct rans_symbol_table *table = tables + (job->classes ? job->classes[i >> 7] : 0);
        words = rans_encode_lane(table, tokens[i], job->prob_bits, &states[i & (lanes - 1)], words);
    }
#ifdef W_RENORM
    if (lanes == 32 && job->tokens <= W_TABLE) {
        return rans_encode_rows(job, tables, tokens, rows, words, states, 32 / W, true);
    }
    if (lanes == 32) {
        return rans_encode_rows(job, tables, tokens, rows, words, states, 32 / W, false);
    }
    if (lanes >= W) {
        return rans_encode_rows(job, tables, tokens, rows, words, states, (int)(lanes / W), false);
    }
#endif
    return words;
}

static const uint8_t *kernel_rans_decode(const struct rans_job *job, const uint32_t *decode,
                                         uint32_t *states, const uint8_t *words, const uint8_t *end,
                                         uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    size_t i = 0;
    bool bad = false;
#ifdef W_RENORM
    size_t rows = job->len >> job->lanes_log2;
    if (lanes == 32) {
        i = lanes * rans_decode_rows(job, decode, states, &words, end, tokens, rows, 32 / W);
    } else if (lanes >= W) {
        i = lanes *
            rans_decode_rows(job, decode, states, &words, end, tokens, rows, (int)(lanes / W));
    }
#endif
    for (; i < job->len; i++) {
        const uint32_t *table =
            decode + ((size_t)(job->classes ? job->classes[i >> 7] : 0) << job->prob_bits);
        tokens[i] =
            rans_decode_lane(table, job->prob_bits, &states[i & (lanes - 1)], &words, end, &bad);
    }
    return bad ? NULL : words;
}
