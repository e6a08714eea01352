/* Levels of a given entropy, which the papers lack: the least error + lambda * entropy, level by
 * level, and the lambda at which the entropy is as asked. An entropy code then takes that many bits
 * per element however many levels there are. */
#include "fit/fit_entropy.h"

#include <string.h>

#include "fit/normal.h"

#define SWEEPS 24 /* of all levels for one lambda */
#define GOLDEN_STEPS 20
#define GROWTH 1.5 /* of lambda */
#define GROWTHS 60
#define HALVINGS 12 /* of the last such factor */

/* One table under both models: of the error, and of the indices. */
struct pair {
    struct fit_table *error, index;
    double lambda;
};

static void pair_set(struct pair *p, uint32_t j, double level) {
    fit_table_set(p->error, j, level);
    fit_table_set(&p->index, j, level);
}

/* Bits of level j, times its probability: with a sign where it is not 0. */
static double bits_of(const struct fit_table *t, uint32_t j) {
    const double p = fit_table_probability(t, j);
    const bool sign = j > 0 || t->central;
    return p > 0 ? p * ((sign ? 1 : 0) - log2_of(p)) : 0;
}

static double entropy_of(const struct fit_table *t) {
    double sum = 0;
    for (uint32_t j = 0; j < t->count; j++) sum += bits_of(t, j);
    return sum;
}

static double cell_of(const struct fit_table *t, uint32_t j) {
    const struct fit_moments in = fit_between(&t->below[j], &t->below[j + 1]);
    return fit_cell_error(t->level[j], t->level[j + 1], &in);
}

/* All that changes with level j. */
static double cost_about(const struct pair *p, uint32_t j) {
    const struct fit_table *t = p->error;
    double error = cell_of(t, j), bits = bits_of(&p->index, j) + bits_of(&p->index, j + 1);
    if (j > 0) {
        error += cell_of(t, j - 1);
        bits += bits_of(&p->index, j - 1);
    } else {
        error += fit_cell_error(-t->level[0], t->level[0], &t->below[0]);
    }
    return error + p->lambda * bits;
}

static double cost_at(struct pair *p, uint32_t j, double level) {
    pair_set(p, j, level);
    return cost_about(p, j);
}

/* Golden section; the level moves only if that gains. */
static double improve(struct pair *p, uint32_t j) {
    const double ratio = 0.6180339887498949, was = p->error->level[j], before = cost_about(p, j);
    const double c = j > 0 ? p->error->level[j - 1] : 0, d = p->error->level[j + 1];
    double low = c + (d - c) * 0x1p-20, high = d - (d - c) * 0x1p-20;
    double x1 = high - ratio * (high - low), x2 = low + ratio * (high - low);
    double f1 = cost_at(p, j, x1), f2 = cost_at(p, j, x2);
    for (int i = 0; i < GOLDEN_STEPS; i++) {
        if (f1 <= f2) {
            high = x2, x2 = x1, f2 = f1;
            x1 = high - ratio * (high - low);
            f1 = cost_at(p, j, x1);
        } else {
            low = x1, x1 = x2, f1 = f2;
            x2 = low + ratio * (high - low);
            f2 = cost_at(p, j, x2);
        }
    }
    const double best = f1 <= f2 ? f1 : f2;
    pair_set(p, j, best < before ? (f1 <= f2 ? x1 : x2) : was);
    return best < before ? before - best : 0;
}

static double descend(struct pair *p, double lambda) {
    p->lambda = lambda;
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double gain = 0;
        for (uint32_t j = 0; j + 1 < p->error->count; j++) {
            if (fit_table_free(p->error, j)) gain += improve(p, j);
        }
        if (gain < 1e-6 * fit_table_error(p->error)) break;
    }
    return entropy_of(&p->index);
}

static void pair_load(struct pair *p, const double *levels) {
    for (uint32_t j = 0; j < p->error->count; j++) pair_set(p, j, levels[j]);
}

double fit_entropy(const struct fit_table *t, const struct fit_model *count) {
    struct fit_table index = *t;
    index.model = count;
    fit_table_ready(&index);
    return entropy_of(&index);
}

/* Lambda is about 2 ln 2 times the error, as if the error fell as 4^-entropy: from there it grows
 * or shrinks until entropy is on the other side of `bits`, and then the interval is halved. Every
 * try starts from the same table, so that lambda alone decides. */
bool fit_to_entropy(struct fit_table *t, const struct fit_model *count, double bits) {
    struct pair p = {.error = t, .index = *t};
    double start[FIT_LEVELS], lambda = fit_table_error(t) * 1.386;
    memcpy(start, t->level, sizeof start);
    p.index.model = count;
    fit_table_ready(&p.index);
    const bool above = descend(&p, lambda) > bits;
    double next = lambda;
    for (int i = 0;; i++) {
        if (i == GROWTHS) return false;
        next = above ? lambda * GROWTH : lambda / GROWTH;
        pair_load(&p, start);
        if ((descend(&p, next) > bits) != above) break;
        lambda = next;
    }
    double low = above ? lambda : next,
           high = above ? next : lambda; /* entropy above, at most bits */
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = (low + high) / 2;
        pair_load(&p, start);
        if (descend(&p, middle) > bits) {
            low = middle;
        } else {
            high = middle;
        }
    }
    pair_load(&p, start);
    return descend(&p, high) <= bits;
}
