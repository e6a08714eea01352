/* A call of each function that succeeds, so that a test can make one thing of it wrong. */
#ifndef QSGD_TESTS_SETUP_H
#define QSGD_TESTS_SETUP_H

#include "support.h"

#define N 1300
#define WORK_BYTES 1000000 /* more than any call here needs */

static float x[N];

/* Everything that the functions below need, valid until one thing is made wrong. */
struct setup {
    struct qsgd_params params;
    struct qsgd_encode_options options;
    struct qsgd_decode_options decode;
    struct qsgd_error error;
    uint64_t n, bound, work_bytes, frame_bytes, decode_work_bytes;
    uint8_t *dst, *work, *frame;
    float *values, *scales;
    int16_t *indices;
    uint8_t *alphas;
};

static inline struct setup setup_new(void) {
    struct setup s;
    memset(&s, 0, sizeof s);
    s.params = scheme_params(&schemes[16]);
    qsgd_encode_options_init(&s.options);
    qsgd_decode_options_init(&s.decode);
    s.error.struct_size = sizeof s.error;
    s.n = N;
    s.bound = qsgd_encode_bound(&s.params, &s.options, N);
    s.work_bytes = qsgd_encode_workspace(&s.params, &s.options, N);
    s.dst = malloc((size_t)s.bound);
    s.work = aligned_bytes(WORK_BYTES);
    s.values = malloc(sizeof x);
    s.scales = malloc(sizeof x);
    s.indices = malloc(N * sizeof(int16_t));
    s.alphas = malloc(N);
    struct bytes b = encode_frame(&s.params, NULL, x, N);
    s.frame = b.p;
    s.frame_bytes = b.n;
    CHECK(qsgd_decode_workspace(b.p, b.n, NULL, &s.decode_work_bytes, NULL) == QSGD_OK);
    CHECK(s.decode_work_bytes <= WORK_BYTES && s.work_bytes <= WORK_BYTES);
    return s;
}

static inline void setup_free(struct setup *s) {
    free(s->dst);
    free(s->work);
    free(s->values);
    free(s->scales);
    free(s->indices);
    free(s->alphas);
    free(s->frame);
}

static inline qsgd_status call_encode(struct setup *s, const void *src) {
    uint64_t bytes;
    return qsgd_encode(&s->params, &s->options, src, s->n, s->dst, s->bound, s->work, s->work_bytes,
                       &bytes, &s->error);
}

static inline qsgd_status call_decode(struct setup *s, void *dst) {
    return qsgd_decode(s->frame, s->frame_bytes, &s->decode, dst, s->n, s->work,
                       s->decode_work_bytes, &s->error);
}

static inline bool names(const struct setup *s, qsgd_status status, const char *parameter) {
    return s->error.status == status && s->error.parameter != NULL && s->error.reason != NULL &&
           strcmp(s->error.parameter, parameter) == 0;
}

#endif
