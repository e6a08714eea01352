/* Structs that may grow (qsgd.h): of every size, what an _init and the calls do with them. Memory
 * is exactly as long as a struct claims to be, so that the sanitizer sees every byte past it. */
#include "structs_support.h"

#define LARGEST 4096 /* of any struct */

typedef qsgd_status (*init_function)(void *, size_t);
typedef qsgd_status (*use_function)(void *, qsgd_error *);

#define INIT_SIZED(name)                                                                           \
    static qsgd_status name##_sized(void *p, size_t size) {                                        \
        return qsgd_##name##_init_sized(p, size);                                                  \
    }
INIT_SIZED(params)
INIT_SIZED(encode_options)
INIT_SIZED(decode_options)
INIT_SIZED(fit_options)
INIT_SIZED(error)
INIT_SIZED(sizes)
INIT_SIZED(frame_info)
INIT_SIZED(stats_info)
INIT_SIZED(fit)

enum absence { REFUSED, ALLOWED, UNTRIED }; /* a NULL pointer to the struct */

static const struct kind {
    const char *parameter;
    size_t known; /* of this version */
    init_function init;
    void (*values)(void *); /* another start than the defaults; or NULL */
    bool output;
    enum absence absent;
    use_function uses[12];
} kinds[] = {
    {"params",
     sizeof(qsgd_params),
     params_sized,
     init_params,
     false,
     REFUSED,
     {by_params_check, by_encode_sizes, by_encode, by_encode_alloc, by_quantize, by_dequantize,
      by_encode_indices, by_turn_indices, by_tables_build, by_stats_init, by_fit_evaluate}},
    {"options",
     sizeof(qsgd_encode_options),
     encode_options_sized,
     NULL,
     false,
     ALLOWED,
     {options_encode_sizes, options_encode, options_encode_alloc, options_quantize,
      options_dequantize, options_encode_indices}},
    {"options",
     sizeof(qsgd_decode_options),
     decode_options_sized,
     NULL,
     false,
     ALLOWED,
     {options_decode_sizes, options_decode, options_decode_alloc, options_decode_add,
      options_decode_sum, options_decode_range, options_decode_indices, options_encode_like}},
    {"options",
     sizeof(qsgd_fit_options),
     fit_options_sized,
     init_fit_options,
     false,
     UNTRIED,
     {options_fit_levels, options_fit_evaluate}},
    {"sizes",
     sizeof(qsgd_sizes),
     sizes_sized,
     NULL,
     true,
     REFUSED,
     {sizes_of_encode, sizes_of_decode, sizes_of_stats}},
    {"info", sizeof(qsgd_frame_info), frame_info_sized, NULL, true, REFUSED, {info_of_inspect}},
    {"info",
     sizeof(qsgd_frame_info),
     frame_info_sized,
     NULL,
     true,
     ALLOWED,
     {info_of_decode_alloc}},
    {"params", sizeof(qsgd_params), params_sized, NULL, true, REFUSED, {params_of_inspect}},
    {"info", sizeof(qsgd_stats_info), stats_info_sized, NULL, true, REFUSED, {info_of_stats}},
    {"fit", sizeof(qsgd_fit), fit_sized, NULL, true, REFUSED, {fit_of_levels, fit_of_evaluate}},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* ---- every size ------------------------------------------------------------------------------ */

/* Of the header in tests/abi/0.1, or 0 where the struct has not grown since. */
static size_t earlier(const struct kind *kind) {
    if (kind->init == params_sized) return offsetof(qsgd_params, feedback_decay);
    if (kind->init == encode_options_sized) return offsetof(qsgd_encode_options, origin);
    if (kind->init == frame_info_sized) return offsetof(qsgd_frame_info, norm);
    return kind->init == stats_info_sized ? offsetof(qsgd_stats_info, zeros) : 0;
}

static bool legal(const struct kind *kind, uint64_t size) {
    return (size >= kind->known && size <= LARGEST) || (size > 0 && size == earlier(kind));
}

/* Programs of 0.1 go on with the defaults of 0.1: QSGD by the largest magnitude. */
static void defaults_of_earlier(const struct kind *kind, void *whole) {
    if (kind->init != params_sized) return;
    qsgd_params *params = whole;
    params->norm = QSGD_NORM_MAX;
    params->levels = QSGD_LEVELS_UNIFORM;
    params->rounding = QSGD_ROUND_STOCHASTIC;
}

static bool all(const uint8_t *p, size_t from, size_t to, uint8_t value) {
    for (size_t i = from; i < to; i++) {
        if (p[i] != value) return false;
    }
    return true;
}

/* A struct that calls take, with that size, in memory of so many bytes. The tail is `tail`. */
static uint8_t *struct_new(const struct kind *kind, uint32_t size, size_t room, uint8_t tail) {
    _Alignas(16) uint8_t whole[LARGEST];
    uint8_t *p = malloc(room);
    CHECK(kind->init(whole, kind->known) == QSGD_OK);
    if (kind->values != NULL) kind->values(whole);
    memcpy(p, whole, room < kind->known ? room : kind->known);
    if (room > kind->known) memset(p + kind->known, tail, room - kind->known);
    memcpy(p, &size, sizeof size);
    return p;
}

static void inits_fill_structs_of_known_and_later_sizes(const struct kind *kind) {
    _Alignas(16) uint8_t whole[LARGEST];
    for (size_t size = 0; size <= LARGEST; size++) {
        uint8_t *p = malloc(size + (size == 0));
        uint32_t written = 0;
        memset(p, 0x5A, size);
        CHECK(kind->init(p, size) == (legal(kind, size) ? QSGD_OK : QSGD_ERR_STRUCT_SIZE));
        if (legal(kind, size)) {
            CHECK(kind->init(whole, kind->known) == QSGD_OK);
            if (size < kind->known) defaults_of_earlier(kind, whole);
            memcpy(&written, p, sizeof written);
            const size_t known = size < kind->known ? size : kind->known;
            CHECK(written == size && memcmp(p + 4, whole + 4, known - 4) == 0);
            CHECK(all(p, known, size, 0));
        } else {
            CHECK(all(p, 0, size, 0x5A));
        }
        free(p);
    }
    static const uint64_t too_large[] = {LARGEST + 1, 65536, UINT32_MAX, SIZE_MAX};
    uint8_t *p = struct_new(kind, 0, kind->known, 0), *before = struct_new(kind, 0, kind->known, 0);
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        CHECK(kind->init(p, (size_t)too_large[i]) == QSGD_ERR_STRUCT_SIZE);
    }
    if (SIZE_MAX > UINT32_MAX) { /* the low half is right */
        CHECK(kind->init(p, (size_t)(((uint64_t)1 << 32) + kind->known)) == QSGD_ERR_STRUCT_SIZE);
    }
    CHECK(memcmp(p, before, kind->known) == 0);
    CHECK(kind->init(NULL, kind->known) == QSGD_ERR_NULL);
    free(before);
    free(p);
}

/* Memory of 4 bytes at least, where a call looks for struct_size. */
static void calls_refuse_sizes_of_no_version(const struct kind *kind, use_function use) {
    for (uint32_t size = 0; size <= LARGEST + 8; size++) {
        if (legal(kind, size)) continue;
        const size_t room = size < 4 ? 4 : (size > LARGEST ? kind->known : size);
        uint8_t *p = struct_new(kind, size, room, 0), *before = struct_new(kind, size, room, 0);
        qsgd_error error = error_new();
        CHECK(use(p, &error) == QSGD_ERR_STRUCT_SIZE);
        CHECK(error_names(&error, QSGD_ERR_STRUCT_SIZE, kind->parameter));
        CHECK(memcmp(p, before, room) == 0);
        free(before);
        free(p);
    }
    static const uint32_t too_large[] = {65536, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
        uint8_t *p = struct_new(kind, too_large[i], kind->known, 0);
        CHECK(use(p, NULL) == QSGD_ERR_STRUCT_SIZE);
        free(p);
    }
}

/* Zeros that this version does not know; then any of them another byte. */
static void calls_take_later_structs_without_new_values(const struct kind *kind, use_function use) {
    uint64_t state = 7;
    for (uint32_t size = (uint32_t)kind->known; size <= LARGEST; size++) {
        uint8_t *p = struct_new(kind, size, size, 0), *before = struct_new(kind, size, size, 0);
        const size_t tail = size - kind->known;
        CHECK(use(p, NULL) == QSGD_OK);
        for (int i = 0; i < 3 && tail > 0; i++) {
            const size_t at = i == 0 ? 0 : (i == 1 ? tail - 1 : random_below(&state, tail));
            qsgd_error error = error_new();
            p[kind->known + at] = before[kind->known + at] = (uint8_t)(1U << size % 8);
            CHECK(use(p, &error) == QSGD_ERR_STRUCT_SIZE);
            CHECK(error_names(&error, QSGD_ERR_STRUCT_SIZE, kind->parameter));
            p[kind->known + at] = before[kind->known + at] = 0;
        }
        CHECK(memcmp(p, before, size) == 0); /* an input is not written */
        free(before);
        free(p);
    }
    uint8_t *p = struct_new(kind, LARGEST, LARGEST, 0);
    for (size_t at = kind->known; at < LARGEST; at++) { /* each of them, once */
        p[at] = 0x80;
        CHECK(use(p, NULL) == QSGD_ERR_STRUCT_SIZE);
        p[at] = 0;
    }
    free(p);
}

/* What this version knows is written, and what it does not know stays. */
static void calls_fill_later_structs_as_far_as_they_know(const struct kind *kind,
                                                         use_function use) {
    uint8_t *whole = struct_new(kind, (uint32_t)kind->known, kind->known, 0);
    CHECK(use(whole, NULL) == QSGD_OK);
    for (uint32_t size = (uint32_t)kind->known; size <= LARGEST; size++) {
        const uint8_t tail = (uint8_t)(size % 2 == 0 ? 0 : 0x5A);
        uint8_t *p = struct_new(kind, size, size, tail);
        uint32_t written;
        CHECK(use(p, NULL) == QSGD_OK);
        memcpy(&written, p, sizeof written);
        CHECK(written == size && memcmp(p + 4, whole + 4, kind->known - 4) == 0);
        CHECK(all(p, kind->known, size, tail));
        free(p);
    }
    free(whole);
}

/* An earlier version's is as long as it says, and reads or receives what it has. */
static void calls_take_earlier_structs(const struct kind *kind, use_function use) {
    const size_t size = earlier(kind);
    if (size == 0) return;
    uint8_t *whole = struct_new(kind, (uint32_t)kind->known, kind->known, 0);
    uint8_t *p = struct_new(kind, (uint32_t)size, size, 0);
    CHECK(use(whole, NULL) == QSGD_OK);
    CHECK(use(p, NULL) == QSGD_OK);
    CHECK(memcmp(p + 4, whole + 4, size - 4) == 0);
    free(p);
    free(whole);
}

static void absent_structs_are_named(const struct kind *kind, use_function use) {
    qsgd_error error = error_new();
    if (kind->absent == ALLOWED) CHECK(use(NULL, &error) == QSGD_OK);
    if (kind->absent == REFUSED) {
        CHECK(use(NULL, &error) == QSGD_ERR_NULL);
        CHECK(error_names(&error, QSGD_ERR_NULL, kind->parameter));
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* They are written where their size is known, and never keep a call from saying its status. */
static void errors_of_any_size_do_not_change_the_status(void) {
    qsgd_error whole = error_new();
    const size_t known = sizeof whole;
    uint64_t bytes = 77;
    CHECK(qsgd_frame_size(with.frame, 7, UINT64_MAX, &bytes, &whole) == QSGD_ERR_NEED_MORE);
    CHECK(whole.status == QSGD_ERR_NEED_MORE && whole.offset == 7 && whole.reason != NULL);
    for (uint32_t size = 0; size <= LARGEST + 8; size++) {
        const size_t room = size < 4 ? 4 : (size > LARGEST ? known : size);
        const bool written = size >= known && size <= LARGEST;
        uint8_t *p = malloc(room);
        memset(p, 0x5A, room);
        memcpy(p, &size, sizeof size);
        CHECK(qsgd_frame_size(with.frame, 7, UINT64_MAX, &bytes, (qsgd_error *)p) ==
              QSGD_ERR_NEED_MORE);
        CHECK(bytes == 77);
        if (written) CHECK(memcmp(p + 4, (uint8_t *)&whole + 4, known - 4) == 0);
        CHECK(all(p, written ? known : 4, room, 0x5A));
        CHECK(memcmp(p, &size, 4) == 0);
        free(p);
    }
}

static void errors_start_empty(void) {
    const qsgd_error error = error_new();
    CHECK(error.status == QSGD_OK && error.parameter == NULL && error.reason != NULL);
    CHECK(error.offset == UINT64_MAX && error.element == UINT64_MAX);
    CHECK(error.bucket == UINT64_MAX && error.frame == UINT64_MAX && error.needed == UINT64_MAX);
}

static void init_errors(void) {
    const struct kind kind = {"error", sizeof(qsgd_error), error_sized, NULL, true, REFUSED,
                              {NULL}};
    inits_fill_structs_of_known_and_later_sizes(&kind);
}

static void prepare(void) {
    fill_tensor(with.x, N, 3);
    with.params = params_qsgd();
    const qsgd_sizes sizes = encode_sizes(&with.params, NULL, N);
    with.quantized = (qsgd_quantized){with.indices, with.scales, with.damping, N};
    with.dst = odd_memory(sizes.dst_bytes);
    struct bytes b = encode_frame(&with.params, NULL, with.x, N);
    memcpy(with.frame, b.p, (size_t)b.n);
    with.frame_bytes = b.n;
    free(b.p);
    const uint64_t decode = decode_sizes(with.frame, with.frame_bytes, NULL).workspace_bytes;
    with.work = odd_memory(decode > sizes.workspace_bytes ? decode : sizes.workspace_bytes);
    with.fit_work = odd_memory(qsgd_fit_workspace_bytes());
    with.stats = malloc((size_t)qsgd_stats_bytes());
    CHECK(qsgd_stats_init(with.stats, &with.params, NULL) == QSGD_OK);
    CHECK(qsgd_quantize(&with.params, NULL, with.x, &with.quantized, with.work, NULL) == QSGD_OK);
}

int main(void) {
    prepare();
    for (size_t i = 0; i < KINDS; i++) {
        inits_fill_structs_of_known_and_later_sizes(&kinds[i]);
        for (const use_function *use = kinds[i].uses; *use != NULL; use++) {
            calls_refuse_sizes_of_no_version(&kinds[i], *use);
            if (kinds[i].output) calls_fill_later_structs_as_far_as_they_know(&kinds[i], *use);
            if (!kinds[i].output) calls_take_later_structs_without_new_values(&kinds[i], *use);
            calls_take_earlier_structs(&kinds[i], *use);
            absent_structs_are_named(&kinds[i], *use);
        }
    }
    init_errors();
    errors_of_any_size_do_not_change_the_status();
    errors_start_empty();
    odd_free(with.dst);
    odd_free(with.work);
    odd_free(with.fit_work);
    free(with.stats);
    return check_result();
}
