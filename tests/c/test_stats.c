/* Statistics and fitted levels (qsgd_fit.h): the same bytes and levels on every backend and
 * machine, whatever the order of merging; the papers' figures; damaged bytes. */
#include <math.h>

#include "backends.h"
#include "fit_table.h"
#include "normal.h"
#include "qsgd_fit.h"
#include "support.h"

#define N 70000

static float x[N];

static struct qsgd_stats *new_stats(int32_t norm, uint64_t bucket) {
    struct qsgd_params params;
    qsgd_params_init(&params);
    params.norm = norm;
    params.bucket = bucket;
    struct qsgd_stats *stats = malloc((size_t)qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params, NULL) == QSGD_OK);
    return stats;
}

static qsgd_status add(struct qsgd_stats *stats, const float *from, uint64_t n,
                       struct qsgd_error *error) {
    const uint64_t bytes = qsgd_stats_workspace(stats, QSGD_FLOAT32, n);
    void *workspace = aligned_bytes(bytes);
    const qsgd_status status =
        qsgd_stats_add(stats, QSGD_FLOAT32, from, n, workspace, bytes, error);
    free(workspace);
    return status;
}

/* The statistics' bytes, and how many. */
static uint8_t *saved(const struct qsgd_stats *stats, uint64_t *size) {
    uint8_t *bytes = malloc((size_t)qsgd_stats_save_bound());
    CHECK(qsgd_stats_save(stats, bytes, qsgd_stats_save_bound(), size) == QSGD_OK);
    return bytes;
}

static bool equal(const struct qsgd_stats *a, const struct qsgd_stats *b) {
    uint64_t size_a, size_b;
    uint8_t *bytes_a = saved(a, &size_a), *bytes_b = saved(b, &size_b);
    const bool same = size_a == size_b && memcmp(bytes_a, bytes_b, (size_t)size_a) == 0;
    free(bytes_a);
    free(bytes_b);
    return same;
}

static qsgd_status fit(const struct qsgd_stats *stats, const struct qsgd_fit_options *options,
                       struct qsgd_fit *result, struct qsgd_error *error) {
    void *workspace = aligned_bytes(qsgd_fit_workspace());
    result->struct_size = sizeof *result;
    const qsgd_status status =
        qsgd_fit_levels(stats, options, result, workspace, qsgd_fit_workspace(), error);
    free(workspace);
    return status;
}

/* ---- one result everywhere ------------------------------------------------------------------- */

/* CRC of the bytes of a fixed tensor's statistics, and of the levels and figures fitted to them.
 * Pinned: the same on every backend, byte order and compiler. */
static void statistics_and_levels_are_the_same_everywhere(void) {
    static const struct {
        int32_t norm;
        uint64_t bucket;
        uint32_t stats, levels;
    } expected[] = {
        {QSGD_NORM_MAX, 512, 0xce0ff1ccU, 0x9971c599U},
        {QSGD_NORM_L2, 1000, 0xaf9a2817U, 0x398bdd53U},
        {QSGD_NORM_L2, 0, 0xa8135dc1U, 0x1f9ccd02U},
        {QSGD_NORM_MAX, 7, 0x72e58d3cU, 0x7f2d1e4dU},
    };
    fill_tensor(x, N, 5);
    for (int i = 0; i < 512; i++) x[i] *= 0x1p-70F; /* scales that are brought into range */
    for (size_t c = 0; c < sizeof expected / sizeof *expected; c++) {
        for (int b = 0; b < backend_count; b++) {
            CHECK(qsgd_set_backend(backends[b]->name) == QSGD_OK);
            struct qsgd_stats *stats = new_stats(expected[c].norm, expected[c].bucket);
            CHECK(add(stats, x, N, NULL) == QSGD_OK);
            uint64_t size;
            uint8_t *bytes = saved(stats, &size);
            const uint32_t of_stats = crc32c(bytes, (size_t)size - 4); /* before its own */
            uint32_t of_levels = 0;
            for (int method = 0; method < 8; method++) {
                struct qsgd_fit_options o;
                struct qsgd_fit result;
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
                for (uint32_t j = 0; j < result.table_len; j++) {
                    uint32_t level;
                    memcpy(&level, result.table + j, 4);
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
    CHECK(qsgd_set_backend("auto") == QSGD_OK);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Buckets of very different scales, so that rows move; merged forwards, backwards and in a tree. */
static void merging_in_any_order_gives_the_same_bytes(void) {
    enum { PARTS = 8, EACH = 1024 };
    struct qsgd_stats *part[PARTS], *all = new_stats(QSGD_NORM_MAX, 64);
    struct qsgd_stats *forward = new_stats(QSGD_NORM_MAX, 64),
                      *backward = new_stats(QSGD_NORM_MAX, 64);
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
    struct qsgd_stats *stats = new_stats(QSGD_NORM_L2, 512), *before = new_stats(QSGD_NORM_L2, 512);
    struct qsgd_error error = {.struct_size = sizeof error};
    fill_tensor(x, N, 7);
    CHECK(add(stats, x, N, NULL) == QSGD_OK && add(before, x, N, NULL) == QSGD_OK);
    x[60000] = NAN;
    CHECK(add(stats, x, N, &error) == QSGD_ERR_NONFINITE);
    CHECK(error.element == 60000 && error.bucket == 60000 / 512);
    CHECK(equal(stats, before));
    struct qsgd_stats *other = new_stats(QSGD_NORM_L2, 513);
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
    struct qsgd_stats *stats = new_stats(QSGD_NORM_MAX, 100), *loaded = new_stats(0, 1);
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
            struct qsgd_fit result;
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

/* ---- fitting --------------------------------------------------------------------------------- */

static double near(double a, double b) { return a < b ? b - a : a - b; }

/* A truncated normal of mean 0.01 and deviation 0.2, eight levels, from powers of 1/2: the sequence
 * of errors that the papers' update gives, worked out independently by numerical integration. */
static void alq_gives_the_derived_sequence(void) {
    static const double asymmetric[] = {0.008105, 0.005763, 0.005405, 0.005318};
    struct qsgd_fit_options o;
    struct qsgd_fit result;
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    o.mean = 0.01;
    o.sigma = 0.2;
    o.s = 4;
    o.zero = o.symmetric = 0;
    o.start = QSGD_START_EXPONENTIAL;
    for (uint32_t sweeps = 0; sweeps < 4; sweeps++) {
        o.method = sweeps == 0 ? QSGD_FIT_NONE : QSGD_FIT_ALQ;
        o.sweeps = sweeps;
        CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
        CHECK(near(result.variance, asymmetric[sweeps]) < 6e-7);
    }
    o.sweeps = 0;
    CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
    CHECK(near(result.variance, 0.005304) < 6e-7);
    o.symmetric = 1;
    CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
    CHECK(near(result.variance, 0.005314) < 6e-7);
    o.sweeps = 1;
    CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
    CHECK(near(result.variance, 0.005504) < 6e-7);
    o.method = QSGD_FIT_ALQ_GRADIENT;
    o.sweeps = 0;
    CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
    CHECK(near(result.variance, 0.005314) < 2e-6);
}

static void descents_never_increase_the_error(void) {
    struct qsgd_stats *stats = new_stats(QSGD_NORM_L2, 1000);
    fill_tensor(x, N, 9);
    for (int i = 0; i < N; i++) x[i] = x[i] * x[i] * x[i];
    CHECK(add(stats, x, N, NULL) == QSGD_OK);
    for (int which = 0; which < 48; which++) {
        struct qsgd_fit_options o;
        struct qsgd_fit result;
        double before = 1e300;
        qsgd_fit_options_init(&o);
        o.method = which % 3;
        o.model = which / 3 % 2;
        o.zero = which / 6 % 2;
        o.symmetric = o.method == QSGD_FIT_AMQ || which / 12 % 2;
        o.start = o.method == QSGD_FIT_AMQ ? QSGD_START_EXPONENTIAL : 1 + which / 24;
        o.s = 5;
        for (o.sweeps = 1; o.sweeps < 12; o.sweeps++) {
            CHECK(fit(stats, &o, &result, NULL) == QSGD_OK);
            CHECK(result.variance <= before * (1 + 1e-6)); /* tables are rounded to float32 */
            before = result.variance;
        }
    }
    free(stats);
}

/* The gradient that descents use, against a central difference of the error; and AMQ's, of which it
 * is a part, by where it leads: the error is flat in p there. */
static void gradients_equal_finite_differences(void) {
    struct fit_models *models = malloc(sizeof *models);
    struct fit_table *t = malloc(sizeof *t);
    struct qsgd_fit_options o;
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    o.mean = 0.02;
    o.sigma = 0.15;
    CHECK(fit_models_build(models, NULL, &o));
    for (int central = 0; central < 2; central++) {
        *t = (struct fit_table){.model = &models->cost_half, .pinned = UINT32_MAX};
        t->count = 5;
        t->central = central == 1;
        fit_start_exponential(t);
        for (uint32_t j = 0; j < 4; j++) {
            if (!fit_table_free(t, j)) continue;
            const double level = t->level[j], h = 1e-5 * level;
            const double gradient = fit_table_gradient(t, j);
            fit_table_set(t, j, level + h);
            const double above = fit_table_error(t);
            fit_table_set(t, j, level - h);
            const double below = fit_table_error(t);
            fit_table_set(t, j, level);
            CHECK(near((above - below) / (2 * h), gradient) < 1e-6 * (1 + fabs(gradient)));
        }
        for (int start = 1; start < 10; start += 4) {
            double p = start / 10.0;
            fit_amq(t, &p, 0);
            const double least = fit_table_error(t);
            for (int side = -1; side <= 1; side += 2) {
                double level = 1;
                for (uint32_t j = t->count; j-- > (central ? 0U : 1U); level *= p + side * 1e-3) {
                    fit_table_set(t, j, level);
                }
                CHECK(fit_table_error(t) > least);
            }
        }
    }
    free(models);
    free(t);
}

static void normal_and_logarithm_are_exact_enough(void) {
    for (int i = -8000; i <= 8000; i++) {
        const double z = i / 1000.0 + 1e-7;
        const struct normal at = normal_at(z);
        CHECK(near(at.below, 0.5 * erfc(-z / sqrt(2.0))) < 0x1p-50);
        const double density = exp(-z * z / 2) / sqrt(2 * acos(-1.0));
        CHECK(near(at.density, density) < 0x1p-40 * density);
    }
    CHECK(normal_at(40).below == 1 && normal_at(-40).below == 0 && normal_at(40).density == 0);
    CHECK(normal_at(INFINITY).below == 1 && normal_at(-INFINITY).below == 0);
    for (int e = -1070; e < 1024; e += 7) {
        const double v = ldexp(1 + (double)(e + 1070) / 2100, e);
        CHECK(near(log2_of(v), log2(v)) < 0x1p-48 * (1 + fabs(log2(v))));
    }
}

/* ---- bad input ------------------------------------------------------------------------------- */

static void fitting_refuses_bad_input_by_name(void) {
    struct qsgd_stats *stats = new_stats(QSGD_NORM_MAX, 512);
    struct qsgd_error error = {.struct_size = sizeof error};
    struct qsgd_fit_options o;
    struct qsgd_fit result;
    memset(x, 0, sizeof x);
    CHECK(fit(stats, NULL, &result, &error) == QSGD_ERR_PARAM); /* empty */
    CHECK(strcmp(error.parameter, "stats") == 0);
    CHECK(add(stats, x, 600, NULL) == QSGD_OK); /* all zero */
    CHECK(fit(stats, NULL, &result, &error) == QSGD_ERR_PARAM);
    x[3] = 2;
    CHECK(add(stats, x, 1, NULL) == QSGD_OK);
    CHECK(fit(stats, NULL, &result, &error) == QSGD_ERR_PARAM); /* still */
    CHECK(add(stats, x + 3, 1, NULL) == QSGD_OK); /* one bucket of one element: r = 1 */
    CHECK(fit(stats, NULL, &result, &error) == QSGD_OK);
    CHECK(result.variance < 1e-6 && result.table[6] == 1.0F);
    qsgd_fit_options_init(&o);
    o.s = 128;
    CHECK(fit(stats, &o, &result, &error) == QSGD_ERR_PARAM && strcmp(error.parameter, "s") == 0);
    qsgd_fit_options_init(&o);
    o.bits = NAN;
    CHECK(fit(stats, &o, &result, &error) == QSGD_ERR_PARAM);
    o.bits = 7.5; /* r = 1 alone: no table has such indices */
    CHECK(fit(stats, &o, &result, &error) == QSGD_ERR_PARAM);
    CHECK(strcmp(error.parameter, "bits") == 0);
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    CHECK(fit(stats, &o, &result, &error) == QSGD_ERR_PARAM);
    CHECK(strcmp(error.parameter, "sigma") == 0);
    qsgd_fit_options_init(&o);
    o.method = QSGD_FIT_AMQ;
    o.symmetric = 0;
    CHECK(fit(stats, &o, &result, &error) == QSGD_ERR_COMBINATION);
    struct qsgd_params params;
    qsgd_params_init(&params);
    params.norm = QSGD_NORM_RMS;
    params.levels = QSGD_LEVELS_OPEN;
    params.step = 0.5F;
    CHECK(qsgd_stats_init(stats, &params, &error) == QSGD_ERR_COMBINATION);
    CHECK(strcmp(error.parameter, "norm") == 0);
    free(stats);
}

/* Levels that come out are such as an encoder takes, even where nearly all mass is in one place. */
static void fitted_tables_are_legal(void) {
    fill_tensor(x, N, 10);
    for (int shape = 0; shape < 5; shape++) {
        struct qsgd_stats *stats = new_stats(shape % 2 ? QSGD_NORM_L2 : QSGD_NORM_MAX, 5000);
        for (int i = 0; i < N; i++) {
            float v = shape == 0 ? 1.0F : (shape == 1 ? (i % 5000 == 0) : x[i]);
            if (shape == 3) v = i % 5000 == 0 ? 1 : v * 0x1p-60F;
            if (shape == 4) v = i % 100 == 0 ? v : 0;
            x[i] = v;
        }
        CHECK(add(stats, x, N, NULL) == QSGD_OK);
        for (uint32_t s = 1; s <= 127; s = 2 * s + 1) {
            for (int which = 0; which < 6; which++) {
                struct qsgd_fit_options o;
                struct qsgd_fit result;
                struct qsgd_params params;
                struct qsgd_error error = {.struct_size = sizeof error};
                qsgd_fit_options_init(&o);
                o.s = s;
                o.method = which % 3;
                o.zero = which / 3;
                o.symmetric = o.method != QSGD_FIT_ALQ_GRADIENT;
                CHECK(fit(stats, &o, &result, &error) == QSGD_OK);
                qsgd_params_init(&params);
                params.levels = result.levels;
                params.zero = result.zero;
                params.table = result.table;
                params.table_len = result.table_len;
                CHECK(qsgd_params_check(&params, &error) == QSGD_OK);
                double sum = 0;
                for (uint32_t j = 0; j < result.indices; j++) sum += result.probability[j];
                CHECK(near(sum, 1) < 1e-9);
            }
        }
        free(stats);
    }
}

int main(void) {
    find_backends();
    statistics_and_levels_are_the_same_everywhere();
    merging_in_any_order_gives_the_same_bytes();
    an_error_leaves_statistics_untouched();
    damaged_bytes_are_refused_or_canonical();
    alq_gives_the_derived_sequence();
    descents_never_increase_the_error();
    gradients_equal_finite_differences();
    normal_and_logarithm_are_exact_enough();
    fitting_refuses_bad_input_by_name();
    fitted_tables_are_legal();
    return check_result();
}
