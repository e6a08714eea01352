/* Densities from statistics: of the histogram, of a mixture of truncated normals, or of one given
 * normal; all on the same bins. Every sum runs in a fixed order. */
#include "fit/fit_model.h"

#include <string.h>

#include "base/square_root.h"
#include "fit/normal.h"

/* ---- bins ------------------------------------------------------------------------------------ */

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Of a binary64: what kernel_stats_count shifts and adds for a binary32. */
#define BIN_SHIFT 48
#define BIN_QUARTER ((uint64_t)1 << 46)
#define BIN_BASE (((uint64_t)1023 << 4) - FIT_CENTRE)

/* Bin of a magnitude, 0 <= x <= 1. */
static uint32_t magnitude_bin(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t of = (bits + BIN_QUARTER) >> BIN_SHIFT;
    return of <= BIN_BASE ? 0 : (uint32_t)(of - BIN_BASE);
}

/* Start of a bin of magnitudes; past the last one, 1. */
static double magnitude_edge(uint32_t i) {
    if (i == 0) return 0;
    if (i > FIT_CENTRE) return 1;
    return from_bits(((BIN_BASE + i) << BIN_SHIFT) - BIN_QUARTER);
}

static uint32_t bin_of(const struct fit_model *model, double x) {
    if (model->bins == STATS_MAGNITUDES) return magnitude_bin(x);
    /* Of negative x on an edge this is the bin below it, where others are in the bin above. */
    return x >= 0 ? FIT_CENTRE + magnitude_bin(x) : FIT_CENTRE - magnitude_bin(-x);
}

/* ---- one model ------------------------------------------------------------------------------- */

/* From masses of bins and their first moments about the bins' starts. */
static void model_build(struct fit_model *model, uint32_t bins, const double *mass,
                        const double *first) {
    double sum[3] = {0, 0, 0};
    model->bins = bins;
    for (uint32_t i = 0; i < bins; i++) {
        const double e = model->edge[i], w = model->edge[i + 1] - e;
        double f = first[i];
        /* a linear density that is nowhere negative has its mean within these */
        if (f < mass[i] * w / 3) f = mass[i] * w / 3;
        if (f > mass[i] * w * 2 / 3) f = mass[i] * w * 2 / 3;
        const double a = (4 * mass[i] * w - 6 * f) / (w * w);
        const double b = (12 * f - 6 * mass[i] * w) / (w * w * w);
        const double second = a * w * w * w / 3 + b * w * w * w * w / 4;
        model->density[i] = a;
        model->slope[i] = b;
        memcpy(model->before[i], sum, sizeof sum);
        sum[0] += mass[i];
        sum[1] += f + e * mass[i];
        sum[2] += second + 2 * e * f + e * e * mass[i];
    }
    memcpy(model->before[bins], sum, sizeof sum);
}

struct fit_moments fit_below(const struct fit_model *model, double x) {
    struct fit_moments at;
    if (!(x > model->edge[0])) return (struct fit_moments){{0, 0, 0}};
    if (x >= 1) {
        memcpy(at.m, model->before[model->bins], sizeof at.m);
        return at;
    }
    const uint32_t i = bin_of(model, x);
    const double e = model->edge[i], t = x - e, a = model->density[i], b = model->slope[i];
    const double m0 = t * (a + b * t / 2), m1 = t * t * (a / 2 + b * t / 3);
    const double m2 = t * t * t * (a / 3 + b * t / 4);
    at.m[0] = model->before[i][0] + m0;
    at.m[1] = model->before[i][1] + m1 + e * m0;
    at.m[2] = model->before[i][2] + m2 + 2 * e * m1 + e * e * m0;
    return at;
}

double fit_quantile(const struct fit_model *model, double target, double low, double high) {
    uint32_t first = low > model->edge[0] ? bin_of(model, low) : 0;
    uint32_t last = high < 1 ? bin_of(model, high) : model->bins - 1;
    while (first < last) { /* the last bin that starts at or below the target */
        const uint32_t middle = (first + last + 1) / 2;
        if (model->before[middle][0] <= target) {
            first = middle;
        } else {
            last = middle - 1;
        }
    }
    const double rest = target - model->before[first][0];
    const double a = model->density[first], b = model->slope[first];
    const double under = a * a + 2 * b * rest, root = square_root(under > 0 ? under : 0);
    double x = model->edge[first];
    if (rest > 0 && a + root > 0) x += 2 * rest / (a + root);
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* ---- masses ---------------------------------------------------------------------------------- */

struct masses {
    double mass[FIT_BINS], first[FIT_BINS];
};

static double power_of_4(int32_t exponent) {
    return from_bits((uint64_t)(1023 + 2 * exponent) << 52);
}

static double power_of_2(int32_t exponent) { return from_bits((uint64_t)(1023 + exponent) << 52); }

/* Weight of all elements of a half octave's buckets, in units of the top's octave. */
static double half_weight(const struct qsgd_stats *stats, int32_t half, int32_t weight) {
    const struct stats_half *h = &stats->halves[half];
    const int32_t below = half / 2 - stats->top / 2;
    if (weight == QSGD_WEIGHT_NORM) {
        return (double)h->weight * power_of_2(below - STATS_WEIGHT_BITS);
    }
    if (weight == QSGD_WEIGHT_NORM2) {
        return (double)h->weight2 * power_of_4(below - STATS_WEIGHT_BITS);
    }
    return (double)h->elements;
}

/* What a unit of each row's bins and cells stands for. */
static void row_weights(const struct qsgd_stats *stats, int32_t weight, double of[STATS_ROWS]) {
    double sum[STATS_ROWS] = {0};
    uint64_t units[STATS_ROWS] = {0};
    for (int32_t half = stats->top; half > 0; half--) {
        const uint32_t row = stats_row(stats->top, half);
        sum[row] += half_weight(stats, half, weight);
        units[row] += stats->halves[half].weight2;
    }
    for (uint32_t row = 0; row < STATS_ROWS; row++) {
        of[row] = units[row] == 0 ? 0 : sum[row] / (double)units[row];
    }
}

static void masses_of_histogram(const struct fit_model *model, const struct qsgd_stats *stats,
                                const double weights[STATS_ROWS], struct masses *to) {
    memset(to, 0, sizeof *to);
    for (uint32_t row = 0; row < STATS_ROWS; row++) {
        const uint64_t *bins = stats->bins[row];
        for (uint32_t i = 0; i < STATS_MAGNITUDES && weights[row] > 0; i++) {
            to->mass[FIT_CENTRE + i] += weights[row] * (double)bins[i];
            to->mass[FIT_CENTRE - i] += weights[row] * (double)bins[STATS_MAGNITUDES + i];
        }
    }
    for (uint32_t i = 0; i < FIT_BINS; i++) {
        to->first[i] = to->mass[i] * (model->edge[i + 1] - model->edge[i]) / 2;
    }
}

/* Adds a normal, truncated to [-1, 1], of the given mass. Loaded sums may have their mean outside,
 * by as much as the reader allows for rounding: then next to nothing would be left of it. */
static void masses_add_normal(const struct fit_model *model, double mean, double sigma, double mass,
                              struct masses *to) {
    const double least = 0x1p-40; /* narrower than any bin that matters */
    const double most = 0x1p12;   /* from there on, even to 2^-25 */
    if (!(sigma > least)) sigma = least;
    if (sigma > most) sigma = most;
    if (mean < -1) mean = -1;
    if (mean > 1) mean = 1;
    struct normal low = normal_at((-1 - mean) / sigma);
    const struct normal all = normal_at((1 - mean) / sigma);
    const double scale = mass / (all.below - low.below);
    for (uint32_t i = 0; i < FIT_BINS; i++) {
        const double e = model->edge[i];
        const struct normal high = normal_at((model->edge[i + 1] - mean) / sigma);
        const double m = high.below > low.below ? high.below - low.below : 0;
        to->mass[i] += scale * m;
        to->first[i] += scale * ((mean - e) * m - sigma * (high.density - low.density));
        low = high;
    }
}

/* Cells of all rows as one list of normals. */
struct component {
    double mass, sum, square;
};

static double components_of(const struct qsgd_stats *stats, const double weights[STATS_ROWS],
                            struct component cells[STATS_CELLS]) {
    double square = 0;
    memset(cells, 0, STATS_CELLS * sizeof *cells);
    for (uint32_t row = 0; row < STATS_ROWS; row++) {
        for (uint32_t c = 0; c < STATS_CELLS; c++) {
            const struct stats_cell *cell = &stats->cells[row][c];
            cells[c].mass += weights[row] * (double)cell->weight;
            cells[c].sum += weights[row] * ((double)cell->sum / STATS_UNIT);
            cells[c].square += weights[row] * ((double)cell->square / STATS_UNIT);
        }
    }
    for (uint32_t c = 0; c < STATS_CELLS; c++) square += cells[c].square;
    return square;
}

static void add_component(const struct fit_model *model, const struct component *c,
                          struct masses *to) {
    const double mean = c->sum / c->mass, variance = c->square / c->mass - mean * mean;
    masses_add_normal(model, mean, square_root(variance > 0 ? variance : 0), c->mass, to);
}

static void masses_of_components(const struct fit_model *model, const struct component *cells,
                                 bool single, struct masses *to) {
    struct component all = {0, 0, 0};
    memset(to, 0, sizeof *to);
    for (uint32_t c = 0; c < STATS_CELLS; c++) {
        if (!(cells[c].mass > 0)) continue;
        if (!single) add_component(model, &cells[c], to);
        all.mass += cells[c].mass;
        all.sum += cells[c].sum;
        all.square += cells[c].square;
    }
    if (single) add_component(model, &all, to);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void masses_normalise(struct masses *m) {
    double sum = 0;
    for (uint32_t i = 0; i < FIT_BINS; i++) sum += m->mass[i];
    for (uint32_t i = 0; i < FIT_BINS; i++) {
        m->mass[i] /= sum;
        m->first[i] /= sum;
    }
}

static void model_edges(struct fit_model *model, struct fit_model *half) {
    for (uint32_t i = 0; i <= STATS_MAGNITUDES; i++) half->edge[i] = magnitude_edge(i);
    for (uint32_t i = 1; i <= STATS_MAGNITUDES; i++) {
        model->edge[FIT_CENTRE + i] = magnitude_edge(i);
        model->edge[FIT_CENTRE + 1 - i] = -magnitude_edge(i);
    }
}

/* The model and its mirror images, one upon the other. */
static void models_of(struct fit_model *model, struct fit_model *half, struct masses *m) {
    masses_normalise(m);
    model_build(model, FIT_BINS, m->mass, m->first);
    double mass[STATS_MAGNITUDES], first[STATS_MAGNITUDES];
    mass[0] = m->mass[FIT_CENTRE];
    first[0] = m->mass[FIT_CENTRE] * half->edge[1] / 2;
    for (uint32_t i = 1; i < STATS_MAGNITUDES; i++) {
        const uint32_t up = FIT_CENTRE + i, down = FIT_CENTRE - i;
        const double width = half->edge[i + 1] - half->edge[i];
        mass[i] = m->mass[up] + m->mass[down];
        first[i] = m->first[up] + (m->mass[down] * width - m->first[down]);
    }
    model_build(half, STATS_MAGNITUDES, mass, first);
}

bool fit_models_build(struct fit_models *models, const struct qsgd_stats *stats,
                      const struct qsgd_fit_options *o) {
    struct masses m;
    model_edges(&models->cost, &models->cost_half);
    model_edges(&models->count, &models->count_half);
    if (o->model == QSGD_MODEL_NORMAL) {
        memset(&m, 0, sizeof m);
        masses_add_normal(&models->cost, o->mean, o->sigma, 1, &m);
        models_of(&models->cost, &models->cost_half, &m);
        models_of(&models->count, &models->count_half, &m);
        models->square = models->cost.before[FIT_BINS][2];
        return true;
    }
    if (stats->top == 0) return false;
    for (int counts = 0; counts < 2; counts++) {
        struct fit_model *model = counts ? &models->count : &models->cost;
        struct fit_model *half = counts ? &models->count_half : &models->cost_half;
        const int32_t weight = counts ? QSGD_WEIGHT_NONE : o->weight;
        struct component cells[STATS_CELLS];
        double weights[STATS_ROWS], mass = 0;
        row_weights(stats, weight, weights);
        const double square = components_of(stats, weights, cells);
        for (uint32_t c = 0; c < STATS_CELLS; c++) mass += cells[c].mass;
        if (o->model == QSGD_MODEL_EMPIRICAL) {
            masses_of_histogram(model, stats, weights, &m);
        } else {
            masses_of_components(model, cells, o->weight == QSGD_WEIGHT_NONE, &m);
        }
        models_of(model, half, &m);
        /* the sums, of few elements far below their scale, may have been rounded to 0 */
        if (!counts) models->square = square > 0 ? square / mass : model->before[FIT_BINS][2];
    }
    return true;
}
