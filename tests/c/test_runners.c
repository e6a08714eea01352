/* Runners that are right, and runners that are wrong, for every call that takes one (qsgd.h): the
 * first change no byte, the second never end in QSGD_OK over what was in memory before. */
#define _DEFAULT_SOURCE
#include <pthread.h>

#include "pipeline/runner.h"
#include "runners_support.h"

#define N 5000
#define WORKERS 4

static float x[MOST_ELEMENTS];

/* ---- runners --------------------------------------------------------------------------------- */

enum fault {
    FAULT_NONE,
    FAULT_NOTHING,      /* runs no task */
    FAULT_SKIPS,        /* leaves out the one at `position` */
    FAULT_INSTEAD,      /* runs its neighbour in its place, twice */
    FAULT_BESIDE,       /* runs it twice, and all others */
    FAULT_AT_COUNT,     /* runs a task past the last, in its place */
    FAULT_PAST_COUNT,   /* and beside it */
    FAULT_FAR,          /* UINT64_MAX */
    FAULT_WORKER,       /* names worker `workers` for it */
    FAULT_WORKER_FAR,   /* UINT32_MAX */
    FAULT_ERROR_BEFORE, /* returns a status, and runs nothing */
    FAULT_ERROR_AFTER,  /* after all */
    FAULT_ERROR_OWN,    /* a number of its own after all */
    FAULTS
};

struct faulty {
    enum fault fault;
    uint64_t at_call, position; /* of the fault */
    uint64_t calls, count;      /* so far; of the call `at_call` */
};

static qsgd_status run_wrongly(struct faulty *r, qsgd_task task, void *job, uint64_t count) {
    const uint64_t position = r->position % count;
    if (r->fault == FAULT_NOTHING) return QSGD_OK;
    if (r->fault == FAULT_ERROR_BEFORE) return QSGD_ERR_MEMORY;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = i;
        uint32_t worker = (uint32_t)(i % WORKERS);
        if (i == position) {
            if (r->fault == FAULT_SKIPS || (r->fault == FAULT_INSTEAD && count == 1)) continue;
            if (r->fault == FAULT_INSTEAD) index = (i + 1) % count;
            if (r->fault == FAULT_AT_COUNT) index = count;
            if (r->fault == FAULT_FAR) index = UINT64_MAX;
            if (r->fault == FAULT_WORKER) worker = WORKERS;
            if (r->fault == FAULT_WORKER_FAR) worker = UINT32_MAX;
            if (r->fault == FAULT_BESIDE) task(job, index, worker);
            if (r->fault == FAULT_PAST_COUNT) task(job, count + 31, worker);
        }
        task(job, index, worker);
    }
    if (r->fault == FAULT_ERROR_AFTER) return QSGD_ERR_CHUNK;
    return r->fault == FAULT_ERROR_OWN ? 1 : QSGD_OK;
}

static qsgd_status run_once_wrongly(void *context, qsgd_task task, void *job, uint64_t count) {
    struct faulty *r = context;
    if (r->calls++ == r->at_call) {
        r->count = count;
        if (r->fault != FAULT_NONE) return run_wrongly(r, task, job, count);
    }
    for (uint64_t i = 0; i < count; i++) task(job, i, 0);
    return QSGD_OK;
}

static qsgd_status run_backward(void *context, qsgd_task task, void *job, uint64_t count) {
    ((struct faulty *)context)->calls++;
    for (uint64_t i = count; i-- > 0;) task(job, i, (uint32_t)(i % WORKERS));
    return QSGD_OK;
}

struct share {
    qsgd_task task;
    void *job;
    uint64_t count;
    uint32_t first, step, worker; /* tasks first, first + step .. */
    pthread_barrier_t *start;
};

static void *run_share(void *argument) {
    const struct share *s = argument;
    if (s->start != NULL) pthread_barrier_wait(s->start);
    for (uint64_t i = s->first; i < s->count; i += s->step) s->task(s->job, i, s->worker);
    return NULL;
}

static qsgd_status run_threads(void *context, qsgd_task task, void *job, uint64_t count) {
    pthread_t threads[WORKERS];
    struct share shares[WORKERS];
    ((struct faulty *)context)->calls++;
    for (uint32_t w = 0; w < WORKERS; w++) {
        shares[w] = (struct share){task, job, count, w, WORKERS, WORKERS - 1 - w, NULL};
        if (pthread_create(&threads[w], NULL, run_share, &shares[w]) != 0) abort();
    }
    for (int w = 0; w < WORKERS; w++) pthread_join(threads[w], NULL);
    return QSGD_OK;
}

/* Two threads, and one worker for both. */
static qsgd_status run_shared_worker(void *context, qsgd_task task, void *job, uint64_t count) {
    pthread_t threads[2];
    struct share shares[2];
    pthread_barrier_t start;
    ((struct faulty *)context)->calls++;
    if (pthread_barrier_init(&start, NULL, 2) != 0) abort();
    for (uint32_t t = 0; t < 2; t++) {
        shares[t] = (struct share){task, job, count, t, 2, 3, &start};
        if (pthread_create(&threads[t], NULL, run_share, &shares[t]) != 0) abort();
    }
    for (int t = 0; t < 2; t++) pthread_join(threads[t], NULL);
    pthread_barrier_destroy(&start);
    return QSGD_OK;
}

/* ---- what comes of them ---------------------------------------------------------------------- */

static uint8_t *expected;
static uint64_t expected_bytes;

static void set_runner(struct world *w, qsgd_runner run, struct faulty *r) {
    w->encode.runner = w->decode.runner = run;
    w->encode.runner_context = w->decode.runner_context = r;
}

static qsgd_status call(struct world *w, world_call run, qsgd_error *error) {
    memset(w->out, STALE, (size_t)expected_bytes);
    return run(w, error);
}

static bool as_expected(const struct world *w) {
    return w->out_bytes == expected_bytes && memcmp(w->out, expected, (size_t)expected_bytes) == 0;
}

/* Without a runner; then by right ones. Returns how often the call asks a runner. */
static uint64_t right_runners_change_no_byte(struct world *w, size_t c) {
    static const qsgd_runner right[] = {run_backward, run_threads, run_once_wrongly};
    struct faulty r = {FAULT_NONE, UINT64_MAX, 0, 0, 0};
    set_runner(w, NULL, NULL);
    expected_bytes = OUT_BYTES;
    CHECK(call(w, world_calls[c].run, NULL) == QSGD_OK);
    expected_bytes = w->out_bytes;
    memcpy(expected, w->out, (size_t)w->out_bytes);
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        r.calls = 0;
        set_runner(w, right[i], &r);
        CHECK(call(w, world_calls[c].run, NULL) == QSGD_OK && as_expected(w));
    }
    return r.calls;
}

static void one_fault_is_refused(struct world *w, size_t c, struct faulty *r) {
    qsgd_error error = error_new();
    r->calls = 0;
    set_runner(w, run_once_wrongly, r);
    const qsgd_status status = call(w, world_calls[c].run, &error);
    if (status == QSGD_ERR_RUNNER && error_names(&error, QSGD_ERR_RUNNER, "runner")) return;
    fprintf(stderr, "%s of code %d: fault %d of task %d in call %d of %d tasks: %s\n",
            world_calls[c].name, (int)w->params.code, (int)r->fault, (int)r->position,
            (int)r->at_call, (int)r->count, qsgd_status_name(status));
    check_failures++;
}

static void wrong_runners_are_refused(struct world *w, size_t c, uint64_t calls) {
    for (uint64_t at = 0; at < calls; at++) {
        for (int fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
            struct faulty r = {(enum fault)fault, at, 0, 0, 1};
            const bool everywhere = fault == FAULT_SKIPS || fault == FAULT_INSTEAD;
            do {
                one_fault_is_refused(w, c, &r);
                r.position += everywhere || r.position + 1 >= r.count ? 1 : r.count - 1;
            } while (r.position < r.count && fault != FAULT_NOTHING);
        }
    }
    struct faulty none = {FAULT_NONE, 0, 0, 0, 0};
    set_runner(w, run_once_wrongly, &none); /* and nothing of that is left */
    CHECK(call(w, world_calls[c].run, NULL) == QSGD_OK && as_expected(w));
}

static void try_params(const qsgd_params *params) {
    struct world w;
    world_open(&w, params, x, N);
    for (size_t c = 0; c < WORLD_CALLS; c++) {
        if (params->code == QSGD_CODE_RAW && !world_calls[c].raw) continue;
        if (params->code == QSGD_CODE_AUTO && world_calls[c].run == run_encode_indices) continue;
        const uint64_t calls = right_runners_change_no_byte(&w, c);
        CHECK((calls > 0) == world_calls[c].asks);
        wrong_runners_are_refused(&w, c, calls);
    }
    world_close(&w);
}

/* One chunk: whatever the runner would do of it, the result is right or refused. */
static void a_single_task_is_run_or_refused(void) {
    qsgd_params params = scheme_params(&schemes[16]);
    struct world w;
    world_open(&w, &params, x, 500);
    for (size_t c = 0; c < WORLD_CALLS; c++) {
        right_runners_change_no_byte(&w, c);
        for (int fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
            struct faulty r = {(enum fault)fault, 0, 0, 0, 0};
            set_runner(&w, run_once_wrongly, &r);
            const qsgd_status status = call(&w, world_calls[c].run, NULL);
            CHECK(r.calls > 0 ? status == QSGD_ERR_RUNNER : status == QSGD_OK && as_expected(&w));
        }
    }
    world_close(&w);
}

/* No task at all. */
static void empty_tensors_need_no_runner(void) {
    qsgd_params params = scheme_params(&schemes[16]);
    struct world w;
    world_open(&w, &params, x, 0);
    for (size_t c = 0; c < WORLD_CALLS; c++) {
        struct faulty r = {FAULT_ERROR_BEFORE, 0, 0, 0, 0};
        set_runner(&w, run_once_wrongly, &r);
        const qsgd_status status = world_calls[c].run(&w, NULL);
        CHECK(status == QSGD_OK || (status == QSGD_ERR_RUNNER && r.calls > 0));
    }
    world_close(&w);
}

/* Two threads that meet in one worker's memory: seen where they do, and else nothing happened. */
static void workers_that_are_shared_are_refused(void) {
    qsgd_params params = scheme_params(&schemes[16]);
    struct world w;
    params.chunk_log2 = 14;
    world_open(&w, &params, x, MOST_ELEMENTS);
    for (size_t c = 0; c < WORLD_CALLS; c++) {
        if (!world_calls[c].asks) continue;
        right_runners_change_no_byte(&w, c);
        for (int round = 0; round < 20; round++) {
            struct faulty r = {FAULT_NONE, 0, 0, 0, 0};
            set_runner(&w, run_shared_worker, &r);
            const qsgd_status status = call(&w, world_calls[c].run, NULL);
            CHECK(status == QSGD_ERR_RUNNER || (status == QSGD_OK && as_expected(&w)));
        }
    }
    world_close(&w);
}

static struct {
    qsgd_task task;
    void *job;
} watched;

/* Hands its worker another task before its own is over. */
static void nests(void *job, uint64_t index, uint32_t worker) {
    (void)job;
    if (index == 0) watched.task(watched.job, 1, worker);
}

static qsgd_status run_and_keep(void *context, qsgd_task task, void *job, uint64_t count) {
    (void)context;
    watched.task = task;
    watched.job = job;
    for (uint64_t i = 0; i < count; i++) task(job, i, 0);
    return QSGD_OK;
}

static void workers_with_two_tasks_at_a_time_are_refused(void) {
    static _Alignas(64) uint8_t bytes[1024];
    struct memory memory = {bytes, 0};
    const struct runner r = {run_and_keep, NULL, 1, task_marks_carve(&memory, 3)};
    qsgd_error error = error_new();
    CHECK(memory.used <= sizeof bytes);
    CHECK(runner_run(&r, nests, NULL, 3, &error) == QSGD_ERR_RUNNER);
    CHECK(error.parameter != NULL && strcmp(error.parameter, "runner") == 0);
    watched.task(watched.job, 0, 0); /* late: nothing happens */
}

int main(void) {
    workers_with_two_tasks_at_a_time_are_refused();
    expected = malloc(OUT_BYTES);
    fill_tensor(x, MOST_ELEMENTS, 11);
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params params = scheme_params(&schemes[i]);
        try_params(&params);
        if (i % 4 != 0 || params.rotation != 0) continue;
        params.bucket = 0; /* one scale, of all chunks */
        try_params(&params);
        if (params.code == QSGD_CODE_RAW || params.rounding == QSGD_ROUND_TOPK) continue;
        params.code = QSGD_CODE_AUTO;
        try_params(&params);
    }
    a_single_task_is_run_or_refused();
    empty_tensors_need_no_runner();
    workers_that_are_shared_are_refused();
    free(expected);
    return check_result();
}
