#include "pipeline/step_search.h"

#include "base/steps.h"
#include "codes/logarithms.h"

struct goal goal_of(const qsgd_params *p) {
    if (p->target_error > 0) return (struct goal){true, fine_lg(p->target_error), 512};
    const double slope = 0.6875 * p->target_bits; /* log2 of b falls by 1 / (b ln 2) an octave, */
    return (struct goal){false, fine_lg(p->target_bits),
                         -(int64_t)(1024 * (slope > 1.375 ? slope : 1.375))}; /* or less */
}

int32_t step_first(const qsgd_params *p, const struct goal *g) {
    const int64_t two = 1 << 16, twelve = 234943; /* their logarithms */
    if (g->error) return step_clamped(512 * (g->wanted + twelve) / 65536);
    if (g->wanted <= two) return step_clamped(1230 * (two - g->wanted) / 65536);
    return step_clamped((int64_t)(1024 * (2 - p->target_bits)));
}

/* The slope by two points, if it has the right sign; steep and flat ones are not believed. */
static void search_learn(struct step_search *s, int64_t value) {
    const int64_t run = s->number - s->before, rise = value - s->value;
    if (!s->tried || run == 0 || rise == 0) return;
    const int64_t slope = run * 65536 / rise;
    if ((slope > 0) != s->goal.error) return;
    const int64_t size = slope < 0 ? -slope : slope;
    const int64_t held = size < 256 ? 256 : (size > 16384 ? 16384 : size);
    s->goal.slope = slope < 0 ? -held : held;
}

void step_search_begin(struct step_search *s) { s->tried = s->has_below = s->has_above = false; }

void step_search_next(struct step_search *s, int64_t value) {
    search_learn(s, value);
    const int64_t miss = s->goal.wanted - value;
    int64_t next = s->number + miss * s->goal.slope / 65536;
    if (miss > 0) {
        s->below = s->number;
        s->has_below = true;
    } else {
        s->above = s->number;
        s->has_above = true;
    }
    if (s->has_below && s->has_above) {
        const int64_t low = s->below < s->above ? s->below : s->above;
        const int64_t high = s->below < s->above ? s->above : s->below;
        if (next < low || next > high) next = low + (high - low) / 2;
    }
    s->before = s->number;
    s->value = value;
    s->tried = true;
    s->number = step_clamped(next);
}
