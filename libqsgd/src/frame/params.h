/* Checks of parameters, before anything else looks at them. */
#ifndef QSGD_FRAME_PARAMS_H
#define QSGD_FRAME_PARAMS_H

#include "base/begin.h"

#include "base/dtype.h"
#include "qsgd.h"

/* Copies a caller's parameters, of whatever version, and checks them as qsgd_params_check. */
qsgd_status params_take(const qsgd_params *given, qsgd_params *to, qsgd_error *error);

/* Says what was left to the rest: levels, rounding, the step. params_take does so, too. */
void params_resolve(qsgd_params *params);

/* Copies parameters into a caller's, of whatever version. */
qsgd_status params_give(const qsgd_params *params, qsgd_params *given, qsgd_error *error);

/* The rules that bind encoders and decoders alike (FORMAT.md 4.2): ranges of s, step, tables,
 * and combinations. Fields are in range of their enumerations already, but for norm. */
qsgd_status params_check_scheme(const struct qsgd_params *params, struct qsgd_error *error);

/* The rules that bind encoders alone: which norm and rounding go with the rest. */
qsgd_status params_check_encoder(const struct qsgd_params *params, struct qsgd_error *error);

/* True if frames with these parameters hold the noise key. */
static inline int params_keyed(const struct qsgd_params *params) {
    return !code_is_exact(params->code) &&
           (params->rounding == QSGD_ROUND_DITHERED || params->rotation != 0);
}

/* True if they ask for bits or an error, in place of a step. */
static inline int params_have_target(const struct qsgd_params *params) {
    return params->target_bits > 0 || params->target_error > 0;
}

/* True if code (not AUTO) is legal with the other parameters. */
int params_code_fits(const struct qsgd_params *params, int32_t code);

int params_finite(float f);

/* Elements of a shape; 0 if a dimension or the product passes 2^47, unless a dimension is 0. */
int params_shape(const uint64_t *shape, uint32_t ndim, uint64_t *product);

#endif
