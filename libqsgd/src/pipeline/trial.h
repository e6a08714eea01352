/* Trials (ENCODER.md section 10.2): what a tensor would take, and lose, at some step, found by
 * quantizing a sample of it with noise of its own. Nothing is coded: payloads are priced. */
#ifndef QSGD_PIPELINE_TRIAL_H
#define QSGD_PIPELINE_TRIAL_H

#include "pipeline/before_chunks.h"
#include "quantize/measure.h"

/* Which elements are tried, and as what. */
struct sample {
    uint64_t n;
    uint64_t unit; /* elements that stay together */
    unsigned every_log2;
    unsigned weight_log2; /* an element stands for so many of a chunk */
    qsgd_params params;   /* of the trial, but for the step */
};

/* Of n elements one unit in 2^every_log2, or more if they are few; rms: of the tensor, where it
 * cannot be told of the sample, else 0. */
void sample_init(struct sample *s, const qsgd_params *params, uint64_t n, unsigned every_log2,
                 double rms);

/* What comes out: bytes of all payloads of the tensor; or, if an error is the target, what is lost
 * of the sample. */
struct trial_result {
    double payload_bytes;
    double spread; /* variance of their bits over the noise, at most; of whole tensors */
    struct chunk_loss loss;
};

/* Memory and state of trials. */
struct trials {
    struct before_chunks *f; /* of the tensor, whose quantizer and memory trials use up */
    const struct encode_call *call;
    uint64_t n;            /* of the tensor */
    qsgd_memory workspace; /* behind the sums of the tensor's blocks */
    const struct sample *sample;
    uint64_t *bytes, *spreads; /* of each chunk */
};

/* Bytes of workspace that trials with such a sample take. */
uint64_t trial_bytes(const struct encode_call *call, const struct sample *sample);

/* One trial. QSGD_OK, or an error of the runner. */
qsgd_status trial_run(struct trials *t, const struct sample *sample, float step,
                      struct trial_result *result, qsgd_error *error);

#endif
