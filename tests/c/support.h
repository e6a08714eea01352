/* What the tests of whole frames share: reproducible tensors, one scheme per code and kind of
 * level, frames in memory of exactly their size (so that the sanitizer sees every over-read), and
 * the repair of checksums after deliberate damage (FORMAT.md sections 3 to 6). */
#ifndef QSGD_TESTS_SUPPORT_H
#define QSGD_TESTS_SUPPORT_H

#include "base/bits.h"
#include "calls.h"
#include "frame/checksum.h"

/* ---- noise and tensors ---------------------------------------------------------------------- */

static inline uint64_t random_u64(uint64_t *state) { /* xorshift64*; state is not 0 */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DU;
}

static inline size_t random_below(uint64_t *state, uint64_t bound) {
    return (size_t)((random_u64(state) >> 16) % bound);
}

/* Roughly Gaussian, standard deviation 1. */
static inline float random_float(uint64_t *state) {
    float sum = 0;
    for (int i = 0; i < 12; i++) sum += (float)(random_u64(state) >> 40) * 0x1p-24F;
    return sum - 6.0F;
}

/* Runs of 256 of different magnitude, so that rANS finds classes; exact zeros among them. */
static inline void fill_tensor(float *x, size_t n, uint64_t seed) {
    uint64_t state = seed * 2 + 1;
    for (size_t i = 0; i < n; i++) {
        float size = i / 256 % 3 == 0 ? 1.0F : (i / 256 % 3 == 1 ? 0.05F : 0.3F);
        x[i] = random_below(&state, 8) == 0 ? 0.0F : size * random_float(&state);
    }
}

/* Philox4x32 with 7 rounds, c in place (FORMAT.md section 8.1). */
static inline void philox(uint32_t k0, uint32_t k1, uint32_t c[4]) {
    for (int round = 0; round < 7; round++) {
        uint64_t a = (uint64_t)c[0] * 0xD2511F53U, b = (uint64_t)c[2] * 0xCD9E8D57U;
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        memcpy(c, next, sizeof next);
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
}

/* ---- schemes -------------------------------------------------------------------------------- */

static const float mirrored_table[3] = {0.125F, 0.4F, 1.0F};
static const float signed_table[6] = {-1.0F, -0.5F, -0.1F, 0.0F, 0.25F, 1.0F};

#define ROTATED 16 /* beside the rounding */

/* QSGD as it is used in practice: the largest magnitude, 7 levels. */
static inline qsgd_params params_qsgd(void) {
    qsgd_params p;
    qsgd_params_init(&p);
    p.norm = QSGD_NORM_MAX;
    return p;
}

/* One codec: fields that differ from params_qsgd. */
struct scheme {
    int32_t code, levels;
    uint32_t s;
    int32_t zero, rounding, norm;
};

static const struct scheme schemes[] = {
    {QSGD_CODE_RAW, 0, 7, 1, 0, 0},
    {QSGD_CODE_FIXED, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MAX},
    {QSGD_CODE_FIXED, QSGD_LEVELS_UNIFORM, 1, 0, QSGD_ROUND_NEAREST, QSGD_NORM_MEAN},
    {QSGD_CODE_FIXED, QSGD_LEVELS_OPEN, 7, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_RMS},
    {QSGD_CODE_FIXED, QSGD_LEVELS_SIGNED, 7, 1, QSGD_ROUND_DITHERED, QSGD_NORM_MAX},
    {QSGD_CODE_ELIAS_GAMMA, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_L2},
    {QSGD_CODE_ELIAS_GAMMA, QSGD_LEVELS_TABLE, 7, 0, QSGD_ROUND_DITHERED, QSGD_NORM_MAX},
    {QSGD_CODE_ELIAS_DELTA, QSGD_LEVELS_UNIFORM, 200, 0, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MAX},
    {QSGD_CODE_ELIAS_OMEGA, QSGD_LEVELS_SIGNED, 7, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MAX},
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, QSGD_LEVELS_EXPONENTIAL, 4, 1, QSGD_ROUND_STOCHASTIC,
     QSGD_NORM_L2},
    {QSGD_CODE_ELIAS_DELTA_SPARSE, QSGD_LEVELS_UNIFORM, 40, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_L2},
    {QSGD_CODE_ELIAS_OMEGA_SPARSE, QSGD_LEVELS_TABLE, 7, 1, QSGD_ROUND_NEAREST, QSGD_NORM_L2},
    {QSGD_CODE_RICE_SPARSE, QSGD_LEVELS_UNIFORM, 1, 1, QSGD_ROUND_TOPK, QSGD_NORM_L2},
    {QSGD_CODE_RICE_SPARSE, QSGD_LEVELS_UNIFORM, 15, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_L2},
    {QSGD_CODE_HUFFMAN, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MAX},
    {QSGD_CODE_HUFFMAN, QSGD_LEVELS_UNIFORM, 900, 0, QSGD_ROUND_DITHERED, QSGD_NORM_MAX},
    {QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MAX},
    {QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 5, 0, QSGD_ROUND_DITHERED, QSGD_NORM_L2},
    {QSGD_CODE_RANS, QSGD_LEVELS_EXPONENTIAL, 20, 0, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MAX},
    {QSGD_CODE_RANS, QSGD_LEVELS_OPEN, 7, 1, QSGD_ROUND_DITHERED, QSGD_NORM_RMS},
    {QSGD_CODE_RANS, QSGD_LEVELS_SIGNED, 7, 1, QSGD_ROUND_NEAREST, QSGD_NORM_MAX},
    {QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_DITHERED | ROTATED, QSGD_NORM_MAX},
    {QSGD_CODE_RICE_SPARSE, QSGD_LEVELS_UNIFORM, 2, 1, QSGD_ROUND_STOCHASTIC | ROTATED,
     QSGD_NORM_L2},
};
#define SCHEMES (sizeof schemes / sizeof *schemes)

/* Small buckets and chunks, several classes: every part of a frame occurs in a short tensor. */
static inline qsgd_params scheme_params(const struct scheme *scheme) {
    qsgd_params p = params_qsgd();
    p.code = scheme->code;
    p.levels = scheme->levels;
    p.s = scheme->s;
    p.zero = scheme->zero;
    p.rounding = scheme->rounding & ~ROTATED;
    p.rotation = scheme->rounding & ROTATED ? 1 : 0;
    p.norm = scheme->norm;
    p.bucket = 100;
    p.chunk_log2 = 10;
    p.classes = QSGD_CLASSES_ON;
    p.seed = 0x0123456789ABCDEF;
    if (p.levels == QSGD_LEVELS_OPEN) p.step = 0.01F;
    if (p.levels == QSGD_LEVELS_TABLE) {
        p.level_table = mirrored_table;
        p.level_table_len = 3;
    } else if (p.levels == QSGD_LEVELS_SIGNED) {
        p.level_table = signed_table;
        p.level_table_len = 6;
    }
    return p;
}

/* Rotation needs buckets within chunks, here of 1024 elements. */
static inline void set_bucket(qsgd_params *p, uint64_t bucket) {
    const bool fits = bucket > 0 && bucket <= 1024;
    p->bucket = p->rotation && !fits ? 1024 : bucket;
}

/* ---- frames --------------------------------------------------------------------------------- */

struct bytes {
    uint8_t *p;
    uint64_t n;
};

static inline struct bytes bytes_copy(const uint8_t *p, uint64_t n) {
    struct bytes b = {malloc((size_t)n + (n == 0)), n};
    if (n > 0) memcpy(b.p, p, (size_t)n);
    return b;
}

/* A frame of n elements of x, in memory of exactly its size; the caller frees it. */
static inline struct bytes encode_frame(const qsgd_params *params,
                                        const qsgd_encode_options *options, const void *x,
                                        uint64_t n) {
    const qsgd_sizes sizes = encode_sizes(params, options, n);
    qsgd_memory dst = odd_memory(sizes.dst_bytes), work = odd_memory(sizes.workspace_bytes);
    qsgd_error error = error_new();
    uint64_t bytes = 0;
    qsgd_status status = qsgd_encode(params, options, x, n, dst, work, &bytes, &error);
    CHECK(status == QSGD_OK);
    struct bytes frame = bytes_copy(dst.data, status == QSGD_OK ? bytes : 0);
    odd_free(dst);
    odd_free(work);
    return frame;
}

/* Decodes with a workspace of its own. */
static inline qsgd_status decode_frame_with(const qsgd_decode_options *options, const uint8_t *p,
                                            uint64_t size, void *dst, uint64_t n,
                                            qsgd_error *error) {
    qsgd_sizes sizes = sizes_new();
    qsgd_status status = qsgd_decode_sizes(p, size, options, &sizes, error);
    if (status != QSGD_OK) return status;
    qsgd_memory work = odd_memory(sizes.workspace_bytes);
    status = qsgd_decode(p, size, options, dst, n, work, error);
    odd_free(work);
    return status;
}

/* The same as the frame's dtype. */
static inline qsgd_status decode_frame(const uint8_t *p, uint64_t size, uint32_t flags, void *dst,
                                       uint64_t n, qsgd_error *error) {
    qsgd_decode_options options;
    qsgd_decode_options_init(&options);
    options.flags = flags;
    return decode_frame_with(&options, p, size, dst, n, error);
}

/* ---- shared tables --------------------------------------------------------------------------- */

/* Shared tables for every scheme of huffman and rans; none (0 bytes) for the others. */
struct table_sets {
    uint8_t blob[SCHEMES][160];
    uint64_t bytes[SCHEMES];
    qsgd_bytes at[SCHEMES]; /* as decode options want them: those that there are, in order */
    uint32_t count;
};

static inline uint64_t scheme_levels(const qsgd_params *p) {
    switch (p->levels) {
    case QSGD_LEVELS_OPEN: return 65535;
    case QSGD_LEVELS_SIGNED: return p->level_table_len;
    case QSGD_LEVELS_TABLE: return 2 * p->level_table_len + (p->zero ? 1U : 0U);
    default: return 2 * p->s + (p->zero ? 1U : 0U);
    }
}

#define TABLES_FROM 3000

/* From the level counts of a tensor. */
static inline uint64_t build_tables(const qsgd_params *p, uint8_t *dst) {
    const uint64_t count = scheme_levels(p), bound = qsgd_shared_tables_bound();
    double *weights = calloc((size_t)count, sizeof *weights);
    static float x[TABLES_FROM], scales[TABLES_FROM];
    static int16_t k[TABLES_FROM];
    const qsgd_quantized quantized = {k, scales, NULL, TABLES_FROM};
    uint64_t bytes = 0;
    qsgd_memory work = encode_workspace(p, NULL, TABLES_FROM);
    fill_tensor(x, TABLES_FROM, 1);
    CHECK(qsgd_quantize(p, NULL, x, &quantized, work, NULL) == QSGD_OK);
    for (size_t i = 0; i < TABLES_FROM; i++) { /* mirrored levels without 0 lack the middle */
        weights[(uint64_t)(k[i] + (int64_t)(count / 2)) - (!p->zero && k[i] > 0 ? 1U : 0U)] += 1;
    }
    odd_free(work);
    CHECK(qsgd_shared_tables_build(p, weights, count, (qsgd_memory){dst, bound}, &bytes, NULL) ==
          QSGD_OK);
    free(weights);
    return bytes;
}

static inline void fill_tables(struct table_sets *sets) {
    sets->count = 0;
    for (size_t i = 0; i < SCHEMES; i++) {
        const qsgd_params p = scheme_params(&schemes[i]);
        sets->bytes[i] = 0;
        if (p.code != QSGD_CODE_HUFFMAN && p.code != QSGD_CODE_RANS) continue;
        sets->bytes[i] = build_tables(&p, sets->blob[i]);
        sets->at[sets->count++] = (qsgd_bytes){sets->blob[i], sets->bytes[i]};
    }
}

static inline void offer_tables(const struct table_sets *sets, qsgd_decode_options *options) {
    options->shared_tables = sets->at;
    options->shared_tables_count = sets->count;
}

static inline void repair_header(uint8_t *p, uint64_t size) {
    if (size < 27) return;
    uint64_t header = load_le16(p + 6);
    if (header >= 27 && header <= size) {
        store_le32(p + header - 4, crc32c(p, (size_t)header - 4));
    }
}

/* Where the parts of a frame lie. */
struct parts {
    qsgd_frame_info info;
    qsgd_params params;
    float level_table[QSGD_MAX_LEVEL_TABLE];
    uint64_t index, entry, payload;
};

static inline bool frame_parts(const uint8_t *p, uint64_t size, struct parts *parts) {
    memset(parts, 0, sizeof *parts);
    parts->info = info_new();
    if (qsgd_inspect(p, size, &parts->info, NULL) != QSGD_OK) return false;
    qsgd_params_init(&parts->params);
    CHECK(qsgd_inspect_params(p, size, &parts->params, parts->level_table, NULL) == QSGD_OK);
    bool checksum = parts->params.checksum != 0;
    parts->entry = checksum ? 8 : 4;
    parts->index = parts->info.header_bytes;
    parts->payload = parts->index + parts->info.chunks * parts->entry + (checksum ? 4 : 0);
    return parts->payload <= size;
}

/* Bytes of a payload's head, which starts at p, of buckets that all have a scale. */
static inline uint64_t head_bytes(const struct parts *parts, uint64_t buckets, const uint8_t *p) {
    const uint64_t item = parts->params.scale_dtype == QSGD_BFLOAT16 ? 2 : 4;
    const uint64_t at = (parts->info.dithered ? 2 : 1) + item;
    return at + 1 + (buckets * (p[at] & 31) + 7) / 8;
}

/* Makes every checksum right that the damaged frame still has room for. */
static inline void repair_frame(uint8_t *p, uint64_t size) {
    struct parts parts;
    repair_header(p, size);
    if (!frame_parts(p, size, &parts) || parts.entry != 8) return;
    uint64_t at = parts.payload;
    for (uint64_t j = 0; j < parts.info.chunks; j++) {
        uint8_t *entry = p + parts.index + 8 * j;
        uint64_t bytes = load_le32(entry);
        if (bytes > size - at) break;
        store_le32(entry + 4, crc32c(p + at, (size_t)bytes));
        at += bytes;
    }
    uint64_t covered = parts.payload - 4 - parts.index;
    store_le32(p + parts.payload - 4, crc32c(p + parts.index, (size_t)covered));
}

/* Replaces `remove` bytes at `at`; the header's length does not change. */
static inline void splice(struct bytes *b, uint64_t at, uint64_t remove, const void *insert,
                          uint64_t count) {
    uint8_t *p = malloc((size_t)(b->n - remove + count) + 1);
    memcpy(p, b->p, (size_t)at);
    if (count > 0) memcpy(p + at, insert, (size_t)count);
    memcpy(p + at + count, b->p + at + remove, (size_t)(b->n - at - remove));
    free(b->p);
    b->p = realloc(p, (size_t)(b->n - remove + count) + (b->n - remove + count == 0));
    b->n = b->n - remove + count;
    if (b->n >= 16) store_le64(b->p + 8, b->n);
}

/* The same within the header, whose length follows. */
static inline void splice_header(struct bytes *b, uint64_t at, uint64_t remove, const void *insert,
                                 uint64_t count) {
    splice(b, at, remove, insert, count);
    store_le16(b->p + 6, (uint16_t)(load_le16(b->p + 6) + count - remove));
    repair_frame(b->p, b->n);
}

/* Replaces the payload of the last chunk. */
static inline void replace_payload(struct bytes *b, const void *payload, uint64_t count) {
    struct parts parts;
    if (!frame_parts(b->p, b->n, &parts)) return;
    uint8_t *entry = b->p + parts.index + (parts.info.chunks - 1) * parts.entry;
    uint64_t bytes = load_le32(entry);
    store_le32(entry, (uint32_t)count);
    splice(b, b->n - bytes, bytes, payload, count);
    repair_frame(b->p, b->n);
}

#endif
