/* Memory, long buckets and checks of the calls that quantize. */
#include "pipeline/before_chunks.h"

#include <string.h>

void before_chunks_carve(struct before_chunks *f, struct memory *memory, uint32_t workers,
                         bool copies) {
    const struct layout *l = &f->q.layout;
    const bool topk = f->q.params.rounding == QSGD_ROUND_TOPK && l->per_bucket != 0;
    f->workers = workers_carve(memory, &f->q, workers, copies);
    f->partials = memory_take(memory, big_scales_blocks(l) * sizeof(struct bucket_sums));
    f->totals = memory_take(memory, tensor_total_blocks(&f->q) * sizeof(struct bucket_sums));
    f->cuts = memory_take(memory, topk ? l->buckets * sizeof(struct topk_cut) : 0);
    if (!topk) f->cuts = NULL;
}

qsgd_status before_chunks_open(struct before_chunks *f, uint32_t workers, bool copies,
                               void *workspace, uint64_t workspace_bytes,
                               struct qsgd_error *error) {
    struct memory memory = {NULL, 0};
    before_chunks_carve(f, &memory, workers, copies);
    if (workspace == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "workspace", "workspace is NULL");
    }
    if (memory_misaligned(workspace) || workspace_bytes < memory.used) {
        return error_parameter(error, QSGD_ERR_WORKSPACE, "workspace",
                               "the workspace must be 64-byte aligned and hold "
                               "qsgd_encode_workspace bytes");
    }
    memory.base = workspace;
    memory.used = 0;
    before_chunks_carve(f, &memory, workers, copies);
    return QSGD_OK;
}

static void task_big_block(void *context, uint64_t block, uint32_t worker) {
    struct before_chunks *f = context;
    fpenv env = fpenv_enter();
    big_scales_block(&f->q, &f->source, block, &f->workers[worker].quantize, f->partials);
    fpenv_leave(env);
}

static void task_total_block(void *context, uint64_t block, uint32_t worker) {
    struct before_chunks *f = context;
    fpenv env = fpenv_enter();
    tensor_total_block(&f->q, &f->source, block, &f->workers[worker].quantize, f->totals);
    fpenv_leave(env);
}

static void tensor_total(struct before_chunks *f, const struct qsgd_encode_options *o) {
    if (f->q.params.norm != QSGD_NORM_BALANCED) return;
    workers_run(o->runner, o->runner_context, task_total_block, f, tensor_total_blocks(&f->q));
    fpenv env = fpenv_enter();
    tensor_total_store(&f->q, f->totals);
    fpenv_leave(env);
}

void before_chunks_scales(struct before_chunks *f, const struct qsgd_encode_options *o) {
    tensor_total(f, o);
    if (f->q.layout.per_bucket == 0) return;
    workers_run(o->runner, o->runner_context, task_big_block, f, big_scales_blocks(&f->q.layout));
    fpenv env = fpenv_enter();
    big_scales_store(&f->q, &f->source, f->partials, &f->scales, f->cuts, &f->workers[0].quantize);
    fpenv_leave(env);
}

qsgd_status before_chunks_error(const struct before_chunks *f, uint32_t workers,
                                struct qsgd_error *error) {
    const struct worker *failed = workers_error(f->workers, workers);
    if (failed == NULL) return QSGD_OK;
    const uint64_t bucket = failed->error_where;
    const uint64_t element = source_first_nonfinite(&f->source, &f->q.layout, bucket);
    return error_element(error, QSGD_ERR_NONFINITE, element, bucket,
                         "NaN, Inf, or a bucket whose scale overflows, under nonfinite=raise");
}
