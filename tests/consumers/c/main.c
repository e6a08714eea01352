/* One call for one frame: encodes a tensor, decodes it, and decodes a damaged frame. */
#include <qsgd.h>
#include <stdio.h>

static int fail(const qsgd_error *error) {
    fprintf(stderr, "%s: %s\n", qsgd_status_name(error->status), error->reason);
    return 1;
}

int main(void) {
    float x[64];
    for (int i = 0; i < 64; i++) x[i] = (float)(i * 37 % 101 - 50) / 64;

    qsgd_params params; /* what the codec does: one for many tensors */
    qsgd_encode_options options;
    qsgd_error error;
    qsgd_memory frame, decoded;
    qsgd_params_init(&params);
    qsgd_encode_options_init(&options);
    qsgd_error_init(&error);
    params.seed = 42;
    options.nonce = 7; /* never twice with one seed: count tensors, mix in the worker's rank */

    if (qsgd_selftest(&error) != QSGD_OK) return fail(&error);
    if (qsgd_encode_alloc(&params, &options, x, 64, NULL, &frame, &error) != QSGD_OK)
        return fail(&error);
    printf("frame ");
    for (uint64_t i = 0; i < frame.bytes; i++) printf("%02x", ((const uint8_t *)frame.data)[i]);

    if (qsgd_decode_alloc(frame.data, frame.bytes, NULL, NULL, &decoded, NULL, &error) != QSGD_OK)
        return fail(&error);
    const float *y = decoded.data;
    printf("\ndecoded %.6f %.6f %.6f %.6f\n", y[0], y[1], y[2], y[3]);
    qsgd_free(NULL, decoded.data);

    ((uint8_t *)frame.data)[frame.bytes - 1] ^= 1;
    if (qsgd_decode_alloc(frame.data, frame.bytes, NULL, NULL, &decoded, NULL, &error) == QSGD_OK)
        return 1;
    printf("%s at byte %u: %s\n", qsgd_status_name(error.status), (unsigned)error.offset,
           error.reason);
    qsgd_free(NULL, frame.data);
    return 0;
}
