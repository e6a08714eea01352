/* Makes shared tables from the weights of levels (ENCODER.md section 8.6): every level can be coded
 * with them, whatever its weight. */
#include <string.h>

#include "backends/dispatch.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "codes/huffman.h"
#include "codes/rans/model.h"
#include "codes/shared_tables.h"
#include "codes/tokens.h"
#include "frame/params.h"
#include "grid/layout.h"

#define BLOCK 256
#define TOTAL 0x1p24 /* what counts sum to, about: P asks for 12 bits, and lg for few more */

/* Sums of the weights by token, in ascending order of the index; *used has the tokens of levels. */
static bool sum_weights(const struct levels *levels, const double *weights,
                        double sums[CODE_TOKENS], uint64_t *used) {
    const bool direct = tokens_direct(levels);
    const struct kernels *kernels = kernels_current();
    int16_t k[BLOCK];
    uint8_t tokens[BLOCK];
    memset(sums, 0, CODE_TOKENS * sizeof *sums);
    *used = 0;
    for (int32_t next = levels->kmin; next <= levels->kmax;) {
        size_t n = 0;
        for (; n < BLOCK && next <= levels->kmax; next++) {
            if (levels_has(levels, next)) k[n++] = (int16_t)next;
        }
        kernels->tokens(k, n, direct, tokens);
        for (size_t i = 0; i < n; i++, weights++) {
            double weight;
            memcpy(&weight, weights, sizeof weight);
            if (!(weight >= 0)) return false;
            sums[tokens[i]] += weight;
            *used |= (uint64_t)1 << tokens[i];
        }
    }
    return true;
}

/* The sums as counts that sum to about TOTAL, at least 1 for every token of a level. */
static bool make_counts(const double sums[CODE_TOKENS], uint64_t used,
                        uint32_t counts[CODE_TOKENS]) {
    double total = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) total += sums[t];
    if (!(total > 0) || total > 0x1.fffffffffffffp1023) return false;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        const double share = sums[t] / total;
        counts[t] = (uint32_t)(share * TOTAL);
        if (counts[t] == 0) counts[t] = used >> t & 1;
    }
    return true;
}

/* True if the weights are such as a table can be made of. */
static bool count_tokens(const struct levels *levels, const double *weights,
                         uint32_t counts[CODE_TOKENS]) {
    double sums[CODE_TOKENS];
    uint64_t used;
    fpenv env = fpenv_enter(); /* sums and shares are rounded */
    const bool fine = sum_weights(levels, weights, sums, &used) && make_counts(sums, used, counts);
    fpenv_leave(env);
    return fine;
}

static void fit(struct shared_tables *t, uint32_t counts[CODE_TOKENS]) {
    struct code_plan plan;
    for (unsigned i = 0; i < CODE_TOKENS; i++) {
        if (counts[i] != 0) t->tokens = (uint8_t)(i + 1);
    }
    if (t->code == QSGD_CODE_HUFFMAN) {
        huffman_lengths(counts, t->lengths);
        return;
    }
    rans_model_fit(counts, &plan);
    t->prob_bits = (uint8_t)plan.rans.prob_bits;
    memcpy(t->freq, plan.rans.freq[0], sizeof t->freq);
}

static qsgd_status check_buffers(const qsgd_params *params, const double *weights, uint64_t count,
                                 qsgd_memory dst, uint64_t *bytes, qsgd_error *error) {
    if (weights == NULL || dst.data == NULL || bytes == NULL) {
        return memory_missing(weights == NULL ? "weights" : (dst.data == NULL ? "dst" : "bytes"),
                              error);
    }
    const struct region buffers[] = {
        {"params", params, params->struct_size, false},
        {"weights", weights, count * sizeof *weights, false},
        {"dst", dst.data, min_u64(dst.bytes, qsgd_shared_tables_bound()), true},
        {"bytes", bytes, sizeof *bytes, true},
    };
    return regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
}

qsgd_status qsgd_shared_tables_build(const qsgd_params *params, const double *weights,
                                     uint64_t count, qsgd_memory dst, uint64_t *bytes,
                                     qsgd_error *error) {
    struct shared_tables t;
    struct levels levels;
    qsgd_params p;
    uint32_t counts[CODE_TOKENS];
    qsgd_status status = params_take(params, &p, error);
    if (status != QSGD_OK) return status;
    if (p.code != QSGD_CODE_HUFFMAN && p.code != QSGD_CODE_RANS) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "code",
                               "only huffman and rans have tables");
    }
    levels_build(&levels, &p);
    if (count != levels_ranks(&levels)) {
        return error_parameter(error, QSGD_ERR_PARAM, "count", "there must be a weight per level");
    }
    status = check_buffers(params, weights, count, dst, bytes, error);
    if (status != QSGD_OK) return status;
    if (!count_tokens(&levels, weights, counts)) {
        return error_parameter(
            error, QSGD_ERR_PARAM, "weights",
            "weights must be finite with a finite sum, at least 0, and not all 0");
    }
    memset(&t, 0, sizeof t);
    t.code = p.code;
    t.direct = tokens_direct(&levels);
    fit(&t, counts);
    const uint64_t needed = shared_tables_bytes(t.code, t.tokens);
    if (dst.bytes < needed) {
        return memory_too_small(
            needed, "dst must hold the tables: qsgd_shared_tables_bound bytes suffice", error);
    }
    *bytes = shared_tables_write(&t, dst.data);
    return QSGD_OK;
}
