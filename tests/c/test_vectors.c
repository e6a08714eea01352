/* Same bytes on every machine: encodes and decodes tensors made by integer arithmetic with every
 * scheme and code, and compares checksums of frames and floats with tests/golden/vectors.txt. Run
 * with
 * --print to write that file anew (a change of format must say so in its commit). */
#include "calls.h"
#include "frame/checksum.h"

enum { N = 70001 };

/* xorshift32: magnitudes over many octaves, both signs, some zeros and subnormals. */
static void fill(float *x, size_t n, uint32_t seed) {
    uint32_t r = seed * 2654435761U + 1;
    for (size_t i = 0; i < n; i++) {
        r ^= r << 13;
        r ^= r >> 17;
        r ^= r << 5;
        uint32_t exponent = 100 + (r >> 8 & 15) + (uint32_t)(i / 4096 % 8);
        uint32_t bits = (r & 0x80000000U) | exponent << 23 | (r & 0x7FFFFF);
        if ((r >> 4 & 63) == 0) bits = r & 0x800000FFU;
        memcpy(x + i, &bits, 4);
    }
}

struct scheme {
    int32_t norm, levels, zero, rounding, code;
    uint32_t s;
    float step;
    uint64_t bucket;
    uint32_t chunk_log2;
    int32_t extra; /* 1: rotation, 2: rescale */
};

static const float mirrored[] = {0.03125F, 0.25F, 0.4F, 1.0F};
static const float both[] = {-1.0F, -0.25F, -0.03125F, 0.0625F, 0.5F, 1.0F};

static uint32_t crc_floats(const float *x, size_t n, uint8_t *bytes) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        for (int b = 0; b < 4; b++) bytes[4 * i + (size_t)b] = (uint8_t)(bits >> (8 * b));
    }
    return crc32c(bytes, 4 * n);
}

/* Tables of weights 1 / (1 + distance^2) from the middle level, into p, with memory of the caller.
 */
static void share_tables(qsgd_params *p, uint64_t levels, uint8_t blob[160]) {
    double *weights = malloc((size_t)levels * sizeof *weights);
    uint64_t bytes = 0;
    CHECK(weights != NULL);
    for (uint64_t i = 0; i < levels; i++) {
        const double distance = (double)i - (double)(levels / 2);
        weights[i] = 1.0 / (1.0 + distance * distance);
    }
    CHECK(qsgd_shared_tables_build(p, weights, levels, (qsgd_memory){blob, 160}, &bytes, NULL) ==
          QSGD_OK);
    free(weights);
    p->shared_tables = blob;
    p->shared_tables_bytes = bytes;
}

/* Checksums of the frame and of its floats. levels: of shared tables; 0: none. */
static void run(const struct scheme *s, uint64_t levels, const float *x, size_t n,
                uint32_t sums[2]) {
    qsgd_params p;
    qsgd_encode_options o;
    qsgd_decode_options d;
    qsgd_bytes shared;
    uint8_t blob[160];
    qsgd_params_init(&p);
    qsgd_decode_options_init(&d);
    qsgd_encode_options_init(&o);
    p.norm = s->norm;
    p.levels = s->levels;
    p.zero = s->zero;
    p.rounding = s->rounding;
    p.code = s->code;
    p.s = s->s;
    p.step = s->step;
    p.bucket = s->bucket;
    p.chunk_log2 = s->chunk_log2;
    p.rotation = s->extra & 1;
    p.rescale = s->extra >> 1;
    p.seed = 0x0123456789ABCDEFULL;
    o.nonce = 0xFEDCBA9876543210ULL;
    if (s->levels == QSGD_LEVELS_TABLE) {
        p.level_table = mirrored;
        p.level_table_len = 4;
    } else if (s->levels == QSGD_LEVELS_SIGNED) {
        p.level_table = both;
        p.level_table_len = 6;
    }
    if (levels > 0) {
        share_tables(&p, levels, blob);
        shared = (qsgd_bytes){p.shared_tables, p.shared_tables_bytes};
        d.shared_tables = &shared;
        d.shared_tables_count = 1;
    }
    const qsgd_sizes sizes = encode_sizes(&p, &o, n);
    const qsgd_memory dst = odd_memory(sizes.dst_bytes), work = odd_memory(sizes.workspace_bytes);
    uint64_t bytes = 0;
    CHECK(qsgd_encode(&p, &o, x, n, dst, work, &bytes, NULL) == QSGD_OK);
    odd_free(work);
    float *y = calloc(n, sizeof *y);
    const qsgd_memory scratch = decode_workspace(dst.data, bytes, &d);
    CHECK(qsgd_decode(dst.data, bytes, &d, y, n, scratch, NULL) == QSGD_OK);
    uint8_t *le = malloc(4 * n);
    sums[0] = crc32c(dst.data, (size_t)bytes);
    sums[1] = crc_floats(y, n, le);
    free(le);
    free(y);
    odd_free(scratch);
    odd_free(dst);
}

static const struct scheme schemes[] = {
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_RANS, 7, 0, 512, 16,
     0},
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 0, 500, 12, 0},
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 0, QSGD_ROUND_DITHERED, QSGD_CODE_HUFFMAN, 127, 0, 64, 13,
     0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_RANS, 32767, 0, 7, 16,
     0},
    {QSGD_NORM_RMS, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 0.5F, 0, 14, 0},
    {QSGD_NORM_RMS, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_FIXED, 7, 0.1F, 512, 16,
     0},
    {QSGD_NORM_L2, QSGD_LEVELS_EXPONENTIAL, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_ELIAS_GAMMA, 5, 0,
     512, 16, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_EXPONENTIAL, 0, QSGD_ROUND_DITHERED, QSGD_CODE_ELIAS_DELTA, 7, 0, 0,
     12, 0},
    {QSGD_NORM_MAX, QSGD_LEVELS_TABLE, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_ELIAS_OMEGA, 7, 0, 300,
     16, 0},
    {QSGD_NORM_MAX, QSGD_LEVELS_SIGNED, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 0, 512, 16, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_ELIAS_GAMMA_SPARSE, 1,
     0, 8192, 16, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_ELIAS_DELTA_SPARSE, 2,
     0, 8192, 16, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_ELIAS_OMEGA_SPARSE, 1,
     0, 0, 13, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_RICE_SPARSE, 1, 0, 8192,
     16, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_TOPK, QSGD_CODE_RICE_SPARSE, 1, 0, 0, 14, 0},
    {QSGD_NORM_MEAN, QSGD_LEVELS_UNIFORM, 0, QSGD_ROUND_NEAREST, QSGD_CODE_FIXED, 1, 0, 0, 16, 0},
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_NEAREST, QSGD_CODE_AUTO, 3, 0, 512, 16, 0},
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_RAW, 7, 0, 512, 16, 0},
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_RANS, 7, 0, 512, 16,
     1},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 0, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 20, 0, 500, 12, 1},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_ELIAS_DELTA_SPARSE, 1,
     0, 48000, 16, 1},
    {QSGD_NORM_RMS, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_HUFFMAN, 7, 0.5F, 7, 10,
     1},
    {QSGD_NORM_BALANCED, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 1.0F, 0, 14,
     0},
    {QSGD_NORM_RMS, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 2.5F, 0, 15, 0},
    {QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 0, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 2, 0, 0, 13, 0},
    {QSGD_NORM_BALANCED, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_NEAREST, QSGD_CODE_RANS, 7, 2.0F, 500, 16,
     3},
    {QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 0, QSGD_ROUND_NEAREST, QSGD_CODE_FIXED, 3, 0, 20000, 15,
     2},
};

#define PLAIN (sizeof schemes / sizeof schemes[0])

/* With shared tables, and the number of their levels. */
static const struct {
    struct scheme scheme;
    uint64_t levels;
} shared[] = {
    {{QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_RANS, 7, 0, 64, 10,
      0},
     15},
    {{QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 0, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 100, 0, 64, 10, 0},
     200},
    {{QSGD_NORM_MAX, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_STOCHASTIC, QSGD_CODE_HUFFMAN, 20, 0, 64,
      10, 0},
     41},
    {{QSGD_NORM_RMS, QSGD_LEVELS_OPEN, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 1.0F, 64, 10, 0},
     65535},
    {{QSGD_NORM_L2, QSGD_LEVELS_UNIFORM, 1, QSGD_ROUND_DITHERED, QSGD_CODE_RANS, 7, 0, 512, 12, 1},
     15},
};

int main(int argc, char **argv) {
    static float x[N];
    static const size_t lengths[] = {N, 1000, 1};
    const int print = argc > 1 && strcmp(argv[1], "--print") == 0;
    FILE *f = print ? stdout : fopen(argc > 1 ? argv[1] : "vectors.txt", "r");
    CHECK(f != NULL);
    if (f == NULL) return check_result();
    fill(x, N, 1);
    for (uint32_t b = 0; qsgd_backends(b, NULL) != NULL; b++) {
        int32_t available = 0;
        const char *name = qsgd_backends(b, &available);
        if (!available) continue;
        CHECK(qsgd_set_backend(name, NULL) == QSGD_OK);
        if (!print) rewind(f);
        for (size_t i = 0; i < PLAIN + sizeof shared / sizeof shared[0]; i++) {
            const bool plain = i < PLAIN;
            const struct scheme *scheme = plain ? &schemes[i] : &shared[i - PLAIN].scheme;
            const uint64_t levels = plain ? 0 : shared[i - PLAIN].levels;
            for (size_t l = 0; l < 3; l++) {
                uint32_t sums[2] = {0, 0}, want[2] = {0, 0};
                run(scheme, levels, x, lengths[l], sums);
                if (print) {
                    printf("%08x %08x\n", (unsigned)sums[0], (unsigned)sums[1]);
                    continue;
                }
                unsigned a = 0, c = 0;
                CHECK(fscanf(f, "%8x %8x", &a, &c) == 2);
                want[0] = a;
                want[1] = c;
                CHECK(sums[0] == want[0]);
                CHECK(sums[1] == want[1]);
            }
        }
        if (print) break;
    }
    if (!print) fclose(f);
    return check_result();
}
