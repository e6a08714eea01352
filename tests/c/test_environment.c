/* Whole calls in hostile surroundings: guard pages around every buffer of exactly the size that the
 * queries name, every backend, and a caller who has changed the floating-point environment. Neither
 * changes a byte of a frame or of a value, and the caller's environment is there again afterwards.
 */
#define _DEFAULT_SOURCE
#include <fenv.h>

#include "fp_control.h"
#include "guard.h"
#include "support.h"

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
    uint8_t damping[N], read_damping[N];
    qsgd_status status[9];
};

struct places {
    struct guard src, dst, work, frame, values;
    size_t gap; /* 0: buffers end at a guard page; SIZE_MAX: they start at one */
};

static qsgd_memory place(struct guard guard, uint64_t bytes, size_t gap) {
    return (qsgd_memory){guard_place(guard, (size_t)bytes, gap), bytes};
}

static const void *source_of(int source, const struct places *m, qsgd_encode_options *o,
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

static void decode_all(const qsgd_params *p, const struct places *m, struct results *r) {
    qsgd_decode_options d;
    qsgd_sizes sizes = sizes_new();
    const size_t frame_bytes = (size_t)r->frame_bytes;
    uint8_t *frame = guard_place(m->frame, frame_bytes, m->gap);
    float *values = guard_place(m->values, sizeof r->values, m->gap);
    memcpy(frame, r->frame, frame_bytes);
    qsgd_decode_options_init(&d);
    d.dtype = QSGD_FLOAT32;
    r->status[1] = qsgd_decode_sizes(frame, frame_bytes, &d, &sizes, NULL);
    const qsgd_memory work = place(m->work, sizes.workspace_bytes, m->gap);
    r->status[2] = qsgd_decode(frame, frame_bytes, &d, values, N, work, NULL);
    memcpy(r->values, values, sizeof r->values);
    memcpy(values, plain, sizeof plain);
    r->status[3] = qsgd_decode_add(frame, frame_bytes, &d, 0.3F, values, N, work, NULL);
    memcpy(r->sum, values, sizeof r->sum);
    float *part = guard_place(m->values, 700 * sizeof(float), m->gap);
    r->status[4] = qsgd_decode_range(frame, frame_bytes, &d, 333, 1033, part, work, NULL);
    memcpy(r->range, part, 700 * sizeof(float));
    if (p->code == QSGD_CODE_RAW) return;
    const qsgd_quantized read = {r->read_indices, r->read_scales, r->read_damping, N};
    r->status[5] = qsgd_decode_indices(frame, frame_bytes, &d, &read, work, NULL);
    const qsgd_memory again = {r->again, frame_bytes};
    uint64_t again_bytes = 0;
    r->status[6] =
        qsgd_encode_indices_like(frame, frame_bytes, &d, &read, again, work, &again_bytes, NULL);
    CHECK(again_bytes == frame_bytes && memcmp(r->again, frame, frame_bytes) == 0);
}

static void run_all(const qsgd_params *p, int source, const struct places *m, struct results *r) {
    qsgd_encode_options o;
    memset(r, 0, sizeof *r);
    const void *src = source_of(source, m, &o, r);
    const qsgd_sizes sizes = encode_sizes(p, &o, N);
    const qsgd_memory dst = place(m->dst, sizes.dst_bytes, m->gap);
    const qsgd_memory work = place(m->work, sizes.workspace_bytes, m->gap);
    r->status[0] = qsgd_encode(p, &o, src, N, dst, work, &r->frame_bytes, NULL);
    CHECK(r->frame_bytes <= dst.bytes && dst.bytes <= sizeof r->frame);
    memcpy(r->frame, dst.data, (size_t)r->frame_bytes);
    decode_all(p, m, r);
    if (p->code == QSGD_CODE_RAW) return;
    o.residual = NULL;
    const qsgd_quantized quantized = {r->indices, r->scales, r->damping, N};
    r->status[7] = qsgd_quantize(p, &o, src, &quantized, work, NULL);
    o.dtype = QSGD_FLOAT32;
    r->status[8] = qsgd_dequantize(p, &o, &quantized, r->dequantized, work, NULL);
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
#define MODES (int)(sizeof modes / sizeof *modes)
#define ENVIRONMENTS (MODES + FP_CONTROLS)

static uint64_t control_before;

static void environment_set(int e) {
    control_before = fp_control_get();
    if (e < MODES) fesetround(modes[e]);
    if (e >= MODES) fp_control_set(fp_controls[e - MODES]);
}

static void environment_check(int e) {
    if (e < MODES) CHECK(fegetround() == modes[e]);
    if (e >= MODES) CHECK((fp_control_get() & FP_KEPT) == fp_controls[e - MODES]);
}

static void environment_reset(void) {
    fp_control_set(control_before);
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
    CHECK(memcmp(a->damping, b->damping, sizeof a->damping) == 0);
    CHECK(memcmp(a->dequantized, b->dequantized, sizeof a->dequantized) == 0);
    CHECK(memcmp(a->status, b->status, sizeof a->status) == 0);
}

/* What one result must agree on with itself. */
static void consistent(const qsgd_params *p, int source, const struct results *r) {
    for (int i = 0; i < 9; i++) CHECK(r->status[i] == QSGD_OK);
    CHECK(memcmp(r->range, r->values + 333, 700 * sizeof(float)) == 0);
    if (p->code == QSGD_CODE_RAW || source == 2) return;
    CHECK(memcmp(r->indices, r->read_indices, sizeof r->indices) == 0);
    CHECK(memcmp(r->scales, r->read_scales, sizeof r->scales) == 0);
    if (p->rotation) return; /* indices know nothing of groups of zeros */
    CHECK(memcmp(r->dequantized, r->values, sizeof r->values) == 0);
}

static struct results expected, got;

static void check_scheme(const qsgd_params *p, struct places *m) {
    for (int source = 0; source < SOURCES; source++) {
        m->gap = 0;
        run_all(p, source, m, &expected);
        consistent(p, source, &expected);
        m->gap = SIZE_MAX;
        run_all(p, source, m, &got);
        same_results(&expected, &got);
        for (uint32_t i = 0; qsgd_backends(i, NULL) != NULL; i++) {
            if (qsgd_set_backend(qsgd_backends(i, NULL), NULL) != QSGD_OK) continue;
            run_all(p, source, m, &got);
            same_results(&expected, &got);
        }
        qsgd_set_backend("auto", NULL);
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
    struct places m = {guard_new(sizeof wide),       guard_new(sizeof got.frame),
                       guard_new((size_t)1 << 22),   guard_new(sizeof got.frame),
                       guard_new(sizeof got.values), 0};
    fill_sources();
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i]);
        check_scheme(&p, &m);
        if (p.code == QSGD_CODE_RAW) continue;
        set_bucket(&p, 0); /* a bucket longer than a chunk */
        p.scale_dtype = QSGD_FLOAT32;
        check_scheme(&p, &m);
    }
    guard_free(m.src);
    guard_free(m.dst);
    guard_free(m.work);
    guard_free(m.frame);
    guard_free(m.values);
    return check_result();
}
