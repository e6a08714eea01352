/* Statistics (qsgd_fit.h): the same bytes, and levels fitted to them, on every backend and machine,
 * whatever the order of merging; damaged bytes. */
#include <math.h>

#include "backends.h"
#include "stats_support.h"

/* ---- one result everywhere ------------------------------------------------------------------- */

/* CRC of the bytes of a fixed tensor's statistics, and of the levels and figures fitted to them.
 * Pinned: the same on every backend, byte order and compiler. */
static void statistics_and_levels_are_the_same_everywhere(void) {
    static const struct {
        int32_t norm;
        uint64_t bucket;
        uint32_t stats, levels;
    } expected[] = {
        {QSGD_NORM_MAX, 512, 0x58aea4fcU, 0x9971c599U},
        {QSGD_NORM_L2, 1000, 0xba913cabU, 0x398bdd53U},
        {QSGD_NORM_L2, 0, 0xdf20bc8bU, 0x1f9ccd02U},
        {QSGD_NORM_MAX, 7, 0xa2cfd7a2U, 0x7f2d1e4dU},
    };
    fill_tensor(x, N, 5);
    for (int i = 0; i < 512; i++) x[i] *= 0x1p-70F; /* scales that are brought into range */
    for (size_t c = 0; c < sizeof expected / sizeof *expected; c++) {
        for (int b = 0; b < backend_count; b++) {
            CHECK(qsgd_set_backend(backends[b]->name, NULL) == QSGD_OK);
            qsgd_stats *stats = new_stats(expected[c].norm, expected[c].bucket);
            CHECK(add(stats, x, N, NULL) == QSGD_OK);
            uint64_t size;
            uint8_t *bytes = saved(stats, &size);
            const uint32_t of_stats = crc32c(bytes, (size_t)size - 4); /* before its own */
            uint32_t of_levels = 0;
            for (int method = 0; method < 8; method++) {
                qsgd_fit_options o;
                qsgd_fit result;
                uint8_t le[8];
                qsgd_fit_options_init(&o);
                o.method = method % 3;
                o.model = method / 3 % 2;
                o.s = 4;
                o.symmetric = method != 3;
                o.zero = method % 2;
                if (method == 6) o.bits = 1.5;
                CHECK(fit(stats, &o, &result, NULL) == QSGD_OK);
                const double figures[2] = {result.error, result.entropy};
                for (uint32_t j = 0; j < result.level_table_len; j++) {
                    uint32_t level;
                    memcpy(&level, result.level_table + j, 4);
                    store_le32(le, level);
                    of_levels = crc32c(le, 4) ^ (of_levels << 1 | of_levels >> 31);
                }
                for (int f = 0; f < 2; f++) {
                    uint64_t figure;
                    memcpy(&figure, figures + f, 8);
                    store_le64(le, figure);
                    of_levels = crc32c(le, 8) ^ (of_levels << 1 | of_levels >> 31);
                }
            }
            if (of_stats != expected[c].stats || of_levels != expected[c].levels) {
                fprintf(stderr, "%s case %zu: 0x%08xU, 0x%08xU\n", backends[b]->name, c, of_stats,
                        of_levels);
            }
            CHECK(of_stats == expected[c].stats && of_levels == expected[c].levels);
            free(bytes);
            free(stats);
        }
    }
    CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Buckets of very different scales, so that rows move; merged forwards, backwards and in a tree. */
static void merging_in_any_order_gives_the_same_bytes(void) {
    enum { PARTS = 8, EACH = 1024 };
    qsgd_stats *part[PARTS], *all = new_stats(QSGD_NORM_MAX, 64);
    qsgd_stats *forward = new_stats(QSGD_NORM_MAX, 64), *backward = new_stats(QSGD_NORM_MAX, 64);
    fill_tensor(x, N, 6);
    for (int i = 0; i < PARTS * EACH; i++) {
        x[i] = ldexpf(x[i], i / 64 * 37 % 61 - 30) + (i % 512 < 64 ? 0 : 0x1p-140F);
    }
    CHECK(add(all, x, PARTS * EACH, NULL) == QSGD_OK);
    for (int p = 0; p < PARTS; p++) {
        part[p] = new_stats(QSGD_NORM_MAX, 64);
        CHECK(add(part[p], x + p * EACH, EACH, NULL) == QSGD_OK);
    }
    for (int p = 0; p < PARTS; p++) {
        CHECK(qsgd_stats_merge(forward, part[p], NULL) == QSGD_OK);
        CHECK(qsgd_stats_merge(backward, part[PARTS - 1 - p], NULL) == QSGD_OK);
    }
    CHECK(equal(forward, all) && equal(backward, all));
    for (int step = 1; step < PARTS; step *= 2) {
        for (int p = 0; p + step < PARTS; p += 2 * step) {
            CHECK(qsgd_stats_merge(part[p], part[p + step], NULL) == QSGD_OK);
        }
    }
    CHECK(equal(part[0], all));
    CHECK(qsgd_stats_merge(all, all, NULL) == QSGD_OK); /* with itself: twice */
    CHECK(qsgd_stats_merge(forward, backward, NULL) == QSGD_OK);
    CHECK(equal(all, forward));
    for (int p = 0; p < PARTS; p++) free(part[p]);
    free(all);
    free(forward);
    free(backward);
}

static void an_error_leaves_statistics_untouched(void) {
    qsgd_stats *stats = new_stats(QSGD_NORM_L2, 512), *before = new_stats(QSGD_NORM_L2, 512);
    qsgd_error error = error_new();
    fill_tensor(x, N, 7);
    CHECK(add(stats, x, N, NULL) == QSGD_OK && add(before, x, N, NULL) == QSGD_OK);
    x[60000] = NAN;
    CHECK(add(stats, x, N, &error) == QSGD_ERR_NONFINITE);
    CHECK(error.element == 60000 && error.bucket == 60000 / 512);
    CHECK(equal(stats, before));
    qsgd_stats *other = new_stats(QSGD_NORM_L2, 513);
    CHECK(qsgd_stats_merge(stats, other, &error) == QSGD_ERR_COMBINATION);
    CHECK(strcmp(error.parameter, "bucket") == 0 && equal(stats, before));
    free(stats);
    free(before);
    free(other);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Bytes with any damage, and a right checksum, are refused, or are those of some statistics,
 * exactly; and then levels can be fitted to them. */
static void damaged_bytes_are_refused_or_canonical(void) {
    qsgd_stats *stats = new_stats(QSGD_NORM_MAX, 100), *loaded = new_stats(0, 1);
    uint64_t size, state = 99;
    int accepted = 0;
    fill_tensor(x, N, 8);
    CHECK(add(stats, x, 3000, NULL) == QSGD_OK);
    uint8_t *bytes = saved(stats, &size);
    CHECK(qsgd_stats_load(loaded, bytes, size, NULL) == QSGD_OK && equal(stats, loaded));
    for (uint64_t cut = 0; cut < size; cut++) {
        CHECK(qsgd_stats_load(loaded, bytes, cut, NULL) != QSGD_OK);
    }
    for (int round = 0; round < 20000; round++) {
        uint8_t *damaged = malloc((size_t)size);
        memcpy(damaged, bytes, (size_t)size);
        for (uint64_t i = random_below(&state, 3); i < 3; i++) {
            const uint64_t at = random_below(&state, 4) == 0 ? random_below(&state, 32)
                                                             : random_below(&state, size - 4);
            damaged[at] = (uint8_t)(random_below(&state, 2) ? random_u64(&state)
                                                            : damaged[at] ^ 1U << (round % 8));
        }
        store_le32(damaged + size - 4, crc32c(damaged, (size_t)size - 4));
        if (qsgd_stats_load(loaded, damaged, size, NULL) == QSGD_OK) {
            uint64_t again_size;
            uint8_t *again = saved(loaded, &again_size);
            qsgd_fit result;
            accepted++;
            CHECK(again_size == size && memcmp(again, damaged, (size_t)size) == 0);
            CHECK(fit(loaded, NULL, &result, NULL) == QSGD_OK);
            free(again);
        }
        free(damaged);
    }
    CHECK(accepted > 20); /* else this shows nothing */
    free(bytes);
    free(stats);
    free(loaded);
}

/* As many elements as there may be, all at the sums' largest: 1 in units of the largest scale of
 * its octave. */
static void the_largest_statistics_are_saved_and_loaded(void) {
    for (int sign = -1; sign <= 1; sign += 2) {
        qsgd_stats *stats = new_stats(QSGD_NORM_MAX, 1), *loaded = new_stats(0, 2);
        qsgd_error error = error_new();
        uint64_t size, total = 1;
        x[0] = (float)sign * 0x1.fep0F;
        CHECK(add(stats, x, 1, NULL) == QSGD_OK);
        for (; total < QSGD_STATS_MAX_ELEMENTS; total *= 2) {
            CHECK(qsgd_stats_merge(stats, stats, &error) == QSGD_OK);
        }
        CHECK(qsgd_stats_merge(stats, stats, &error) == QSGD_ERR_SHAPE);
        uint8_t *bytes = saved(stats, &size);
        CHECK(qsgd_stats_load(loaded, bytes, size, &error) == QSGD_OK && equal(stats, loaded));
        bytes = realloc(bytes, (size_t)size + 1);
        memset(bytes + size - 4, 0, 5); /* a byte after the counts, under a right checksum */
        store_le32(bytes + size - 3, crc32c(bytes, (size_t)size - 3));
        CHECK(qsgd_stats_load(loaded, bytes, size + 1, &error) == QSGD_ERR_TRAILING);
        CHECK(error.offset == size - 4);
        free(bytes);
        free(stats);
        free(loaded);
    }
}

int main(void) {
    find_backends();
    statistics_and_levels_are_the_same_everywhere();
    merging_in_any_order_gives_the_same_bytes();
    an_error_leaves_statistics_untouched();
    damaged_bytes_are_refused_or_canonical();
    the_largest_statistics_are_saved_and_loaded();
    return check_result();
}
