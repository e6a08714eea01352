/* The same without any allocation: a fixed slot for the frame, as in an RPC, and static scratch. */
#include <qsgd.h>
#include <stdio.h>

enum { SLOT = 128 }; /* bytes for a frame, much less than sizes.dst_bytes, which always suffice */

static uint8_t slot[SLOT], scratch[QSGD_SMALL_WORKSPACE]; /* enough for 4096 elements */

int main(void) {
    float x[64], y[64];
    for (int i = 0; i < 64; i++) x[i] = (float)(i * 37 % 101 - 50) / 64;

    qsgd_params params;
    qsgd_encode_options options;
    qsgd_error error;
    qsgd_params_init(&params);
    qsgd_encode_options_init(&options);
    qsgd_error_init(&error);
    params.seed = 42;
    options.nonce = 7;

    const qsgd_memory dst = {slot, SLOT}, workspace = {scratch, sizeof scratch};
    uint64_t bytes;
    if (qsgd_encode(&params, &options, x, 64, dst, workspace, &bytes, &error) != QSGD_OK) return 1;
    printf("frame ");
    for (uint64_t i = 0; i < bytes; i++) printf("%02x", slot[i]);

    if (qsgd_decode(slot, bytes, NULL, y, 64, workspace, &error) != QSGD_OK) return 1;
    printf("\ndecoded %.6f %.6f %.6f %.6f\n", y[0], y[1], y[2], y[3]);

    slot[bytes - 1] ^= 1;
    if (qsgd_decode(slot, bytes, NULL, y, 64, workspace, &error) == QSGD_OK) return 1;
    printf("%s at byte %u: %s\n", qsgd_status_name(error.status), (unsigned)error.offset,
           error.reason);
    return 0;
}
