/* Fuzzing of the decoder. With QSGD_FUZZ (clang) it is a libFuzzer target; otherwise a program that
 * replays the files named by its arguments, or, without any, runs a fixed sequence of mutations of
 * valid frames. The oracle: indices of an accepted frame give back its bytes (FORMAT.md section
 * 9), and it decodes alike by qsgd_decode and by qsgd_decode_add onto zeros. */
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
static qsgd_decode_options decode_options(void) {
    qsgd_decode_options options;
    qsgd_decode_options_init(&options);
    if (tables.count == 0) fill_tables(&tables);
    offer_tables(&tables, &options);
    return options;
}

struct buffers {
    qsgd_memory work, again;
    uint64_t n;
    float *values, *sum;
    qsgd_quantized quantized;
    bool pieces; /* chunks of a bucket may have scales that differ, of which indices keep one */
};

static void check_values(const struct buffers *b, const uint8_t *data, size_t size) {
    qsgd_decode_options options = decode_options();
    options.dtype = QSGD_FLOAT32;
    qsgd_status status = qsgd_decode(data, size, &options, b->values, b->n, b->work, NULL);
    qsgd_status added = qsgd_decode_add(data, size, &options, 1.0F, b->sum, b->n, b->work, NULL);
    if (status != QSGD_OK) fail("indices decode, values do not", data, size);
    if (added != QSGD_OK) fail("values decode, decode_add does not", data, size);
    if (!same_floats(b->values, b->sum, b->n)) fail("decode and decode_add differ", data, size);
}

/* 1 if the frame was accepted. */
static int check_coded(const struct buffers *b, const uint8_t *data, size_t size) {
    uint64_t bytes = 0;
    qsgd_decode_options options = decode_options();
    if (qsgd_decode_indices(data, size, &options, &b->quantized, b->work, NULL) != QSGD_OK) {
        options.flags = QSGD_DECODE_ATOMIC;
        options.dtype = QSGD_FLOAT32;
        if (qsgd_decode(data, size, &options, b->values, b->n, b->work, NULL) == QSGD_OK) {
            fail("values decode, indices do not", data, size);
        }
        options.flags = 0; /* whatever it returns, no byte outside the buffers is touched */
        qsgd_decode(data, size, &options, b->values, b->n, b->work, NULL);
        return 0;
    }
    const qsgd_status like = qsgd_encode_indices_like(data, size, &options, &b->quantized, b->again,
                                                      b->work, &bytes, NULL);
    if (like != QSGD_OK && !b->pieces) {
        fail("indices of a frame do not encode like it", data, size);
    }
    if (!b->pieces && (bytes != size || memcmp(b->again.data, data, size) != 0)) {
        fail("indices of a frame do not give back its bytes", data, size);
    }
    check_values(b, data, size);
    return 1;
}

static int accepted; /* by the last call */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    qsgd_frame_info info = info_new();
    qsgd_sizes sizes = sizes_new();
    qsgd_decode_options options = decode_options();
    accepted = 0;
    options.max_elements = MOST_ELEMENTS;
    if (qsgd_decode_sizes(data, size, &options, &sizes, NULL) != QSGD_OK) return 0;
    if (qsgd_inspect(data, size, &info, NULL) != QSGD_OK) fail("no info", data, size);
    const size_t n = (size_t)info.elements;
    struct buffers b = {
        odd_memory(sizes.workspace_bytes), odd_memory(size), n, NULL, NULL, {0}, false};
    b.values = calloc(n + 1, 16); /* room for complex128 */
    b.sum = calloc(n + 1, sizeof(float));
    b.quantized = (qsgd_quantized){malloc(n * sizeof(int16_t) + 1),
                                   malloc((size_t)info.buckets * sizeof(float) + 1),
                                   malloc((size_t)info.chunks + 1), n};
    b.pieces = info.buckets < info.chunks;
    if (data[17] == QSGD_CODE_RAW || data[17] == QSGD_CODE_LOSSLESS) {
        accepted = qsgd_decode(data, size, NULL, b.values, b.n, b.work, NULL) == QSGD_OK;
        if (accepted && info.dtype <= QSGD_BFLOAT16) check_values(&b, data, size);
    } else {
        accepted = check_coded(&b, data, size);
    }
    odd_free(b.work);
    odd_free(b.again);
    free(b.values);
    free(b.sum);
    free(b.quantized.indices);
    free(b.quantized.scales);
    free(b.quantized.damping);
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
#define LOSSLESS_SEEDS 16

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
    LLVMFuzzerTestOneInput(exact.p, (size_t)exact.n);
    free(exact.p);
    free(data);
    return 0;
}

/* Dithered frames with split classes, of chunks that can be read two at a time. */
static void split_seeds(struct bytes seeds[SPLIT_SEEDS]) {
    static float x[LONGER];
    for (unsigned i = 0; i < SPLIT_SEEDS; i++) {
        qsgd_params p = params_qsgd();
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
        LLVMFuzzerTestOneInput(seeds[i].p, (size_t)seeds[i].n);
        CHECK(accepted);
    }
}

/* Lossless frames of each type: of numbers, of many zeros, of a few that are far from the others.
 */
static void lossless_seeds(struct bytes seeds[LOSSLESS_SEEDS]) {
    static float x[LONGER];
    for (unsigned i = 0; i < LOSSLESS_SEEDS; i++) {
        qsgd_params p;
        qsgd_encode_options o;
        qsgd_params_init(&p);
        qsgd_encode_options_init(&o);
        p.code = QSGD_CODE_LOSSLESS;
        p.chunk_log2 = 11;
        p.checksum = i / 4 % 2 == 0;
        o.dtype = i % 4;
        fill_tensor(x, LONGER, 2000 + i);
        for (size_t j = 0; i >= 8 && j < LONGER; j++) {
            if (j % 3 != 0) x[j] = 0;
            if (j % 100 == 0) x[j] *= 0x1p-90F;
        }
        const size_t item = o.dtype == QSGD_FLOAT32 ? 4 : (o.dtype == QSGD_FLOAT64 ? 8 : 2);
        seeds[i] = encode_frame(&p, &o, x, sizeof x / item < LONGER ? sizeof x / item : LONGER);
        LLVMFuzzerTestOneInput(seeds[i].p, (size_t)seeds[i].n);
        CHECK(accepted);
    }
}

int main(int argc, char **argv) {
    int failures = 0;
    for (int i = 1; i < argc; i++) failures += replay(argv[i]);
    if (argc > 1) return failures == 0 ? 0 : 1;
    static const size_t lengths[] = {LONGEST, 1, 4, 130, 700};
    struct bytes seeds[4 * SCHEMES * 5 + SPLIT_SEEDS + LOSSLESS_SEEDS];
    size_t count = SPLIT_SEEDS + LOSSLESS_SEEDS;
    float x[LONGEST];
    fill_tables(&tables);
    split_seeds(seeds);
    lossless_seeds(seeds + SPLIT_SEEDS);
    for (size_t i = 0; i < SCHEMES; i++) {
        for (size_t l = 0; l < 10; l++) {
            qsgd_params params = scheme_params(&schemes[i]);
            params.checksum = l < 5;
            set_bucket(&params, l % 2 == 0 ? 100 : 0);
            fill_tensor(x, lengths[l % 5], i + l + 1);
            seeds[count] = encode_frame(&params, NULL, x, lengths[l % 5]);
            LLVMFuzzerTestOneInput(seeds[count].p, (size_t)seeds[count].n);
            CHECK(accepted);
            count++;
            if (tables.bytes[i] == 0) continue;
            params.shared_tables = tables.blob[i];
            params.shared_tables_bytes = tables.bytes[i];
            seeds[count] = encode_frame(&params, NULL, x, lengths[l % 5]);
            LLVMFuzzerTestOneInput(seeds[count].p, (size_t)seeds[count].n);
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
