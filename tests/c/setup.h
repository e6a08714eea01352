/* A call of each function that succeeds, so that a test can make one thing of it wrong. */
#ifndef QSGD_TESTS_SETUP_H
#define QSGD_TESTS_SETUP_H

#include "support.h"

#define N 1300

static float x[N];

/* Everything that the functions below need, valid until one thing is made wrong. */
struct setup {
    qsgd_params params;
    qsgd_encode_options options;
    qsgd_decode_options decode;
    qsgd_error error;
    uint64_t n, frame_bytes;
    qsgd_memory dst, work, decode_work;
    uint8_t *frame;
    float *values;
    qsgd_quantized quantized;
};

static inline struct setup setup_new(void) {
    struct setup s;
    memset(&s, 0, sizeof s);
    s.params = scheme_params(&schemes[16]);
    qsgd_encode_options_init(&s.options);
    qsgd_decode_options_init(&s.decode);
    s.error = error_new();
    s.n = N;
    const qsgd_sizes sizes = encode_sizes(&s.params, &s.options, N);
    s.dst = odd_memory(sizes.dst_bytes);
    s.work = odd_memory(sizes.workspace_bytes);
    s.values = malloc(sizeof x);
    s.quantized =
        (qsgd_quantized){malloc(N * sizeof(int16_t)), malloc(N * sizeof(float)), malloc(N), N};
    struct bytes b = encode_frame(&s.params, NULL, x, N);
    s.frame = b.p;
    s.frame_bytes = b.n;
    s.decode_work = decode_workspace(b.p, b.n, NULL);
    return s;
}

static inline void setup_free(struct setup *s) {
    odd_free(s->dst);
    odd_free(s->work);
    odd_free(s->decode_work);
    free(s->values);
    free(s->quantized.indices);
    free(s->quantized.scales);
    free(s->quantized.damping);
    free(s->frame);
}

static inline qsgd_status call_encode(struct setup *s, const void *src) {
    uint64_t bytes = 77;
    const qsgd_status status =
        qsgd_encode(&s->params, &s->options, src, s->n, s->dst, s->work, &bytes, &s->error);
    CHECK(status == QSGD_OK || bytes == 77);
    return status;
}

static inline qsgd_status call_decode(struct setup *s, void *dst) {
    return qsgd_decode(s->frame, s->frame_bytes, &s->decode, dst, s->n, s->decode_work, &s->error);
}

static inline bool names(const struct setup *s, qsgd_status status, const char *parameter) {
    return error_names(&s->error, status, parameter);
}

#endif
