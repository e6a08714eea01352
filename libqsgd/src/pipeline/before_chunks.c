/* Memory, and the scales that chunks need of others, of the calls that quantize. */
#include "pipeline/before_chunks.h"

#include "base/error.h"
#include "base/fpenv.h"

void before_chunks_carve(struct before_chunks *f, struct memory *memory, uint32_t workers,
                         bool copies) {
    f->workers = workers_carve(memory, &f->t.q, workers, copies);
    tensor_carve(&f->t, memory);
}

qsgd_status before_chunks_open(struct before_chunks *f, uint32_t workers, bool copies,
                               void *workspace, uint64_t workspace_bytes,
                               struct qsgd_error *error) {
    struct memory memory = {NULL, 0};
    before_chunks_carve(f, &memory, workers, copies);
    if (workspace == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "workspace", "workspace is NULL");
    }
    const qsgd_status status =
        memory_check_workspace(workspace, workspace_bytes, memory.used,
                               WORKSPACE_MUST_HOLD("qsgd_encode_workspace"), error);
    if (status != QSGD_OK) return status;
    memory.base = workspace;
    memory.used = 0;
    before_chunks_carve(f, &memory, workers, copies);
    return QSGD_OK;
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

static void tensor_total(struct before_chunks *f, const struct qsgd_encode_options *o) {
    if (f->t.q.params.norm != QSGD_NORM_BALANCED) return;
    workers_run(o->runner, o->runner_context, task_total_block, f, tensor_total_blocks(&f->t.q));
    fpenv env = fpenv_enter();
    tensor_total_store(&f->t);
    fpenv_leave(env);
}

void before_chunks_scales(struct before_chunks *f, const struct qsgd_encode_options *o) {
    tensor_total(f, o);
    if (f->t.q.layout.per_bucket == 0) return;
    workers_run(o->runner, o->runner_context, task_big_block, f, big_scales_blocks(&f->t.q.layout));
    fpenv env = fpenv_enter();
    big_scales_store(&f->t, &f->workers[0].quantize);
    fpenv_leave(env);
}

qsgd_status before_chunks_error(const struct before_chunks *f, uint32_t workers,
                                struct qsgd_error *error) {
    const struct worker *failed = workers_error(f->workers, workers);
    if (failed == NULL) return QSGD_OK;
    const uint64_t bucket = failed->error_where;
    const uint64_t element = source_first_nonfinite(&f->t.source, &f->t.q.layout, bucket);
    return error_element(error, QSGD_ERR_NONFINITE, element, bucket,
                         "NaN, Inf, or a bucket whose scale overflows, under nonfinite=raise");
}
