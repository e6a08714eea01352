#include "pipeline/target.h"

#include "base/fpenv.h"
#include "base/steps.h"
#include "codes/logarithms.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/slot.h"
#include "pipeline/step_search.h"
#include "pipeline/trial.h"

#define WHOLE_FRAMES 4096 /* from so many elements on headers count */
#define COARSE_LOG2 14    /* elements of the first sample, at least, */
#define MIDDLE_LOG2 17    /* of one between, */
#define FINE_LOG2 18      /* and of the last, whose number grows with the root of the tensor's */
#define STAGES 3

/* ---- what is wanted -------------------------------------------------------------------------- */

double target_bits_of(const struct encode_call *call, const struct layout *layout,
                      double payload_bytes) {
    const uint64_t n = layout->n;
    const uint64_t before = header_payload_offset(layout, &call->params, &call->options);
    return ((n < WHOLE_FRAMES ? 0 : (double)before) + payload_bytes) * 8 / (double)n;
}

/* Half as much again, or less: then the last frame's step is as good as found. */
#define NEAR_LAST 38336

/* The number of the step after a frame that came to what `last` says. False if that is far from
 * what is wanted. */
static bool number_after(const struct goal *g, const qsgd_encode_report *last, int32_t *number) {
    fpenv env = fpenv_enter();
    const double bytes =
        (double)(last->elements < WHOLE_FRAMES ? last->payload_bytes : last->frame_bytes);
    const double came = g->error ? last->error : bytes * 8 / (double)last->elements;
    const int64_t miss = came > 0 ? g->wanted - fine_lg(came) : 0;
    fpenv_leave(env);
    *number = step_clamped(step_number((float)last->step) + miss * g->slope / 65536);
    return miss <= NEAR_LAST && -miss <= NEAR_LAST;
}

/* ---- samples --------------------------------------------------------------------------------- */

/* A sample, when it has told enough, and how often it may be asked. */
struct stage {
    struct sample sample;
    int64_t tolerance;
    uint32_t most;
};

/* Fewer elements first, so that most are tried but once. */
static unsigned stages_of(const qsgd_params *params, uint64_t n, double rms,
                          struct stage stages[STAGES]) {
    const unsigned size = floor_log2(n);
    const unsigned coarse = size < COARSE_LOG2 ? 0 : size - COARSE_LOG2;
    const unsigned middle = size < MIDDLE_LOG2 ? 0 : size - MIDDLE_LOG2;
    /* What nearest rounding loses, few large elements may decide, which are in no sample. */
    const bool all = params->target_error > 0 && params->rounding == QSGD_ROUND_NEAREST;
    const unsigned fine = size < FINE_LOG2 || all ? 0 : (size - FINE_LOG2) / 2;
    struct stage *s = stages;
    if (coarse > fine) {
        sample_init(&s->sample, params, n, coarse, rms);
        s->tolerance = 2900; /* 3 % */
        s++->most = 8;
    }
    if (middle > fine + 1) {
        sample_init(&s->sample, params, n, middle, rms);
        s->tolerance = 0;
        s++->most = 1;
    }
    sample_init(&s->sample, params, n, fine, rms);
    s->tolerance = s == stages ? 290 : 2900; /* where samples are small, more often */
    s->most = s == stages || all ? 12 : 4;
    return (unsigned)(s - stages) + 1;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The root mean square that trials are told, as they see a part of the tensor; 0 if they need none,
 * or there is none. */
static double tensor_rms_of(struct before_chunks *f, bool *none) {
    struct tensor *const t = &f->t;
    const qsgd_params *p = &t->q.params;
    double rms = 0;
    *none = false;
    if (p->reference > 0) return 0;
    fpenv env = fpenv_enter();
    if (p->norm == QSGD_NORM_BALANCED) {
        tensor_total_store(t);
        rms = t->q.tensor_rms;
    } else if (p->bucket == 0) {
        rms = tensor_rms(t, &f->workers[0].quantize);
    }
    *none = p->bucket == 0 ? !(rms > 0 && rms < 0x1p128) : !(rms < 0x1p128);
    fpenv_leave(env);
    return rms;
}

/* What there is to search in: one tensor, its goal, its samples. */
struct hunt {
    struct trials trials;
    struct step_search search;
    struct layout layout;    /* of the tensor */
    struct chunk_loss given; /* of the tensor, if an error is the target */
    int64_t slot;            /* what of a slot is wanted, if there is one */
    uint32_t count;
};

static void task_given(void *context, uint64_t chunk, uint32_t worker) {
    struct before_chunks *f = context;
    fpenv env = fpenv_enter();
    const struct chunk_span span = layout_chunk(&f->t.q.layout, chunk);
    f->losses[chunk] = measure_given(&f->t, &span, &f->workers[worker].quantize);
    fpenv_leave(env);
}

/* Few buckets may hold most of a tensor's energy, or lose most: the sample stands for the rest by
 * its share. */
static qsgd_status find_given(struct hunt *h, qsgd_error *error) {
    struct before_chunks *const f = h->trials.f;
    if (!h->search.goal.error) return QSGD_OK;
    const qsgd_status status = runner_run(&f->runner, task_given, f, h->layout.chunks, error);
    if (status != QSGD_OK) return status;
    fpenv env = fpenv_enter();
    h->given = before_chunks_loss(f);
    fpenv_leave(env);
    return status;
}

static int64_t value_of(const struct hunt *h, const struct trial_result *r) {
    if (!h->search.goal.error) {
        return fine_lg(target_bits_of(h->trials.call, &h->layout, r->payload_bytes));
    }
    if (!(r->loss.share > 0 && h->given.energy > 0)) return fine_lg(0);
    return fine_lg(r->loss.error / r->loss.share * h->given.share / h->given.energy);
}

static int64_t size_of(int64_t v) { return v < 0 ? -v : v; }

/* Asks a sample until it is near enough: its next guess is not tried, then. Otherwise the best that
 * it saw stands, as of a value that jumps. */
static qsgd_status stage_run(struct hunt *h, const struct stage *stage, qsgd_error *error) {
    struct step_search *const s = &h->search;
    int64_t best = INT64_MAX;
    int32_t best_number = s->number, least = s->number;
    step_search_begin(s);
    for (uint32_t i = 0; i < stage->most; i++) {
        struct trial_result result;
        const qsgd_status status =
            trial_run(&h->trials, &stage->sample, step_of_number(s->number), &result, error);
        if (status != QSGD_OK) return status;
        h->count++;
        fpenv env = fpenv_enter();
        const int64_t value = value_of(h, &result);
        fpenv_leave(env);
        const int64_t miss = size_of(s->goal.wanted - value);
        if (miss < best) {
            best = miss;
            best_number = s->number;
        }
        if (s->number < least) least = s->number;
        step_search_next(s, value);
        if (miss <= stage->tolerance || stage->most == 1) return QSGD_OK;
        if (s->number == s->before) break;
    }
    const bool short_of_bits = !s->goal.error && !s->has_above; /* the finest step is no worse */
    s->number = short_of_bits ? least : best_number;
    return QSGD_OK;
}

/* The frames of a slot are tried whole: the finest step whose frames fit, 8 standard deviations
 * above their mean. */
static qsgd_status slot_run(struct hunt *h, const struct sample *sample, uint32_t most, bool *found,
                            qsgd_error *error) {
    struct step_search *const s = &h->search;
    int32_t best = STEP_NUMBER_MOST;
    s->goal.wanted = h->slot;
    *found = false;
    step_search_begin(s);
    for (uint32_t i = 0; i < most; i++) {
        struct trial_result result;
        const int32_t number = s->number;
        const qsgd_status status =
            trial_run(&h->trials, sample, step_of_number(number), &result, error);
        if (status != QSGD_OK) return status;
        h->count++;
        fpenv env = fpenv_enter();
        const int64_t value = slot_value(h->trials.call, &h->layout, &result);
        fpenv_leave(env);
        const bool fits = value <= h->slot;
        if (fits && number < best) best = number;
        *found |= fits;
        step_search_next(s, value);
        if (!s->has_below) { /* the larger step, in octaves, until one fits */
            const int32_t more = step_clamped((int64_t)number + 1024);
            if (s->number < more) s->number = more;
        }
        const int64_t apart = s->has_below && s->has_above ? size_of(s->below - s->above) : 1024;
        if ((fits && h->slot - value <= 290) || apart <= 8 || s->number == number) break;
    }
    s->number = best;
    return QSGD_OK;
}

static unsigned samples_of(const qsgd_params *params, uint64_t n, double rms,
                           struct stage stages[STAGES + 1]) {
    const unsigned count = stages_of(params, n, rms, stages);
    if (params->slot != 0) sample_init(&stages[count].sample, params, n, 0, rms);
    return count;
}

uint64_t target_bytes(const struct encode_call *call, const struct quantizer *q) {
    struct stage stages[STAGES + 1];
    if (q->layout.n == 0) return 0;
    const unsigned count = samples_of(&call->params, q->layout.n, 1, stages);
    uint64_t most = 0;
    for (unsigned i = 0; i < count + (call->params.slot != 0); i++) {
        const uint64_t bytes = trial_bytes(call, &stages[i].sample);
        if (bytes > most) most = bytes;
    }
    return before_chunks_sums_bytes(call, q) + most;
}

/* Memory of trials, and what they are told of the tensor. */
static qsgd_status hunt_open(struct hunt *h, struct before_chunks *f, struct encode_call *call,
                             qsgd_memory workspace, qsgd_error *error) {
    qsgd_status status = before_chunks_open(f, call, workspace, error);
    if (status == QSGD_OK) status = before_chunks_sums(f, error);
    if (status != QSGD_OK) return status;
    const uint64_t sums = before_chunks_sums_bytes(call, &f->t.q);
    const uint64_t pad = (0 - (uint64_t)(uintptr_t)workspace.data) & MEMORY_SLACK;
    h->layout = f->t.q.layout;
    h->trials = (struct trials){.f = f, .call = call, .n = h->layout.n};
    h->trials.workspace =
        (qsgd_memory){(uint8_t *)workspace.data + pad + sums, workspace.bytes - pad - sums};
    return find_given(h, error);
}

static qsgd_status stages_run(struct hunt *h, const struct stage *stages, unsigned count,
                              qsgd_error *error) {
    const int32_t first = h->search.number;
    qsgd_status status = QSGD_OK;
    for (unsigned i = 0; i < count && status == QSGD_OK; i++) {
        const int32_t number = h->search.number;
        const bool lost = number == STEP_NUMBER_LEAST || number == STEP_NUMBER_MOST;
        if (lost) h->search.number = first; /* in a poor sample */
        status = stage_run(h, &stages[i], error);
    }
    return status;
}

qsgd_status target_find(struct before_chunks *f, struct encode_call *call,
                        const qsgd_encode_report *last, qsgd_memory workspace, uint32_t *trials,
                        qsgd_error *error) {
    struct stage stages[STAGES + 1];
    struct hunt h = {.count = 0};
    const uint64_t n = f->t.q.layout.n;
    const bool slot = call->params.slot != 0;
    bool none, found = false;
    int32_t after = 0;
    fpenv env = fpenv_enter();
    h.search.goal = goal_of(&call->params);
    if (slot && n > 0) h.slot = slot_wanted(call, &f->t.q.layout);
    fpenv_leave(env);
    const bool near = last != NULL && number_after(&h.search.goal, last, &after);
    call->params.step = step_of_number(after);
    if (n == 0 || (near && !slot)) return QSGD_OK;
    qsgd_status status = hunt_open(&h, f, call, workspace, error);
    if (status != QSGD_OK) return status;
    const double rms = tensor_rms_of(f, &none);
    const unsigned count = none ? 0 : samples_of(&call->params, n, rms, stages);
    const struct sample *const whole = &stages[count].sample;
    const int64_t wanted = h.search.goal.wanted;
    if (near && !none) {
        h.search.number = after;
        status = slot_run(&h, whole, 1, &found, error);
    }
    if (status == QSGD_OK && !found) {
        h.search.goal.wanted = wanted;
        h.search.number = none ? 0 : step_first(&call->params, &h.search.goal);
        status = stages_run(&h, stages, count, error);
        if (status == QSGD_OK && slot && !none) status = slot_run(&h, whole, 24, &found, error);
    }
    call->params.step = step_of_number(h.search.number);
    *trials = h.count;
    return status;
}
