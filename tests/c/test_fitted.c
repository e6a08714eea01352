/* Same levels on every machine: fits tables of every method and model to statistics of tensors made
 * by integer arithmetic, and compares checksums of all that a fit says with
 * tests/golden/fitted.txt. Run with --print to write that file anew. */
#include <stdio.h>

#include "stats_support.h"

/* Magnitudes over many octaves, denser about zero, both signs. */
static void fill(size_t n, uint32_t seed) {
    uint32_t r = seed * 2654435761U + 1;
    for (size_t i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int j = 0; j < 4; j++) {
            r ^= r << 13;
            r ^= r >> 17;
            r ^= r << 5;
            sum += (int32_t)(r >> 16) - 32768;
        }
        x[i] = (float)sum * (i / 512 % 3 == 0 ? 0x1p-16F : 0x1p-20F);
    }
}

static uint32_t checksum(const qsgd_fit *f) {
    static uint8_t bytes[16 + 12 * QSGD_MAX_LEVEL_TABLE + 40];
    uint8_t *p = bytes;
    const double figures[] = {f->variance, f->error, f->entropy, f->p};
    store_le32(p, f->level_table_len);
    store_le32(p + 4, f->indices);
    store_le32(p + 8, f->sweeps);
    p += 12;
    for (uint32_t i = 0; i < f->level_table_len; i++, p += 4) {
        store_le32(p, float_bits(f->level_table[i]));
    }
    for (uint32_t i = 0; i < f->indices + 4; i++, p += 8) {
        uint64_t word;
        memcpy(&word, i < 4 ? &figures[i] : &f->probability[i - 4], 8);
        store_le64(p, word);
    }
    return crc32c(bytes, (size_t)(p - bytes));
}

static uint32_t fitted(const qsgd_stats *stats, int which) {
    qsgd_fit_options o;
    qsgd_fit result;
    qsgd_fit_options_init(&o);
    o.method = which % 3;
    o.model = which / 3 % 3;
    o.weight = which / 9 % 3;
    o.zero = which / 2 % 2;
    o.symmetric = o.method == QSGD_FIT_AMQ || which % 4 < 2 || which % 9 == 0;
    o.s = (uint32_t)(1 + which * 5 % 11);
    o.mean = 0.01;
    o.sigma = 0.1 + 0.02 * which;
    if (which % 9 == 0) o.bits = 1.5;
    if (o.bits > 0) o.s = 7;
    if (which % 5 == 3) o.sweeps = 2;
    CHECK(fit(stats, &o, &result, NULL) == QSGD_OK);
    return checksum(&result);
}

int main(int argc, char **argv) {
    const bool print = argc > 1 && strcmp(argv[1], "--print") == 0;
    FILE *f = print ? stdout : fopen(argc > 1 ? argv[1] : "fitted.txt", "r");
    CHECK(f != NULL);
    if (f == NULL) return check_result();
    for (int norm = 0; norm < 2; norm++) {
        qsgd_stats *stats = new_stats(norm == 0 ? QSGD_NORM_MAX : QSGD_NORM_L2, 512);
        fill(30000, (uint32_t)norm + 1);
        CHECK(add(stats, x, 30000, NULL) == QSGD_OK);
        for (int which = 0; which < 27; which++) {
            const uint32_t sum = fitted(stats, which);
            unsigned want = 0;
            if (print) {
                printf("%08x\n", (unsigned)sum);
                continue;
            }
            CHECK(fscanf(f, "%8x", &want) == 1);
            CHECK(sum == want);
        }
        free(stats);
    }
    if (!print) fclose(f);
    return check_result();
}
