/* Encoding and decoding at most 4096 elements, in buckets of 4 at least, need at most 64 KB,
 * whatever the parameters; few elements need little. */
#include "support.h"

#define MOST 65536U
#define SMALL 4096U
#define TINY 64U
#define TINY_MOST 8192U

static uint64_t state = 12;
static uint64_t most[2], tiny[2]; /* encode, decode */
static int valid;

/* Nearest rounding, or top-k, or levels of a table, are decoded for a report or a target's error.
 */
static uint64_t more_for_errors(const qsgd_params *p, uint64_t n) {
    const int even = p->levels == QSGD_LEVELS_UNIFORM || p->levels == QSGD_LEVELS_OPEN;
    return even && p->rounding <= QSGD_ROUND_DITHERED ? 0 : 4 * n;
}

static void note(int direction, uint64_t n, uint64_t bytes) {
    CHECK(bytes <= MOST);
    if (n <= TINY) CHECK(bytes <= TINY_MOST);
    if (bytes > most[direction]) most[direction] = bytes;
    if (n <= TINY && bytes > tiny[direction]) tiny[direction] = bytes;
}

static void check_encode(const qsgd_params *p, uint64_t n) {
    static float residual[SMALL];
    for (uint32_t dtype = QSGD_FLOAT32; dtype <= QSGD_FLOAT64; dtype++) {
        qsgd_encode_options o;
        qsgd_sizes sizes;
        qsgd_encode_options_init(&o);
        qsgd_sizes_init(&sizes);
        o.dtype = dtype;
        CHECK(qsgd_encode_sizes(p, &o, n, &sizes, NULL) == QSGD_OK);
        note(0, n, sizes.workspace_bytes);
        o.residual = dtype == QSGD_FLOAT32 ? residual : NULL;
        CHECK(qsgd_encode_sizes(p, &o, n, &sizes, NULL) == QSGD_OK);
        note(0, n, sizes.workspace_bytes);
    }
}

/* Reports and targets. */
static void check_measured(const qsgd_params *given, uint64_t n) {
    qsgd_params p = *given;
    qsgd_encode_options o;
    qsgd_encode_report report;
    qsgd_sizes sizes;
    qsgd_encode_options_init(&o);
    qsgd_encode_report_init(&report);
    qsgd_sizes_init(&sizes);
    o.report = &report;
    for (int target = 0; target < 3; target++) {
        if (target > 0 && (p.levels != QSGD_LEVELS_OPEN || p.code == QSGD_CODE_RAW)) return;
        p.step = target > 0 ? 0 : given->step;
        p.target_bits = target == 1 ? 2.0 : 0;
        p.target_error = target == 2 ? 0.1 : 0;
        CHECK(qsgd_encode_sizes(&p, &o, n, &sizes, NULL) == QSGD_OK);
        CHECK(sizes.workspace_bytes <= MOST + more_for_errors(&p, n));
    }
}

/* By the workspace that a frame asks for itself, with as little as that, and nothing behind it. */
static void check_decode(const qsgd_params *p, uint64_t n) {
    static float x[SMALL], values[SMALL];
    qsgd_sizes sizes;
    fill_tensor(x, (size_t)n, n);
    const struct bytes frame = encode_frame(p, NULL, x, n);
    qsgd_sizes_init(&sizes);
    CHECK(qsgd_decode_sizes(frame.p, frame.n, NULL, &sizes, NULL) == QSGD_OK);
    note(1, n, sizes.workspace_bytes);
    const qsgd_memory work = odd_memory(sizes.workspace_bytes);
    CHECK(qsgd_decode(frame.p, frame.n, NULL, values, n, work, NULL) == QSGD_OK);
    odd_free(work);
    free(frame.p);
}

static const uint64_t lengths[] = {0, 1, 10, TINY, 65, 300, 1000, 1024, 2048, 3000, SMALL};
static const uint64_t buckets[] = {0, 4, 5, 100, 512, 1024, 2048, SMALL, 1U << 20};

static void check_params(qsgd_params *p) {
    for (size_t b = 0; b < sizeof buckets / sizeof *buckets; b++) {
        p->bucket = buckets[b];
        if (qsgd_params_check(p, NULL) != QSGD_OK) continue;
        valid++;
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            check_encode(p, lengths[i]);
            check_measured(p, lengths[i]);
        }
        check_decode(p, lengths[random_below(&state, sizeof lengths / sizeof *lengths)]);
        check_decode(p, random_below(&state, 2) != 0 ? SMALL : TINY);
    }
}

static void all_parameters(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i]);
        for (p.chunk_log2 = 10; p.chunk_log2 <= 13; p.chunk_log2++) {
            for (int rotation = 0; rotation < 2; rotation++) {
                p.rotation = rotation;
                p.norm = schemes[i].norm;
                check_params(&p);
                p.code = QSGD_CODE_AUTO;
                check_params(&p);
                p.norm = QSGD_NORM_BALANCED;
                check_params(&p);
                p.code = schemes[i].code;
                check_params(&p);
            }
        }
        p.chunk_log2 = 18;
        p.rotation = 0;
        check_params(&p);
    }
}

int main(void) {
    all_parameters();
    CHECK(valid > 1500);
    printf("at most %u elements: encode %llu bytes, decode %llu\n", SMALL,
           (unsigned long long)most[0], (unsigned long long)most[1]);
    printf("at most %u elements: encode %llu bytes, decode %llu\n", TINY,
           (unsigned long long)tiny[0], (unsigned long long)tiny[1]);
    return check_result();
}
