/* The caller's runner, watched. */
#include "pipeline/runner.h"

#include <stdatomic.h>

#include "base/error.h"

#define WORD_BITS 32
#define WORKER_WORDS (QSGD_MAX_WORKERS / WORD_BITS)

enum fault { FAULT_NONE, FAULT_TASK, FAULT_REPEATED, FAULT_WORKER, FAULT_SHARED };

/* One run. `open` is false before and after it. */
struct task_marks {
    qsgd_task task;
    void *job;
    uint64_t count;
    uint32_t workers;
    atomic_bool open;
    atomic_int fault; /* of those that were found, any */
    _Atomic(uint64_t) finished;
    _Atomic(uint32_t) busy[WORKER_WORDS]; /* bit w: worker w has a task at the moment */
    _Atomic(uint32_t) done[];             /* bit i: task i has started */
};

struct task_marks *task_marks_carve(struct memory *memory, uint64_t tasks) {
    const uint64_t words = tasks / WORD_BITS + 1;
    struct task_marks *marks =
        memory_take(memory, sizeof(struct task_marks) + words * sizeof(uint32_t));
    if (marks != NULL) atomic_init(&marks->open, false);
    return marks;
}

/* Sets a bit; true if it was not set. */
static bool claim(_Atomic(uint32_t) *words, uint64_t bit) {
    const uint32_t mask = (uint32_t)1 << bit % WORD_BITS;
    return (atomic_fetch_or(&words[bit / WORD_BITS], mask) & mask) == 0;
}

static void release(_Atomic(uint32_t) *words, uint64_t bit) {
    atomic_fetch_and(&words[bit / WORD_BITS], ~((uint32_t)1 << bit % WORD_BITS));
}

/* What the runner calls: a qsgd_task around the task itself. */
static void run_marked(void *context, uint64_t index, uint32_t worker) {
    struct task_marks *m = context;
    if (!atomic_load(&m->open)) return; /* long over */
    if (index >= m->count) {
        atomic_store(&m->fault, FAULT_TASK);
    } else if (worker >= m->workers) {
        atomic_store(&m->fault, FAULT_WORKER);
    } else if (!claim(m->busy, worker)) {
        atomic_store(&m->fault, FAULT_SHARED);
    } else {
        if (claim(m->done, index)) {
            m->task(m->job, index, worker);
            atomic_fetch_add(&m->finished, 1);
        } else {
            atomic_store(&m->fault, FAULT_REPEATED);
        }
        release(m->busy, worker);
    }
}

static void marks_open(struct task_marks *m, const struct runner *runner, qsgd_task task, void *job,
                       uint64_t count) {
    m->task = task;
    m->job = job;
    m->count = count;
    m->workers = runner->workers;
    atomic_init(&m->fault, FAULT_NONE);
    atomic_init(&m->finished, 0);
    for (unsigned i = 0; i < WORKER_WORDS; i++) atomic_init(&m->busy[i], 0);
    for (uint64_t i = 0; i <= count / WORD_BITS; i++) atomic_init(&m->done[i], 0);
    atomic_store(&m->open, true);
}

static qsgd_status refuse(qsgd_error *error, const char *reason) {
    return error_parameter(error, QSGD_ERR_RUNNER, "runner", reason);
}

qsgd_status runner_run(const struct runner *runner, qsgd_task task, void *job, uint64_t count,
                       qsgd_error *error) {
    if (runner->run == NULL || count < 2) {
        for (uint64_t i = 0; i < count; i++) task(job, i, 0);
        return QSGD_OK;
    }
    struct task_marks *m = runner->marks;
    marks_open(m, runner, task, job, count);
    const qsgd_status status = runner->run(runner->context, run_marked, m, count);
    atomic_store(&m->open, false);
    if (status != QSGD_OK) return refuse(error, "the runner returned another status than QSGD_OK");
    switch (atomic_load(&m->fault)) {
    case FAULT_NONE: break;
    case FAULT_TASK: return refuse(error, "the runner ran a task whose index is not below count");
    case FAULT_REPEATED: return refuse(error, "the runner ran a task twice");
    case FAULT_WORKER: return refuse(error, "the runner named a worker that is not below workers");
    default: return refuse(error, "the runner gave one worker two tasks at a time");
    }
    if (atomic_load(&m->finished) == count) return QSGD_OK;
    return refuse(error, "the runner left out a task, or did not wait for it");
}

qsgd_status runner_check_workers(uint32_t workers, qsgd_error *error) {
    if (workers >= 1 && workers <= QSGD_MAX_WORKERS) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_PARAM, "workers", "workers must lie in 1..256");
}
