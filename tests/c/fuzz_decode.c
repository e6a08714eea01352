/* Fuzzing of the decoder. With QSGD_FUZZ (clang) it is a libFuzzer target; otherwise a program that
 * replays the files named by its arguments, or, without any, runs a fixed sequence of mutations of
 * valid frames. The oracle: indices of an accepted frame give back its bytes (FORMAT.md section
 * 10), and it decodes alike by qsgd_decode and by qsgd_decode_add onto zeros. */
#include <stdio.h>

#include "support.h"

#define MOST_ELEMENTS                                                                              \
    20000 /* of a frame that is decoded: mutated shapes must not take all memory */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const uint8_t *data, size_t size) {
    fprintf(stderr, "fuzz_decode: %s, frame of %zu bytes:\n", what, size);
    for (size_t i = 0; i < size; i++) fprintf(stderr, "%02x", data[i]);
    fprintf(stderr, "\n");
    abort();
}

static bool same_floats(const float *a, const float *b, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) { /* -0 added to +0 is +0 */
        if (!(a[i] == b[i] || (a[i] != a[i] && b[i] != b[i]))) return false;
    }
    return true;
}

static struct table_sets tables; /* that decoders know */

/* The defaults, with the tables. */
static struct qsgd_decode_options decode_options(void) {
    struct qsgd_decode_options options;
    qsgd_decode_options_init(&options);
    if (tables.count == 0) fill_tables(&tables);
    offer_tables(&tables, &options);
    return options;
}

/* Params with the tables that a frame names, for its recoding. */
static struct qsgd_params like_params(const uint8_t *data, size_t size) {
    struct qsgd_frame_info info = {.struct_size = sizeof info};
    struct qsgd_params params;
    uint8_t digest[8];
    qsgd_params_init(&params);
    if (qsgd_frame_info(data, size, &info, NULL) != QSGD_OK) fail("no info", data, size);
    for (uint32_t i = 0; info.has_tables && i < tables.count; i++) {
        qsgd_tables_digest(tables.at[i], tables.bytes_at[i], digest, NULL);
        if (memcmp(digest, info.tables_digest, 8) != 0) continue;
        params.tables = tables.at[i];
        params.tables_bytes = tables.bytes_at[i];
    }
    return params;
}

struct buffers {
    void *work;
    uint64_t work_bytes, n;
    float *values, *sum;
    int16_t *indices;
    float *scales;
    uint8_t *alphas, *again;
};

static void check_values(const struct buffers *b, const uint8_t *data, size_t size) {
    struct qsgd_decode_options options = decode_options();
    options.dtype = QSGD_FLOAT32;
    qsgd_status status =
        qsgd_decode(data, size, &options, b->values, b->n, b->work, b->work_bytes, NULL);
    qsgd_status added =
        qsgd_decode_add(data, size, &options, 1.0F, b->sum, b->n, b->work, b->work_bytes, NULL);
    if (status != QSGD_OK) fail("indices decode, values do not", data, size);
    if (added != QSGD_OK) fail("values decode, decode_add does not", data, size);
    if (!same_floats(b->values, b->sum, b->n)) fail("decode and decode_add differ", data, size);
}

/* 1 if the frame was accepted. */
static int check_coded(const struct buffers *b, const uint8_t *data, size_t size) {
    uint64_t bytes = 0;
    struct qsgd_decode_options options = decode_options();
    const struct qsgd_params params = like_params(data, size);
    if (qsgd_decode_indices(data, size, &options, b->indices, b->scales, b->alphas, b->n, b->work,
                            b->work_bytes, NULL) != QSGD_OK) {
        options.flags = QSGD_DECODE_ATOMIC;
        options.dtype = QSGD_FLOAT32;
        if (qsgd_decode(data, size, &options, b->values, b->n, b->work, b->work_bytes, NULL) ==
            QSGD_OK) {
            fail("values decode, indices do not", data, size);
        }
        options.flags = 0; /* whatever it returns, no byte outside the buffers is touched */
        qsgd_decode(data, size, &options, b->values, b->n, b->work, b->work_bytes, NULL);
        return 0;
    }
    if (qsgd_encode_indices(&params, NULL, data, size, b->indices, b->scales, b->alphas, b->n,
                            b->again, size, b->work, b->work_bytes, &bytes, NULL) != QSGD_OK) {
        fail("indices of a frame do not encode like it", data, size);
    }
    if (bytes != size || memcmp(b->again, data, size) != 0) {
        fail("indices of a frame do not give back its bytes", data, size);
    }
    check_values(b, data, size);
    return 1;
}

static int accepted; /* by the last call */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct qsgd_frame_info info = {.struct_size = sizeof info};
    struct qsgd_decode_options options;
    struct buffers b = {.work = NULL};
    accepted = 0;
    qsgd_decode_options_init(&options);
    options.max_elements = MOST_ELEMENTS;
    if (qsgd_decode_workspace(data, size, &options, &b.work_bytes, NULL) != QSGD_OK) return 0;
    if (qsgd_frame_info(data, size, &info, NULL) != QSGD_OK) fail("no info", data, size);
    const size_t n = (size_t)info.elements;
    b.n = n;
    b.work = aligned_bytes(b.work_bytes);
    b.values = calloc(n + 1, 16); /* room for complex128 */
    b.sum = calloc(n + 1, sizeof(float));
    b.indices = malloc(n * sizeof(int16_t) + 1);
    b.scales = malloc((size_t)info.buckets * sizeof(float) + 1);
    b.alphas = malloc((size_t)info.chunks + 1);
    b.again = malloc(size);
    if (info.params.code == QSGD_CODE_RAW) {
        accepted = qsgd_decode(data, size, NULL, b.values, b.n, b.work, b.work_bytes, NULL) == 0;
        if (accepted && info.dtype <= QSGD_BFLOAT16) check_values(&b, data, size);
    } else {
        accepted = check_coded(&b, data, size);
    }
    free(b.work);
    free(b.values);
    free(b.sum);
    free(b.indices);
    free(b.scales);
    free(b.alphas);
    free(b.again);
    return 0;
}

#ifdef QSGD_FUZZ_TARGET

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* Mostly with lengths and checksums made right, so that mutations reach the entropy decoders. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, most);
    if (size >= 16 && seed % 8 != 0) store_le64(data + 8, size);
    if (seed % 16 != 1) repair_frame(data, size);
    return size;
}

#else

#define MUTATIONS 20000
#define LONGEST 1500
#define LONGER 5000
#define SPLIT_SEEDS 8

/* One to three changes, most of them after the header, where the entropy decoders look. */
static void mutate(struct bytes *b, uint64_t *state) {
    uint64_t header = load_le16(b->p + 6), changes = 1 + random_below(state, 3);
    for (uint64_t c = 0; c < changes; c++) {
        uint64_t from = random_below(state, 4) == 0 || header >= b->n ? 5 : header;
        uint64_t at = from + random_below(state, b->n - from);
        uint8_t byte = (uint8_t)random_u64(state);
        switch (random_below(state, 6)) {
        case 0: b->p[at] = byte; break;
        case 1: b->p[at] = (uint8_t)(b->p[at] + 1 - 2 * (byte & 1)); break;
        case 2: /* the last payload shrinks or grows */
        case 3: {
            struct parts parts;
            if (!frame_parts(b->p, b->n, &parts) || parts.info.chunks == 0) break;
            uint8_t *entry = b->p + parts.index + (parts.info.chunks - 1) * parts.entry;
            uint64_t bytes = load_le32(entry);
            if (bytes > b->n - parts.payload) break;
            uint64_t keep = random_below(state, bytes + 1), spare = random_below(state, 3);
            uint8_t tail[2] = {byte, (uint8_t)(byte & 1)};
            store_le32(entry, (uint32_t)(keep + spare));
            splice(b, b->n - bytes + keep, bytes - keep, tail, spare);
            break;
        }
        default: b->p[at] ^= (uint8_t)(1U << (byte & 7)); break;
        }
    }
    repair_frame(b->p, b->n);
}

static int replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "fuzz_decode: cannot open %s\n", path);
        return 1;
    }
    uint8_t *data = malloc(1 << 20);
    size_t size = fread(data, 1, 1 << 20, file);
    fclose(file);
    struct bytes exact = bytes_copy(data, size);
    LLVMFuzzerTestOneInput(exact.p, exact.n);
    free(exact.p);
    free(data);
    return 0;
}

/* Dithered frames with split classes, of chunks that can be read two at a time. */
static void split_seeds(struct bytes seeds[SPLIT_SEEDS]) {
    static float x[LONGER];
    for (unsigned i = 0; i < SPLIT_SEEDS; i++) {
        struct qsgd_params p;
        qsgd_params_init(&p);
        p.rounding = QSGD_ROUND_DITHERED;
        p.chunk_log2 = i % 2 == 0 ? 11 : 12;
        p.classes = i / 2 % 2 == 0 ? QSGD_CLASSES_ON : QSGD_CLASSES_OFF;
        p.checksum = i / 4 == 0;
        p.bucket = i % 2 == 0 ? 0 : 100;
        p.norm = QSGD_NORM_RMS;
        p.levels = QSGD_LEVELS_OPEN;
        p.step = i % 2 == 0 ? 2 : 3;
        fill_tensor(x, LONGER, 1000 + i);
        seeds[i] = encode_frame(&p, NULL, x, LONGER);
        LLVMFuzzerTestOneInput(seeds[i].p, seeds[i].n);
        CHECK(accepted);
    }
}

int main(int argc, char **argv) {
    int failures = 0;
    for (int i = 1; i < argc; i++) failures += replay(argv[i]);
    if (argc > 1) return failures == 0 ? 0 : 1;
    static const size_t lengths[] = {LONGEST, 1, 4, 130, 700};
    struct bytes seeds[4 * SCHEMES * 5 + SPLIT_SEEDS];
    size_t count = SPLIT_SEEDS;
    float x[LONGEST];
    fill_tables(&tables);
    split_seeds(seeds);
    for (size_t i = 0; i < SCHEMES; i++) {
        for (size_t l = 0; l < 10; l++) {
            struct qsgd_params params = scheme_params(&schemes[i]);
            params.checksum = l < 5;
            set_bucket(&params, l % 2 == 0 ? 100 : 0);
            fill_tensor(x, lengths[l % 5], i + l + 1);
            seeds[count] = encode_frame(&params, NULL, x, lengths[l % 5]);
            LLVMFuzzerTestOneInput(seeds[count].p, seeds[count].n);
            CHECK(accepted);
            count++;
            if (tables.bytes[i] == 0) continue;
            params.tables = tables.blob[i];
            params.tables_bytes = tables.bytes[i];
            seeds[count] = encode_frame(&params, NULL, x, lengths[l % 5]);
            LLVMFuzzerTestOneInput(seeds[count].p, seeds[count].n);
            CHECK(accepted);
            count++;
        }
    }
    uint64_t state = 20250712, accepts = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        const struct bytes *seed = &seeds[random_below(&state, count)];
        struct bytes b = bytes_copy(seed->p, seed->n);
        mutate(&b, &state);
        LLVMFuzzerTestOneInput(b.p, (size_t)b.n);
        accepts += (uint64_t)accepted;
        free(b.p);
    }
    CHECK(accepts > MUTATIONS / 100 &&
          accepts < MUTATIONS); /* both sides of the oracle are tried */
    for (size_t i = 0; i < count; i++) free(seeds[i].p);
    return check_result();
}
#endif
