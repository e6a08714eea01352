/* Memory, and the scales that chunks need of others, of the calls that quantize. */
#include "pipeline/before_chunks.h"

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "codes/lossless/form.h"
#include "quantize/feedback.h"

static uint64_t most_tasks(const struct quantizer *q) {
    const uint64_t big = big_scales_blocks(&q->layout), total = tensor_total_blocks(q);
    const uint64_t blocks = big > total ? big : total;
    return blocks > q->layout.chunks ? blocks : q->layout.chunks;
}

/* Bytes of a spill. Exact codes have no levels to ask. */
static uint64_t spill_room(const struct quantizer *q) {
    const uint64_t longest = layout_longest(&q->layout);
    switch (q->params.code) {
    case QSGD_CODE_RAW: return 0;
    case QSGD_CODE_LOSSLESS: return lossless_bound(longest, dtype_bytes(q->dtype));
    case QSGD_CODE_AUTO: return chunk_room(q, longest, false); /* no scales are written then */
    default: return chunk_room(q, longest, true);
    }
}

void before_chunks_carve(struct before_chunks *f, const struct encode_call *call,
                         struct memory *memory, enum quantize_use use) {
    const qsgd_encode_options *o = &call->options;
    const struct quantizer *q = &f->t.q;
    tensor_carve(&f->t, memory, o->residual);
    f->workers = workers_carve(memory, q, o->workers, use);
    f->runner = (struct runner){o->runner, o->runner_context, o->workers,
                                task_marks_carve(memory, most_tasks(q))};
    f->spill_bytes = spill_room(q);
    f->spill = memory_take(memory, o->workers * f->spill_bytes);
    f->losses = memory_take(memory, q->measured ? q->layout.chunks * sizeof *f->losses : 0);
}

static void carve(struct before_chunks *f, const struct encode_call *call, struct memory *memory) {
    const qsgd_encode_options *o = &call->options;
    const bool copies = quantizer_copies(&f->t.q, o->dtype, o->residual);
    before_chunks_carve(f, call, memory, copies ? QUANTIZE_COPIES : QUANTIZE_IN_PLACE);
}

uint64_t before_chunks_sums_bytes(const struct encode_call *call, const struct quantizer *q) {
    struct tensor t;
    struct memory memory = {NULL, 0};
    t.q = *q;
    tensor_carve(&t, &memory, call->options.residual);
    return memory.used;
}

uint64_t before_chunks_bytes(const struct encode_call *call, const struct quantizer *q) {
    struct before_chunks f;
    struct memory memory = {NULL, 0};
    f.t.q = *q;
    carve(&f, call, &memory);
    uint64_t bytes = memory.used;
    if (q->params.code != QSGD_CODE_AUTO) return bytes;
    for (int32_t code = QSGD_CODE_RAW; code <= QSGD_CODE_RANS; code++) { /* one comes after it */
        struct memory one = {NULL, 0};
        f.t.q.params.code = code;
        carve(&f, call, &one);
        if (one.used > bytes) bytes = one.used;
    }
    return bytes;
}

qsgd_status before_chunks_open(struct before_chunks *f, const struct encode_call *call,
                               qsgd_memory workspace, qsgd_error *error) {
    struct memory memory = {NULL, 0};
    const qsgd_status status =
        memory_open(&memory, workspace, before_chunks_bytes(call, &f->t.q), error);
    f->sums_known = false;
    if (status == QSGD_OK) carve(f, call, &memory);
    return status;
}

static void task_big_block(void *context, uint64_t block, uint32_t worker) {
    struct before_chunks *f = context;
    fpenv env = fpenv_enter();
    big_scales_block(&f->t, block, &f->workers[worker].quantize);
    fpenv_leave(env);
}

static void task_total_block(void *context, uint64_t block, uint32_t worker) {
    struct before_chunks *f = context;
    fpenv env = fpenv_enter();
    tensor_total_block(&f->t, block, &f->workers[worker].quantize);
    fpenv_leave(env);
}

static void task_feedback(void *context, uint64_t chunk, uint32_t worker) {
    struct before_chunks *f = context;
    fpenv env = fpenv_enter();
    feedback_survey(&f->t, chunk, &f->workers[worker].quantize);
    fpenv_leave(env);
}

/* The second pass of error feedback under long buckets: their indices say which scales they want.
 */
static qsgd_status feedback_scales(struct before_chunks *f, qsgd_error *error) {
    const uint64_t chunks = feedback_chunks(&f->t);
    if (chunks == 0) return QSGD_OK;
    const qsgd_status status = runner_run(&f->runner, task_feedback, f, chunks, error);
    if (status != QSGD_OK) return status;
    fpenv env = fpenv_enter();
    feedback_store(&f->t);
    fpenv_leave(env);
    return QSGD_OK;
}

qsgd_status before_chunks_sums(struct before_chunks *f, qsgd_error *error) {
    const uint64_t total = tensor_total_blocks(&f->t.q);
    const uint64_t big = f->t.one_pass ? 0 : big_scales_blocks(&f->t.q.layout);
    qsgd_status status = QSGD_OK;
    if (total != 0) status = runner_run(&f->runner, task_total_block, f, total, error);
    if (status == QSGD_OK && big != 0) {
        status = runner_run(&f->runner, task_big_block, f, big, error);
    }
    return status;
}

qsgd_status before_chunks_scales(struct before_chunks *f, qsgd_error *error) {
    const bool big = f->t.q.layout.per_bucket != 0 && !f->t.one_pass;
    qsgd_status status = f->sums_known ? QSGD_OK : before_chunks_sums(f, error);
    if (status != QSGD_OK) return status;
    fpenv env = fpenv_enter();
    if (tensor_total_blocks(&f->t.q) != 0) tensor_total_store(&f->t);
    if (big) big_scales_store(&f->t, &f->workers[0].quantize);
    fpenv_leave(env);
    return big ? feedback_scales(f, error) : QSGD_OK;
}

struct chunk_loss before_chunks_loss(const struct before_chunks *f) {
    struct chunk_loss all = {0, 0, 0};
    for (uint64_t i = 0; f->t.q.measured && i < f->t.q.layout.chunks; i++) {
        all.error += f->losses[i].error;
        all.energy += f->losses[i].energy;
        all.share += f->losses[i].share;
    }
    return all;
}

qsgd_status before_chunks_error(const struct before_chunks *f, qsgd_error *error) {
    const struct worker *failed = workers_error(f->workers, f->runner.workers);
    if (failed == NULL) return QSGD_OK;
    const uint64_t bucket = failed->error_where;
    const uint64_t element = source_first_nonfinite(&f->t.source, &f->t.q.layout, bucket);
    return error_element(error, QSGD_ERR_NONFINITE, element, bucket,
                         "NaN, Inf, or a bucket whose scale overflows, under nonfinite=raise");
}
