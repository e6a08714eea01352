/* Fitted levels (qsgd_fit.h): the papers' figures, gradients, legal tables, bad input. */
#include <math.h>

#include "fit/fit_descent.h"
#include "fit/fit_table.h"
#include "fit/normal.h"
#include "stats_support.h"

/* ---- fitting --------------------------------------------------------------------------------- */

static double near(double a, double b) { return a < b ? b - a : a - b; }

/* A truncated normal of mean 0.01 and deviation 0.2, eight levels, from powers of 1/2: the sequence
 * of errors that the papers' update gives, worked out independently by numerical integration. */
static void alq_gives_the_derived_sequence(void) {
    static const double asymmetric[] = {0.008105, 0.005763, 0.005405, 0.005318};
    qsgd_fit_options o;
    qsgd_fit result;
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
    qsgd_stats *stats = new_stats(QSGD_NORM_L2, 1000);
    fill_tensor(x, N, 9);
    for (int i = 0; i < N; i++) x[i] = x[i] * x[i] * x[i];
    CHECK(add(stats, x, N, NULL) == QSGD_OK);
    for (int which = 0; which < 48; which++) {
        qsgd_fit_options o;
        qsgd_fit result;
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

/* `sweeps` is the most: descent ends where it stands. */
static void descents_end_where_nothing_is_gained(void) {
    qsgd_fit_options o;
    qsgd_fit result;
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    o.sigma = 0.1;
    o.s = 3;
    for (o.method = QSGD_FIT_ALQ; o.method <= QSGD_FIT_AMQ; o.method++) {
        o.sweeps = 0;
        CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
        const double variance = result.variance;
        o.sweeps = 1U << 31;
        CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
        CHECK(result.sweeps < 100000 && result.variance <= variance * (1 + 1e-6));
    }
}

/* The gradient that descents use, against a central difference of the error; and AMQ's, of which it
 * is a part, by where it leads: the error is flat in p there. */
static void gradients_equal_finite_differences(void) {
    struct fit_models *models = malloc(sizeof *models);
    struct fit_table *t = malloc(sizeof *t);
    qsgd_fit_options o;
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
    qsgd_stats *stats = new_stats(QSGD_NORM_MAX, 512);
    qsgd_error error = error_new();
    qsgd_fit_options o;
    qsgd_fit result;
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
    CHECK(result.variance < 1e-6 && result.level_table[6] == 1.0F);
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
    qsgd_params params = params_qsgd();
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
        qsgd_stats *stats = new_stats(shape % 2 ? QSGD_NORM_L2 : QSGD_NORM_MAX, 5000);
        for (int i = 0; i < N; i++) {
            float v = shape == 0 ? 1.0F : (shape == 1 ? (i % 5000 == 0) : x[i]);
            if (shape == 3) v = i % 5000 == 0 ? 1 : v * 0x1p-60F;
            if (shape == 4) v = i % 100 == 0 ? v : 0;
            x[i] = v;
        }
        CHECK(add(stats, x, N, NULL) == QSGD_OK);
        for (uint32_t s = 1; s <= 127; s = 2 * s + 1) {
            for (int which = 0; which < 6; which++) {
                qsgd_fit_options o;
                qsgd_fit result;
                qsgd_params params;
                qsgd_error error = error_new();
                qsgd_fit_options_init(&o);
                o.s = s;
                o.method = which % 3;
                o.zero = which / 3;
                o.symmetric = o.method != QSGD_FIT_ALQ_GRADIENT;
                CHECK(fit(stats, &o, &result, &error) == QSGD_OK);
                params = params_qsgd();
                params.levels = result.levels;
                params.zero = result.zero;
                params.level_table = result.level_table;
                params.level_table_len = result.level_table_len;
                CHECK(qsgd_params_check(&params, &error) == QSGD_OK);
                double sum = 0;
                for (uint32_t j = 0; j < result.indices; j++) sum += result.probability[j];
                CHECK(near(sum, 1) < 1e-9);
            }
        }
        free(stats);
    }
}

/* 0 is a level of a signed table that was asked for it, however small its neighbours. */
static void a_pinned_zero_stays_a_level(void) {
    qsgd_fit_options o;
    qsgd_fit result;
    qsgd_params params;
    qsgd_fit_options_init(&o);
    o.method = QSGD_FIT_NONE;
    o.model = QSGD_MODEL_NORMAL;
    o.start = QSGD_START_EXPONENTIAL;
    o.sigma = 0.1;
    o.symmetric = 0;
    for (o.s = 1; o.s <= 127; o.s++) {
        CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
        CHECK(result.level_table_len == 2 * o.s + 1 && result.level_table[o.s] == 0);
        params = params_qsgd();
        params.levels = result.levels;
        params.level_table = result.level_table;
        params.level_table_len = result.level_table_len;
        CHECK(qsgd_params_check(&params, NULL) == QSGD_OK);
    }
}

/* A mean just outside -1..1, as the reader lets pass for rounding, and sums of squares that were
 * rounded to 0: levels and figures are numbers. */
static void statistics_at_their_limits_give_levels(void) {
    for (int square = 0; square < 2; square++) {
        qsgd_stats *stats = new_stats(QSGD_NORM_MAX, 512), *loaded = new_stats(0, 1);
        const uint64_t weight = (uint64_t)512 << 12;
        uint64_t size;
        stats->elements = 512;
        stats->buckets = 1;
        stats->top = 254;
        stats->halves[254] = (struct stats_half){512, 512 << 6, weight};
        stats->bins[0][STATS_MAGNITUDES - 1] = weight;
        stats->cells[0][STATS_CELLS - 1] = (struct stats_cell){
            weight, square ? (int64_t)(weight * 65) : 0, square ? weight * 65 : 0};
        uint8_t *bytes = saved(stats, &size);
        CHECK(qsgd_stats_load(loaded, bytes, size, NULL) == QSGD_OK);
        for (int which = 0; which < 8; which++) {
            qsgd_fit_options o;
            qsgd_fit result;
            qsgd_fit_options_init(&o);
            o.model = which % 2;
            o.weight = which / 2 % 2 ? QSGD_WEIGHT_NONE : QSGD_WEIGHT_NORM2;
            o.method = which / 4 ? QSGD_FIT_AMQ : QSGD_FIT_ALQ;
            CHECK(fit(loaded, &o, &result, NULL) == QSGD_OK);
            CHECK(isfinite(result.error) && result.variance >= 0 && result.entropy >= 0);
            for (uint32_t j = 1; j < result.level_table_len; j++) {
                CHECK(result.level_table[j] > result.level_table[j - 1]);
            }
        }
        free(bytes);
        free(stats);
        free(loaded);
    }
}

/* Levels so close that moments cannot tell them apart, beside all the mass. */
static void probabilities_are_probabilities(void) {
    qsgd_fit_options o;
    qsgd_fit result;
    qsgd_fit_options_init(&o);
    o.model = QSGD_MODEL_NORMAL;
    o.start = QSGD_START_EXPONENTIAL;
    o.method = QSGD_FIT_NONE;
    for (int i = 0; i < 3000; i++) {
        double sum = 0;
        o.s = 30 + (uint32_t)i % 98;
        o.zero = i / 98 % 2;
        o.mean = (i % 41 - 20) / 20.0;
        o.sigma = ldexp(1, i % 37 - 20);
        if (i == 0) o.sigma = 1e300; /* even */
        CHECK(fit(NULL, &o, &result, NULL) == QSGD_OK);
        for (uint32_t j = 0; j < result.indices; j++) {
            CHECK(result.probability[j] >= 0 && result.probability[j] <= 1);
            sum += result.probability[j];
        }
        CHECK(near(sum, 1) < 1e-9 && result.entropy < 8);
    }
}

int main(void) {
    alq_gives_the_derived_sequence();
    descents_never_increase_the_error();
    descents_end_where_nothing_is_gained();
    gradients_equal_finite_differences();
    normal_and_logarithm_are_exact_enough();
    fitting_refuses_bad_input_by_name();
    fitted_tables_are_legal();
    a_pinned_zero_stays_a_level();
    statistics_at_their_limits_give_levels();
    probabilities_are_probabilities();
    return check_result();
}
