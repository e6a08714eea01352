/* Tasks through the caller's runner, which may be wrong: each task marks itself done, so that one
 * that is left out, repeated or out of range is an error and not stale memory. */
#ifndef QSGD_PIPELINE_RUNNER_H
#define QSGD_PIPELINE_RUNNER_H

#include "base/memory.h"
#include "qsgd.h"

struct task_marks;

struct runner {
    qsgd_runner run; /* NULL: one task after another, on this thread */
    void *context;
    uint32_t workers;
    struct task_marks *marks; /* in the workspace, where late tasks still find them */
};

/* Takes memory for the marks of at most so many tasks. */
struct task_marks *task_marks_carve(struct memory *memory, uint64_t tasks);

/* Runs task(job, i, worker) for all i < count. QSGD_OK, or QSGD_ERR_RUNNER. */
qsgd_status runner_run(const struct runner *runner, qsgd_task task, void *job, uint64_t count,
                       qsgd_error *error);

/* Workers lie in their range. */
qsgd_status runner_check_workers(uint32_t workers, qsgd_error *error);

#endif
