#include "pipeline/report.h"

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "frame/params.h"
#include "pipeline/target.h"

bool report_measures(const struct encode_call *call) {
    const bool must = call->params.strict != 0 && call->params.target_error > 0;
    return call->options.report != NULL || must;
}

/* How far from what is wanted a tensor of n elements may come out: short ones have few bytes to
 * choose from. */
static double tolerance_of(uint64_t n) {
    if (n >= 65536) return 0x1p-5;
    return n >= 4096 ? 0x1p-4 : 0x1p-2;
}

static bool is_met(const qsgd_params *p, uint64_t n, double bits, double error) {
    const double tolerance = tolerance_of(n);
    const double wanted = p->target_bits > 0 ? p->target_bits : p->target_error;
    const double got = p->target_bits > 0 ? bits : error;
    if (!params_have_target(p)) return true;
    return n > 0 && got >= wanted * (1 - tolerance) && got <= wanted * (1 + tolerance);
}

qsgd_status report_give(const struct before_chunks *f, const struct encode_call *call,
                        const struct encoded *made, qsgd_error *error) {
    const qsgd_params *p = &call->params;
    const uint64_t n = f->t.q.layout.n;
    if (call->options.report == NULL && p->strict == 0) return QSGD_OK;
    fpenv env = fpenv_enter();
    const struct chunk_loss loss = before_chunks_loss(f);
    qsgd_encode_report r = {.elements = n,
                            .frame_bytes = made->frame_bytes,
                            .payload_bytes = made->payload_bytes,
                            .bits = n == 0 ? 0 : (double)made->frame_bytes * 8 / (double)n,
                            .error = loss.energy > 0 ? loss.error / loss.energy : 0,
                            .step = code_is_exact(p->code) ? 0 : (double)p->step,
                            .target_bits = p->target_bits,
                            .target_error = p->target_error,
                            .trials = made->trials,
                            .again = made->again};
    const double counted =
        n == 0 ? 0 : target_bits_of(call, &f->t.q.layout, (double)made->payload_bytes);
    r.met = is_met(p, n, counted, r.error) || (p->slot != 0 && counted <= p->target_bits);
    fpenv_leave(env);
    if (p->strict != 0 && !r.met) {
        return error_parameter(error, QSGD_ERR_TARGET,
                               p->target_bits > 0 ? "target_bits" : "target_error",
                               "no step gives this tensor the bits or error asked for (a report "
                               "without `strict` says how near the nearest comes)");
    }
    if (call->options.report != NULL) arguments_give_report(&r, call->options.report);
    return QSGD_OK;
}
