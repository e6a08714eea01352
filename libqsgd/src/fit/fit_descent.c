/* Descents to levels of least error (Faghri et al., Adaptive Gradient Quantization for
 * Data-Parallel SGD, NeurIPS 2020): ALQ by coordinates and by gradient, AMQ by its one parameter.
 */
#include "fit/fit_descent.h"

#include <string.h>

/* Descent ends when a sweep gains less than this part of the error, or after so many sweeps. */
#define GAIN 1e-6
#define SWEEPS 400

/* With a number of sweeps given, only when nothing at all is gained. */
static bool stands(double before, double after, uint32_t sweeps) {
    return sweeps == 0 ? !(before - after > GAIN * before) : !(after < before);
}

/* Levels stay apart by this part of the interval between their neighbours. */
#define APART 0x1p-30

static double kept_inside(double level, double c, double d) {
    const double margin = (d - c) * APART;
    if (level < c + margin) return c + margin;
    return level > d - margin ? d - margin : level;
}

/* The level between c and d of least error: F(l) = F(d) - integral of (r - c) / (d - c) over [c,
 * d], F the distribution function. */
static double best_between(const struct fit_table *t, uint32_t j) {
    const double c = t->level[j - 1], d = t->level[j + 1];
    const struct fit_moments in = fit_between(&t->below[j - 1], &t->below[j + 1]);
    if (!(in.m[0] > 0)) return t->level[j];
    const double mass = t->below[j + 1].m[0] - (in.m[1] - c * in.m[0]) / (d - c);
    return kept_inside(fit_quantile(t->model, mass, c, d), c, d);
}

/* The first level of a table without 0: its gradient grows with it, so halve the interval. */
static double best_central(struct fit_table *t) {
    const double d = t->count > 1 ? t->level[1] : 1;
    double low = 0, high = d;
    for (int i = 0; i < 48; i++) {
        fit_table_set(t, 0, (low + high) / 2);
        if (fit_table_gradient(t, 0) > 0) {
            high = t->level[0];
        } else {
            low = t->level[0];
        }
    }
    return kept_inside((low + high) / 2, 0, d);
}

uint32_t fit_alq(struct fit_table *t, uint32_t sweeps) {
    double error = fit_table_error(t);
    uint32_t sweep = 0;
    for (const uint32_t most = sweeps == 0 ? SWEEPS : sweeps; sweep < most;) {
        const double before = error;
        for (uint32_t j = 0; j + 1 < t->count; j++) {
            if (!fit_table_free(t, j)) continue;
            fit_table_set(t, j, j == 0 ? best_central(t) : best_between(t, j));
        }
        error = fit_table_error(t);
        sweep++;
        if (stands(before, error, sweeps)) break;
    }
    return sweep;
}

/* ---- by gradient ----------------------------------------------------------------------------- */

/* All levels at once, each by its gradient over its curvature (d - c) f(l), f as the mean density
 * of the two cells, and by no more than half the way to a neighbour, so that order is kept. */
static void gradient_step(const struct fit_table *t, double rate, double *next) {
    for (uint32_t j = 0; j < t->count; j++) {
        next[j] = t->level[j];
        if (!fit_table_free(t, j)) continue;
        const double l = t->level[j], c = j > 0 ? t->level[j - 1] : 0, d = t->level[j + 1];
        const double mass = t->below[j + 1].m[0] - (j > 0 ? t->below[j - 1].m[0] : 0);
        const double room = (l - c < d - l ? l - c : d - l) / 2;
        double step = mass > 0 ? rate * fit_table_gradient(t, j) / mass : 0;
        step = step > room ? room : step;
        next[j] = l - (step < -room ? -room : step);
    }
}

uint32_t fit_alq_gradient(struct fit_table *t, uint32_t sweeps) {
    double error = fit_table_error(t), rate = 1, next[FIT_LEVELS], last[FIT_LEVELS];
    uint32_t sweep = 0;
    for (const uint32_t most = sweeps == 0 ? SWEEPS : sweeps; sweep < most; sweep++) {
        gradient_step(t, rate, next);
        memcpy(last, t->level, sizeof last);
        memcpy(t->level, next, t->count * sizeof *next);
        fit_table_ready(t);
        const double now = fit_table_error(t);
        if (now <= error) {
            const bool done = stands(error, now, sweeps);
            error = now;
            if (done) return sweep + 1;
            continue;
        }
        memcpy(t->level, last, t->count * sizeof *last); /* too far: back, and half as far */
        fit_table_ready(t);
        rate /= 2;
        if (rate < 0x1p-20) break;
    }
    return sweep;
}

/* ---- AMQ ------------------------------------------------------------------------------------- */

static void set_powers(struct fit_table *t, double p) {
    double level = 1;
    for (uint32_t j = t->count; j-- > (t->central ? 0U : 1U); level *= p) {
        fit_table_set(t, j, level);
    }
}

/* d error / dp: by the chain rule, d p^e / dp = e p^e / p. */
static double gradient_in_p(const struct fit_table *t, double p) {
    double sum = 0;
    for (uint32_t j = 0; j + 1 < t->count; j++) {
        const uint32_t exponent = t->count - 1 - j;
        if (fit_table_free(t, j)) sum += fit_table_gradient(t, j) * exponent * t->level[j] / p;
    }
    return sum;
}

#define P_LEAST 0x1p-6
#define P_MOST 0.984375

/* Descent with the step that the last two gradients suggest, halved while it would not descend. */
uint32_t fit_amq(struct fit_table *t, double *base, uint32_t sweeps) {
    double p = *base, step = 0;
    uint32_t sweep = 0;
    set_powers(t, p);
    double error = fit_table_error(t), gradient = gradient_in_p(t, p);
    for (const uint32_t most = sweeps == 0 ? SWEEPS : sweeps; sweep < most; sweep++) {
        if (!(step > 0))
            step = gradient < 0 || gradient > 0 ? 0.05 / (gradient < 0 ? -gradient : gradient) : 0;
        double next = p - step * gradient, now = error;
        next = next < P_LEAST ? P_LEAST : (next > P_MOST ? P_MOST : next);
        set_powers(t, next);
        now = fit_table_error(t);
        const double moved = next < p ? p - next : next - p;
        if (now > error || !(moved > 0)) {
            set_powers(t, p);
            step /= 2;
            if (moved < 0x1p-30) break;
            continue;
        }
        const double slope = gradient_in_p(t, next);
        const double curvature = (slope - gradient) / (next - p);
        const bool done = sweeps == 0 && moved < 0x1p-26;
        step = curvature > 0 ? 1 / curvature : 2 * step;
        p = next;
        gradient = slope;
        error = now;
        if (done) break;
    }
    *base = p;
    return sweep;
}
