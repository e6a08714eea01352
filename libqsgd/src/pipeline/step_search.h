/* The search for a step by what steps come to: in logarithms, by secants (ENCODER.md section 10.4).
 */
#ifndef QSGD_PIPELINE_STEP_SEARCH_H
#define QSGD_PIPELINE_STEP_SEARCH_H

#include "base/begin.h"

#include <stdbool.h>
#include <stdint.h>

#include "qsgd.h"

/* The wanted logarithm, in units of 2^-16, and how many steps of 2^(1 / 1024) an octave of it is
 * away, about. */
struct goal {
    bool error;
    int64_t wanted;
    int64_t slope;
};

struct goal goal_of(const qsgd_params *params);

/* Where the search starts: what normal numbers need, about. */
int32_t step_first(const qsgd_params *params, const struct goal *goal);

/* By secants; within a sample, also between what was too little and too much. */
struct step_search {
    struct goal goal;
    int32_t number, before;      /* of the step to try, and of the one tried last */
    int64_t value, below, above; /* at `before`; numbers that came out below and above */
    bool tried, has_below, has_above;
};

/* Before the first value of a sample. */
void step_search_begin(struct step_search *s);

/* To the number to try after that value at s->number. */
void step_search_next(struct step_search *s, int64_t value);

#endif
