/* Steps as a target's search numbers them: 2^(j / 1024), as exact numbers (ENCODER.md
 * section 10.1).
 */
#ifndef QSGD_BASE_STEPS_H
#define QSGD_BASE_STEPS_H

#include "base/begin.h"

#include <stdint.h>

#define STEP_NUMBER_LEAST (-20 * 1024) /* the numbers of 2^-20 .. */
#define STEP_NUMBER_MOST (20 * 1024)   /* and 2^20 */

/* The nearest of them. */
int32_t step_clamped(int64_t number);

/* The step of number j, within these. */
float step_of_number(int32_t j);

/* The step that is again / 8 of an octave above one of those. */
float step_after(float step, uint32_t again);

/* The number of the step next to this one, which is a step of open levels. */
int32_t step_number(float step);

#endif
