/* Whole calls in hostile surroundings: guard pages around every buffer of exactly the size that the
 * queries name, every backend, and a caller who has changed the floating-point environment. Neither
 * changes a byte of a frame or of a value, and the caller's environment is there again afterwards.
 */
#define _DEFAULT_SOURCE
#include <fenv.h>

#include "guard.h"
#include "support.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#define N 1300
#define SOURCES 3 /* plain; float64; float32 with a residual */

static float plain[N];
static double wide[N];
static float left_before[N];

/* All that the library makes of one scheme and source. */
struct results {
    uint8_t frame[8 * N + 4096];
    uint64_t frame_bytes;
    uint8_t again[8 * N + 4096];
    float values[N], sum[N], range[N], dequantized[N], residual[N];
    int16_t indices[N], read_indices[N];
    float scales[N], read_scales[N];
    uint8_t alphas[N], read_alphas[N];
    qsgd_status status[9];
};

struct memory {
    struct guard src, dst, work, frame, values;
    size_t gap; /* 0: buffers end at a guard page; SIZE_MAX: they start at one */
};

static const void *source_of(int source, const struct memory *m, struct qsgd_encode_options *o,
                             struct results *r) {
    qsgd_encode_options_init(o);
    o->nonce = 77;
    size_t bytes = source == 1 ? sizeof wide : sizeof plain;
    void *src = guard_place(m->src, bytes, m->gap);
    memcpy(src, source == 1 ? (const void *)wide : (const void *)plain, bytes);
    if (source == 1) o->dtype = QSGD_FLOAT64;
    if (source == 2) {
        o->residual = r->residual;
        memcpy(r->residual, left_before, sizeof left_before);
    }
    return src;
}

static void decode_all(const struct qsgd_params *p, const struct memory *m, struct results *r) {
    struct qsgd_decode_options d;
    uint64_t work_bytes = 0;
    const size_t frame_bytes = (size_t)r->frame_bytes;
    uint8_t *frame = guard_place(m->frame, frame_bytes, m->gap);
    float *values = guard_place(m->values, sizeof r->values, m->gap);
    memcpy(frame, r->frame, frame_bytes);
    qsgd_decode_options_init(&d);
    d.dtype = QSGD_FLOAT32;
    r->status[1] = qsgd_decode_workspace(frame, frame_bytes, &d, &work_bytes, NULL);
    void *work = guard_place(m->work, (size_t)work_bytes, m->gap);
    r->status[2] = qsgd_decode(frame, frame_bytes, &d, values, N, work, work_bytes, NULL);
    memcpy(r->values, values, sizeof r->values);
    memcpy(values, plain, sizeof plain);
    r->status[3] = qsgd_decode_add(frame, frame_bytes, &d, 0.3F, values, N, work, work_bytes, NULL);
    memcpy(r->sum, values, sizeof r->sum);
    float *part = guard_place(m->values, 700 * sizeof(float), m->gap);
    r->status[4] =
        qsgd_decode_range(frame, frame_bytes, &d, 333, 1033, part, work, work_bytes, NULL);
    memcpy(r->range, part, 700 * sizeof(float));
    if (p->code == QSGD_CODE_RAW) return;
    r->status[5] = qsgd_decode_indices(frame, frame_bytes, &d, r->read_indices, r->read_scales,
                                       r->read_alphas, N, work, work_bytes, NULL);
    uint64_t again_bytes = 0;
    r->status[6] = qsgd_encode_indices(NULL, NULL, frame, frame_bytes, r->read_indices,
                                       r->read_scales, r->read_alphas, N, r->again, frame_bytes,
                                       work, work_bytes, &again_bytes, NULL);
    CHECK(again_bytes == frame_bytes && memcmp(r->again, frame, frame_bytes) == 0);
}

static void run_all(const struct qsgd_params *p, int source, const struct memory *m,
                    struct results *r) {
    struct qsgd_encode_options o;
    memset(r, 0, sizeof *r);
    const void *src = source_of(source, m, &o, r);
    uint64_t bound = qsgd_encode_bound(p, &o, N), work_bytes = qsgd_encode_workspace(p, &o, N);
    void *dst = guard_place(m->dst, (size_t)bound, m->gap);
    void *work = guard_place(m->work, (size_t)work_bytes, m->gap);
    r->status[0] = qsgd_encode(p, &o, src, N, dst, bound, work, work_bytes, &r->frame_bytes, NULL);
    CHECK(r->frame_bytes <= bound && bound <= sizeof r->frame);
    memcpy(r->frame, dst, (size_t)r->frame_bytes);
    decode_all(p, m, r);
    if (p->code == QSGD_CODE_RAW) return;
    o.residual = NULL;
    r->status[7] =
        qsgd_quantize(p, &o, src, N, r->indices, r->scales, r->alphas, work, work_bytes, NULL);
    r->status[8] = qsgd_dequantize(p, o.nonce, r->indices, r->scales, r->alphas, N, QSGD_FLOAT32,
                                   r->dequantized, work, work_bytes, NULL);
}

static void fill_sources(void) {
    fill_tensor(plain, N, 3);
    for (int i = 0; i < N; i++) {
        uint32_t tiny = (uint32_t)i * 3;
        if (i / 100 == 4) memcpy(&plain[i], &tiny, 4); /* a bucket of subnormals */
        if (i / 100 == 6) plain[i] *= 0x1p120F;
        if (i / 100 == 8) plain[i] *= 0x1p-100F;
        wide[i] = (double)plain[i] * (1.0 + 1e-9 * i);
        left_before[i] = plain[(i * 7) % N] * 0.37F;
    }
    memset(plain + 900, 0, 100 * sizeof *plain);
}

/* ---- the caller's environments --------------------------------------------------------------- */

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
#define ENVIRONMENTS 7

static const int environment_mode[ENVIRONMENTS] = {0, 1, 2, 3, 0, 1, 0};

static void environment_set(int e) {
    fesetround(modes[environment_mode[e]]);
#if defined(__SSE__)
    if (e == 4) _mm_setcsr(0x1F80 | 0x8040); /* flush to zero, both ways */
    if (e == 5) _mm_setcsr(0x1F80 | 0x8040 | _MM_ROUND_UP);
    if (e == 6) _mm_setcsr(0x1000); /* every exception but inexact traps, toward nearest */
#endif
}

static void environment_check(int e) {
    CHECK(fegetround() == modes[environment_mode[e]]);
#if defined(__SSE__)
    unsigned control = _mm_getcsr() & ~0x3FU; /* without the flags of what happened */
    if (e == 4) CHECK(control == (0x1F80 | 0x8040));
    if (e == 5) CHECK(control == (0x1F80 | 0x8040 | _MM_ROUND_UP));
    if (e == 6) CHECK(control == 0x1000);
#endif
}

static void environment_reset(void) {
#if defined(__SSE__)
    _mm_setcsr(0x1F80);
#endif
    fesetround(FE_TONEAREST);
}

static void same_results(const struct results *a, const struct results *b) {
    CHECK(a->frame_bytes == b->frame_bytes);
    CHECK(memcmp(a->frame, b->frame, sizeof a->frame) == 0);
    CHECK(memcmp(a->values, b->values, sizeof a->values) == 0);
    CHECK(memcmp(a->sum, b->sum, sizeof a->sum) == 0);
    CHECK(memcmp(a->range, b->range, sizeof a->range) == 0);
    CHECK(memcmp(a->residual, b->residual, sizeof a->residual) == 0);
    CHECK(memcmp(a->indices, b->indices, sizeof a->indices) == 0);
    CHECK(memcmp(a->scales, b->scales, sizeof a->scales) == 0);
    CHECK(memcmp(a->alphas, b->alphas, sizeof a->alphas) == 0);
    CHECK(memcmp(a->dequantized, b->dequantized, sizeof a->dequantized) == 0);
    CHECK(memcmp(a->status, b->status, sizeof a->status) == 0);
}

/* What one result must agree on with itself. */
static void consistent(const struct qsgd_params *p, int source, const struct results *r) {
    for (int i = 0; i < 9; i++) CHECK(r->status[i] == QSGD_OK);
    CHECK(memcmp(r->range, r->values + 333, 700 * sizeof(float)) == 0);
    if (p->code == QSGD_CODE_RAW || source == 2) return;
    CHECK(memcmp(r->indices, r->read_indices, sizeof r->indices) == 0);
    CHECK(memcmp(r->scales, r->read_scales, sizeof r->scales) == 0);
    CHECK(memcmp(r->dequantized, r->values, sizeof r->values) == 0);
}

static struct results expected, got;

static void check_scheme(const struct qsgd_params *p, struct memory *m) {
    for (int source = 0; source < SOURCES; source++) {
        m->gap = 0;
        run_all(p, source, m, &expected);
        consistent(p, source, &expected);
        m->gap = SIZE_MAX;
        run_all(p, source, m, &got);
        same_results(&expected, &got);
        for (uint32_t i = 0; qsgd_backends(i, NULL) != NULL; i++) {
            if (qsgd_set_backend(qsgd_backends(i, NULL)) != QSGD_OK) continue;
            run_all(p, source, m, &got);
            same_results(&expected, &got);
        }
        qsgd_set_backend("auto");
        for (int e = 0; e < ENVIRONMENTS; e++) {
            environment_set(e);
            run_all(p, source, m, &got);
            environment_check(e);
            environment_reset();
            same_results(&expected, &got);
        }
    }
}

int main(void) {
    struct memory m = {guard_new(sizeof wide),       guard_new(sizeof got.frame),
                       guard_new((size_t)1 << 22),   guard_new(sizeof got.frame),
                       guard_new(sizeof got.values), 0};
    fill_sources();
    for (size_t i = 0; i < SCHEMES; i++) {
        struct qsgd_params p = scheme_params(&schemes[i]);
        check_scheme(&p, &m);
        if (p.code == QSGD_CODE_RAW) continue;
        set_bucket(&p, 0); /* a bucket longer than a chunk */
        p.scale = QSGD_SCALE_FLOAT32;
        check_scheme(&p, &m);
    }
    guard_free(m.src);
    guard_free(m.dst);
    guard_free(m.work);
    guard_free(m.frame);
    guard_free(m.values);
    return check_result();
}
