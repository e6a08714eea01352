#include "pipeline/target.h"

#include "base/fpenv.h"
#include "base/steps.h"
#include "codes/logarithms.h"
#include "frame/frame.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/trial.h"

#define WHOLE_FRAMES 4096 /* from so many elements on headers count */
#define COARSE_LOG2 14    /* elements of the first sample, at least, */
#define MIDDLE_LOG2 17    /* of one between, */
#define FINE_LOG2 18      /* and of the last, whose number grows with the root of the tensor's */
#define STAGES 3

/* ---- what is wanted -------------------------------------------------------------------------- */

double target_bits_of(const struct encode_call *call, const struct layout *layout,
                      double payload_bytes) {
    qsgd_encode_options untagged = call->options;
    struct frame frame;
    const uint64_t n = layout->n;
    untagged.tag_bytes = 0;
    untagged.origin = 0; /* parts of a tensor are as long */
    frame_place(&frame, layout, header_bytes_of(&call->params, &untagged),
                call->params.checksum != 0);
    const double before = n < WHOLE_FRAMES ? 0 : (double)frame.payload_offset;
    return (before + payload_bytes) * 8 / (double)n;
}

/* The wanted logarithm, in units of 2^-16, and how many steps of 2^(1 / 1024) an octave of it is
 * away, about. */
struct goal {
    bool error;
    int64_t wanted;
    int64_t slope;
};

static struct goal goal_of(const qsgd_params *p) {
    if (p->target_error > 0) return (struct goal){true, fine_lg(p->target_error), 512};
    const double slope = 0.6875 * p->target_bits; /* log2 of b falls by 1 / (b ln 2) an octave, */
    return (struct goal){false, fine_lg(p->target_bits),
                         -(int64_t)(1024 * (slope > 1.375 ? slope : 1.375))}; /* or less */
}

static int32_t clamped(int64_t number) {
    if (number < STEP_NUMBER_LEAST) return STEP_NUMBER_LEAST;
    return number > STEP_NUMBER_MOST ? STEP_NUMBER_MOST : (int32_t)number;
}

/* Where the search starts: what normal numbers need, about. */
static int32_t first_number(const qsgd_params *p, const struct goal *g) {
    const int64_t two = 1 << 16, twelve = 234943; /* their logarithms */
    if (g->error) return clamped(512 * (g->wanted + twelve) / 65536);
    if (g->wanted <= two) return clamped(1230 * (two - g->wanted) / 65536);
    return clamped((int64_t)(1024 * (2 - p->target_bits)));
}

float target_step_after(const qsgd_params *params, const qsgd_encode_report *last) {
    fpenv env = fpenv_enter();
    const struct goal g = goal_of(params);
    const double bytes =
        (double)(last->elements < WHOLE_FRAMES ? last->payload_bytes : last->frame_bytes);
    const double came = g.error ? last->error : bytes * 8 / (double)last->elements;
    int64_t by = came > 0 ? (g.wanted - fine_lg(came)) * g.slope / 65536 : 0;
    fpenv_leave(env);
    by = by > 1024 ? 1024 : (by < -1024 ? -1024 : by);
    return step_of_number(clamped(step_number((float)last->step) + by));
}

/* ---- the search ------------------------------------------------------------------------------ */

/* By secants; within a sample, also between what was too little and too much. */
struct step_search {
    struct goal goal;
    int32_t number, before;      /* of the step to try, and of the one tried last */
    int64_t value, below, above; /* at `before`; numbers that came out below and above */
    bool tried, has_below, has_above;
};

/* The slope by two points, if it has the right sign; steep and flat ones are not believed. */
static void search_learn(struct step_search *s, int64_t value) {
    const int64_t run = s->number - s->before, rise = value - s->value;
    if (!s->tried || run == 0 || rise == 0) return;
    const int64_t slope = run * 65536 / rise;
    if ((slope > 0) != s->goal.error) return;
    const int64_t size = slope < 0 ? -slope : slope;
    const int64_t held = size < 256 ? 256 : (size > 16384 ? 16384 : size);
    s->goal.slope = slope < 0 ? -held : held;
}

/* The number to try after that value at s->number. */
static void search_next(struct step_search *s, int64_t value) {
    search_learn(s, value);
    const int64_t miss = s->goal.wanted - value;
    int64_t next = s->number + miss * s->goal.slope / 65536;
    if (miss > 0) {
        s->below = s->number;
        s->has_below = true;
    } else {
        s->above = s->number;
        s->has_above = true;
    }
    if (s->has_below && s->has_above) {
        const int64_t low = s->below < s->above ? s->below : s->above;
        const int64_t high = s->below < s->above ? s->above : s->below;
        if (next < low || next > high) next = low + (high - low) / 2;
    }
    s->before = s->number;
    s->value = value;
    s->tried = true;
    s->number = clamped(next);
}

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
    *none = (p->norm == QSGD_NORM_BALANCED || p->bucket == 0) && !(rms > 0 && rms < 0x1p128);
    fpenv_leave(env);
    return rms;
}

/* What there is to search in: one tensor, its goal, its samples. */
struct hunt {
    struct trials trials;
    struct step_search search;
    struct layout layout;    /* of the tensor */
    struct chunk_loss given; /* of the tensor, if an error is the target */
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
    s->tried = s->has_below = s->has_above = false;
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
        search_next(s, value);
        if (miss <= stage->tolerance || stage->most == 1) return QSGD_OK;
        if (s->number == s->before) break;
    }
    const bool short_of_bits = !s->goal.error && !s->has_above; /* the finest step is no worse */
    s->number = short_of_bits ? least : best_number;
    return QSGD_OK;
}

uint64_t target_bytes(const struct encode_call *call, const struct quantizer *q) {
    struct stage stages[STAGES];
    if (q->layout.n == 0) return 0;
    const unsigned count = stages_of(&call->params, q->layout.n, 1, stages);
    uint64_t most = 0;
    for (unsigned i = 0; i < count; i++) {
        const uint64_t bytes = trial_bytes(call, &stages[i].sample);
        if (bytes > most) most = bytes;
    }
    return before_chunks_sums_bytes(call, q) + most;
}

qsgd_status target_find(struct before_chunks *f, struct encode_call *call, qsgd_memory workspace,
                        uint32_t *trials, qsgd_error *error) {
    struct stage stages[STAGES];
    bool none;
    qsgd_status status = before_chunks_open(f, call, workspace, error);
    if (status == QSGD_OK) status = before_chunks_sums(f, error);
    if (status != QSGD_OK) return status;
    struct hunt h = {.layout = f->t.q.layout};
    const uint64_t n = h.layout.n, sums = before_chunks_sums_bytes(call, &f->t.q);
    const uint64_t pad = (0 - (uint64_t)(uintptr_t)workspace.data) & MEMORY_SLACK;
    fpenv env = fpenv_enter();
    h.search.goal = goal_of(&call->params);
    fpenv_leave(env);
    h.trials = (struct trials){.f = f, .call = call, .n = n};
    h.trials.workspace =
        (qsgd_memory){(uint8_t *)workspace.data + pad + sums, workspace.bytes - pad - sums};
    status = find_given(&h, error);
    if (status != QSGD_OK) return status;
    const double rms = tensor_rms_of(f, &none);
    h.search.number = none ? 0 : first_number(&call->params, &h.search.goal);
    const unsigned count = n == 0 || none ? 0 : stages_of(&call->params, n, rms, stages);
    const int32_t first = h.search.number;
    for (unsigned i = 0; i < count && status == QSGD_OK; i++) {
        const int32_t number = h.search.number;
        const bool lost =
            number == STEP_NUMBER_LEAST || number == STEP_NUMBER_MOST; /* in a poor sample */
        if (lost) h.search.number = first;
        status = stage_run(&h, &stages[i], error);
    }
    call->params.step = step_of_number(h.search.number);
    *trials = h.count;
    return status;
}
