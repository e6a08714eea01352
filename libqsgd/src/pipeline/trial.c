#include "pipeline/trial.h"

#include "base/fpenv.h"
#include "frame/params.h"
#include "pipeline/signs.h"
#include "quantize/outliers.h"

#define UNIT 512      /* elements of a unit, at least */
#define UNITS_LEAST 4 /* of a sample */
/* A tensor of fewer elements is coded, not priced, if it is tried whole, but for slots, which want
 * to know how sizes spread. */
#define CODED_BELOW 131072
#define CHUNK_LEAST_LOG2 13 /* elements of a chunk, where it stands for a longer one */

/* ---- samples -------------------------------------------------------------------------------- */

/* What the sample cannot tell of the whole tensor is given. */
static void give_reference(qsgd_params *p, double rms) {
    if (p->norm == QSGD_NORM_BALANCED && p->bucket == 0 && !(p->reference > 0)) {
        p->norm = QSGD_NORM_RMS; /* of one bucket both are the same */
    }
    const bool whole = p->norm == QSGD_NORM_BALANCED || p->bucket == 0;
    if (!whole || p->reference > 0) return;
    p->reference = rms;
    if (!(rms > 0)) p->norm = QSGD_NORM_RMS; /* as such scales are (bucket_scales.c) */
}

void sample_init(struct sample *s, const qsgd_params *params, uint64_t n, unsigned every_log2,
                 double rms) {
    qsgd_params *const p = &s->params;
    *p = *params;
    const uint64_t chunk = (uint64_t)1 << p->chunk_log2;
    const bool within = p->bucket != 0 && p->bucket <= chunk;
    s->unit = within ? p->bucket * div_up(UNIT, p->bucket) : CODE_GROUP;
    while (every_log2 > 0 && n / s->unit >> every_log2 < UNITS_LEAST) every_log2--;
    s->every_log2 = every_log2;
    s->n = every_log2 == 0 ? n : (n / s->unit >> every_log2) * s->unit;
    s->weight_log2 = every_log2;
    while (s->weight_log2 > 0 && (p->chunk_log2 < CHUNK_LEAST_LOG2 + s->weight_log2 ||
                                  (within && chunk >> s->weight_log2 < p->bucket))) {
        s->weight_log2--;
    }
    p->classes = worker_may_use_classes(p) ? QSGD_CLASSES_ON : QSGD_CLASSES_OFF;
    give_reference(p, rms);
    if (!within && p->bucket >> every_log2 != 0) p->bucket >>= every_log2;
    p->chunk_log2 -= s->weight_log2;
    p->nonfinite = QSGD_NONFINITE_PROPAGATE;
    if (p->code == QSGD_CODE_AUTO) p->code = QSGD_CODE_RANS;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Makes f's tensor that of the sample. */
static void tensor_init(struct before_chunks *f, const struct sample *s, float step) {
    struct tensor *const t = &f->t;
    qsgd_params params = s->params;
    params.step = step;
    params.seed = 0; /* of ties and rotations */
    quantizer_init(&t->q, &params, s->n, (struct noise_start){0, 0}, false);
    t->q.key.even = true;
    t->q.measured = params.target_error > 0;
    t->q.finds_outliers = layout_longest(&t->q.layout) >= OUTLIERS_FROM;
    t->source.unit = s->unit;
    t->source.every_log2 = s->every_log2;
    t->one_pass =
        t->q.layout.per_bucket != 0 && params.norm == QSGD_NORM_RMS && params.reference > 0;
}

static void carve(struct trials *t, struct memory *memory) {
    struct encode_call own = {.params = t->sample->params, .options = t->call->options};
    own.options.residual = NULL;
    t->bytes = memory_take(memory, t->f->t.q.layout.chunks * sizeof *t->bytes);
    t->spreads = memory_take(memory, t->f->t.q.layout.chunks * sizeof *t->spreads);
    const bool copies = t->sample->every_log2 != 0 ||
                        quantizer_copies(&t->f->t.q, own.options.dtype, t->call->options.residual);
    before_chunks_carve(t->f, &own, memory, copies ? QUANTIZE_COPIES : QUANTIZE_IN_PLACE);
}

uint64_t trial_bytes(const struct encode_call *call, const struct sample *sample) {
    struct before_chunks f;
    struct trials t = {.f = &f, .call = call, .sample = sample};
    struct memory memory = {NULL, 0};
    tensor_init(&f, sample, 1);
    carve(&t, &memory);
    return memory.used;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

/* Bytes of the payload of a quantized chunk. */
static uint64_t price_chunk(const struct trials *t, const struct chunk_span *span, uint64_t index,
                            uint32_t worker, struct chunk_indices *c) {
    const struct quantizer *q = &t->f->t.q;
    struct worker *w = &t->f->workers[worker];
    const struct coded_items items = {c->k, NULL};
    struct payload_head head = quantizer_head(q, span, c->scales, c->damping, w->quantize.entries);
    struct code_chunk chunk = worker_code_chunk(q, &t->f->shared, q->params.code, span, &w->codes);
    const bool codes =
        t->sample->every_log2 == 0 && t->n < CODED_BELOW && t->sample->params.slot == 0;
    chunk.spread = &t->spreads[index];
    *chunk.spread = 0;
    chunk.weight = codes ? 0 : 1U << t->sample->weight_log2;
    worker_zeros(q, &chunk, &c->zeros, &items, w, &head.live);
    const struct payload_space to = {t->f->spill + worker * t->f->spill_bytes, NULL};
    return signs_write(q, span, &chunk, &head, &items, &w->quantize, &to);
}

/* One question at a time: what a chunk loses, or what it takes. */
static void try_chunk(struct trials *t, uint64_t index, uint32_t worker) {
    const struct tensor *tensor = &t->f->t;
    const struct chunk_span span = layout_chunk(&tensor->q.layout, index);
    struct quantize_scratch *scratch = &t->f->workers[worker].quantize;
    struct chunk_indices c = {.k = scratch->indices,
                              .scales = chunk_scales_of(tensor, &span, scratch->scales)};
    const bool measured = tensor->q.measured;
    struct chunk_loss *const loss = &t->f->losses[measured ? index : 0];
    if (measured) *loss = measure_given(tensor, &span, scratch);
    uint64_t none;
    quantize_chunk(tensor, &span, scratch, &c, &none); /* NaN is let through */
    if (measured) {
        loss->error = measure_error(tensor, &span, scratch, &c);
    } else {
        t->bytes[index] = price_chunk(t, &span, index, worker, &c);
    }
}

static void task_try(void *context, uint64_t index, uint32_t worker) {
    fpenv env = fpenv_enter();
    try_chunk(context, index, worker);
    fpenv_leave(env);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void add_up(const struct trials *t, struct trial_result *result) {
    const struct quantizer *q = &t->f->t.q;
    uint64_t bytes = 0, spread = 0;
    for (uint64_t i = 0; !q->measured && i < q->layout.chunks; i++) {
        bytes += t->bytes[i];
        spread += t->spreads[i];
    }
    result->spread = (double)spread * 0x1p-16;
    const uint64_t stands_for = t->sample->n << t->sample->weight_log2;
    result->payload_bytes = (double)bytes * ((double)t->n / (double)stands_for);
    result->loss = before_chunks_loss(t->f);
}

qsgd_status trial_run(struct trials *t, const struct sample *sample, float step,
                      struct trial_result *result, qsgd_error *error) {
    struct memory memory;
    t->sample = sample;
    tensor_init(t->f, sample, step);
    qsgd_status status = memory_open(&memory, t->workspace, trial_bytes(t->call, sample), error);
    if (status != QSGD_OK) return status;
    carve(t, &memory);
    t->f->sums_known = false;
    status = before_chunks_scales(t->f, error);
    if (status == QSGD_OK) {
        status = runner_run(&t->f->runner, task_try, t, t->f->t.q.layout.chunks, error);
    }
    if (status != QSGD_OK) return status;
    fpenv env = fpenv_enter();
    add_up(t, result);
    fpenv_leave(env);
    return QSGD_OK;
}
