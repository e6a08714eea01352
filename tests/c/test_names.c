/* A program with functions and objects of its own that are called as the library's are within: the
 * static library links beside them, and neither takes the other's. Knows public headers alone. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "qsgd.h"

static int called = 0;

/* Of other types than the library's, so that a mix-up could not work by chance. */
#define OURS(name)                                                                                 \
    int name(void);                                                                                \
    int name(void) { return called++; }

OURS(code_find)
OURS(crc32c)
OURS(crc32c_portable)
OURS(decode_chunks_pair)
OURS(dtype_bytes)
OURS(dtype_to_float)
OURS(error_set)
OURS(frame_finish)
OURS(header_parse)
OURS(header_write)
OURS(huffman_lengths)
OURS(kernels_current)
OURS(levels_build)
OURS(log2_of)
OURS(memory_take)
OURS(normal_at)
OURS(payload_write)
OURS(prefix_runs_build)
OURS(quantize_chunk)
OURS(quantizer_init)
OURS(rans_tables_parse)
OURS(rotation_forward)
OURS(segments_write)
OURS(source_read)
OURS(topk_select)
OURS(values_of_bucket)

extern int code_rans, kernels_scalar, kernels_avx2, avx2_pull;
int code_rans = 1, kernels_scalar = 2, kernels_avx2 = 3, avx2_pull = 4;

/* CRC-32C, bit by bit. */
static uint32_t checksum(const void *data, uint64_t bytes) {
    const uint8_t *p = data;
    uint32_t crc = UINT32_MAX;
    for (uint64_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++) crc = crc >> 1 ^ ((0U - (crc & 1)) & 0x82F63B78U);
    }
    return ~crc;
}

/* The tensor of test_vectors.c, and the second line of its file: 1000 elements, first scheme. */
enum { COUNT = 1000 };

static void fill(float x[COUNT]) {
    uint32_t r = 2654435762U;
    for (uint32_t i = 0; i < COUNT; i++) {
        r ^= r << 13;
        r ^= r >> 17;
        r ^= r << 5;
        const uint32_t exponent = 100 + (r >> 8 & 15) + i / 4096 % 8;
        uint32_t bits = (r & 0x80000000U) | exponent << 23 | (r & 0x7FFFFF);
        if ((r >> 4 & 63) == 0) bits = r & 0x800000FFU;
        memcpy(x + i, &bits, 4);
    }
}

static void encode_and_decode(const float x[COUNT], uint32_t sums[2]) {
    qsgd_params p;
    qsgd_encode_options o;
    qsgd_memory frame, values;
    qsgd_params_init(&p);
    qsgd_encode_options_init(&o);
    p.norm = QSGD_NORM_MAX;
    p.code = QSGD_CODE_RANS;
    p.s = 7;
    p.bucket = 512;
    p.chunk_log2 = 16;
    p.seed = 0x0123456789ABCDEF;
    o.nonce = 0xFEDCBA9876543210;
    CHECK(qsgd_encode_alloc(&p, &o, x, COUNT, NULL, &frame, NULL) == QSGD_OK);
    CHECK(qsgd_decode_alloc(frame.data, frame.bytes, NULL, NULL, &values, NULL, NULL) == QSGD_OK);
    CHECK(values.bytes == COUNT * sizeof(float));
    sums[0] = checksum(frame.data, frame.bytes);
    uint8_t *le = values.data; /* as the file has floats: little-endian */
    for (int i = 0; i < COUNT; i++) {
        uint32_t bits;
        memcpy(&bits, le + 4 * i, 4);
        for (int b = 0; b < 4; b++) le[4 * i + b] = (uint8_t)(bits >> (8 * b));
    }
    sums[1] = checksum(le, values.bytes);
    qsgd_free(NULL, frame.data);
    qsgd_free(NULL, values.data);
}

int main(int argc, char **argv) {
    static float x[COUNT];
    uint32_t sums[2] = {0, 0};
    unsigned want[4] = {0, 0, 0, 0};
    FILE *f = fopen(argc > 1 ? argv[1] : "vectors.txt", "r");
    CHECK(f != NULL);
    if (f == NULL) return check_result();
    CHECK(fscanf(f, "%8x %8x %8x %8x", &want[0], &want[1], &want[2], &want[3]) == 4);
    fclose(f);
    fill(x);
    encode_and_decode(x, sums);
    CHECK(sums[0] == want[2] && sums[1] == want[3]);
    CHECK(called == 0);
    CHECK(crc32c() == 0 && topk_select() == 1 && called == 2);
    CHECK(code_rans == 1 && kernels_scalar == 2 && kernels_avx2 == 3 && avx2_pull == 4);
    return check_result();
}
