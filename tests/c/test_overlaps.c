/* Overlapping buffers (qsgd.h): whatever a call writes shares no byte with what it reads or with
 * what else it writes; else it says which, and writes nothing. */
#include "overlaps.h"
#include "qsgd_fit.h"

#define N 1300
#define ROOM 40000 /* of frames and workspaces; less is used of most */

static float x[N], given_scales[N / 100];
static const uint64_t shape[2] = {13, 100};
static const char tag[] = "a tag of some length";
static uint8_t shared[160], frame[ROOM];
static uint64_t shared_bytes, frame_bytes, work_bytes, dst_bytes, plain_dst_bytes;
static uint64_t decode_work_bytes;
static int16_t indices[N];
static float scales[N / 100];
static uint8_t damping[2]; /* of as many chunks */

#define BYTES(name, n, use) {name, (size_t)(n), 1, use, NULL}
#define STRUCT(name, type) {name, sizeof(type), _Alignof(type), READ, NULL}
#define GIVEN(name, array, n) {name, (size_t)(n), _Alignof(uint64_t), READ, array}

/* Levels of a table, and shared tables for them. */
static qsgd_params table_params(void) {
    qsgd_params p = scheme_params(&(struct scheme){QSGD_CODE_RANS, QSGD_LEVELS_TABLE, 7, 1,
                                                   QSGD_ROUND_DITHERED, QSGD_NORM_MAX});
    p.shared_tables = shared;
    p.shared_tables_bytes = shared_bytes;
    return p;
}

/* ---- forward ----------------------------------------------------------------------------------
 */

enum {
    IN_PARAMS,
    IN_OPTIONS,
    IN_LEVELS,
    IN_TABLES,
    IN_SHAPE,
    IN_TAG,
    IN_SRC,
    OUT_WORK,
    OUT_RESIDUAL,
    OUT_DST,
    OUT_BYTES
};

static void prepare_encode(uint8_t *const *at) {
    qsgd_params p = table_params();
    qsgd_encode_options o;
    p.level_table = (void *)at[IN_LEVELS];
    p.shared_tables = at[IN_TABLES];
    qsgd_encode_options_init(&o);
    o.ndim = 2;
    o.shape = (void *)at[IN_SHAPE];
    o.tag = at[IN_TAG];
    o.tag_bytes = sizeof tag;
    o.residual = (void *)at[OUT_RESIDUAL];
    memcpy(at[IN_PARAMS], &p, sizeof p);
    memcpy(at[IN_OPTIONS], &o, sizeof o);
}

static qsgd_status overlap_encode(uint8_t *const *at, qsgd_error *error) {
    return qsgd_encode((void *)at[IN_PARAMS], (void *)at[IN_OPTIONS], at[IN_SRC], N,
                       (qsgd_memory){at[OUT_DST], dst_bytes},
                       (qsgd_memory){at[OUT_WORK], work_bytes}, (void *)at[OUT_BYTES], error);
}

static void prepare_scaled(uint8_t *const *at) {
    const qsgd_params p = table_params();
    qsgd_encode_options o;
    qsgd_encode_options_init(&o);
    o.scales = (void *)at[2];
    memcpy(at[0], &p, sizeof p);
    memcpy(at[1], &o, sizeof o);
}

static qsgd_status overlap_encode_scaled(uint8_t *const *at, qsgd_error *error) {
    return qsgd_encode((void *)at[0], (void *)at[1], at[3], N,
                       (qsgd_memory){at[5], plain_dst_bytes}, (qsgd_memory){at[4], work_bytes},
                       (void *)at[6], error);
}

enum { Q_PARAMS, Q_OPTIONS, Q_INDICES, Q_SCALES, Q_DAMPING, Q_WORK, Q_DST, Q_BYTES, Q_GIVEN };

static qsgd_quantized quantized_at(uint8_t *const *at) {
    return (qsgd_quantized){(void *)at[Q_INDICES], (void *)at[Q_SCALES], at[Q_DAMPING], N};
}

static void prepare_quantized(uint8_t *const *at) {
    const qsgd_params p = table_params();
    qsgd_encode_options o;
    qsgd_encode_options_init(&o);
    memcpy(at[Q_PARAMS], &p, sizeof p);
    memcpy(at[Q_OPTIONS], &o, sizeof o);
}

static void prepare_quantize(uint8_t *const *at) {
    prepare_quantized(at);
    qsgd_encode_options o;
    qsgd_encode_options_init(&o);
    o.scales = (void *)at[Q_GIVEN];
    memcpy(at[Q_OPTIONS], &o, sizeof o);
}

/* The source lies where others have their destination. */
static qsgd_status overlap_quantize(uint8_t *const *at, qsgd_error *error) {
    const qsgd_quantized out = quantized_at(at);
    return qsgd_quantize((void *)at[Q_PARAMS], (void *)at[Q_OPTIONS], at[Q_DST], &out,
                         (qsgd_memory){at[Q_WORK], work_bytes}, error);
}

static qsgd_status overlap_dequantize(uint8_t *const *at, qsgd_error *error) {
    const qsgd_quantized from = quantized_at(at);
    return qsgd_dequantize((void *)at[Q_PARAMS], (void *)at[Q_OPTIONS], &from, at[Q_DST],
                           (qsgd_memory){at[Q_WORK], work_bytes}, error);
}

static qsgd_status overlap_encode_indices(uint8_t *const *at, qsgd_error *error) {
    const qsgd_quantized from = quantized_at(at);
    return qsgd_encode_indices((void *)at[Q_PARAMS], (void *)at[Q_OPTIONS], &from,
                               (qsgd_memory){at[Q_DST], plain_dst_bytes},
                               (qsgd_memory){at[Q_WORK], work_bytes}, (void *)at[Q_BYTES], error);
}

static qsgd_status overlap_turn(uint8_t *const *at, qsgd_error *error) {
    const qsgd_quantized in_place = {(void *)at[1], (void *)at[2], NULL, N};
    return qsgd_turn_indices((void *)at[0], 7, &in_place, error);
}

static void prepare_turn(uint8_t *const *at) {
    const qsgd_params p = table_params();
    memcpy(at[0], &p, sizeof p);
}

/* ---- back -------------------------------------------------------------------------------------
 */

enum { D_FRAME, D_OPTIONS, D_LIST, D_TABLES, D_WORK, D_DST, D_SCALES, D_DAMPING, D_FRAMES };

static void prepare_decode(uint8_t *const *at) {
    qsgd_decode_options o;
    const qsgd_bytes list = {at[D_TABLES], shared_bytes};
    qsgd_decode_options_init(&o);
    o.shared_tables = (void *)at[D_LIST];
    o.shared_tables_count = 1;
    memcpy(at[D_OPTIONS], &o, sizeof o);
    memcpy(at[D_LIST], &list, sizeof list);
}

static qsgd_memory decode_work_at(uint8_t *const *at) {
    return (qsgd_memory){at[D_WORK], decode_work_bytes};
}

static qsgd_status overlap_decode(uint8_t *const *at, qsgd_error *error) {
    return qsgd_decode(at[D_FRAME], frame_bytes, (void *)at[D_OPTIONS], at[D_DST], N,
                       decode_work_at(at), error);
}

static qsgd_status overlap_decode_add(uint8_t *const *at, qsgd_error *error) {
    return qsgd_decode_add(at[D_FRAME], frame_bytes, (void *)at[D_OPTIONS], 1, (void *)at[D_DST], N,
                           decode_work_at(at), error);
}

static qsgd_status overlap_decode_range(uint8_t *const *at, qsgd_error *error) {
    return qsgd_decode_range(at[D_FRAME], frame_bytes, (void *)at[D_OPTIONS], 50, N - 50, at[D_DST],
                             decode_work_at(at), error);
}

static void prepare_sum(uint8_t *const *at) {
    const qsgd_weighted_frame one = {at[D_FRAME], frame_bytes, 1, 0};
    prepare_decode(at);
    memcpy(at[D_FRAMES], &one, sizeof one);
}

static qsgd_status overlap_decode_sum(uint8_t *const *at, qsgd_error *error) {
    return qsgd_decode_sum((void *)at[D_FRAMES], 1, (void *)at[D_OPTIONS], (void *)at[D_DST], N,
                           decode_work_at(at), error);
}

static qsgd_status overlap_decode_indices(uint8_t *const *at, qsgd_error *error) {
    const qsgd_quantized out = {(void *)at[D_DST], (void *)at[D_SCALES], at[D_DAMPING], N};
    return qsgd_decode_indices(at[D_FRAME], frame_bytes, (void *)at[D_OPTIONS], &out,
                               decode_work_at(at), error);
}

enum { L_INDICES = D_DST, L_DST = D_FRAMES, L_BYTES };

static qsgd_status overlap_like(uint8_t *const *at, qsgd_error *error) {
    const qsgd_quantized from = {(void *)at[L_INDICES], (void *)at[D_SCALES], at[D_DAMPING], N};
    return qsgd_encode_indices_like(at[D_FRAME], frame_bytes, (void *)at[D_OPTIONS], &from,
                                    (qsgd_memory){at[L_DST], frame_bytes}, decode_work_at(at),
                                    (void *)at[L_BYTES], error);
}

/* ---- the table --------------------------------------------------------------------------------
 */

#define DECODE_IN                                                                                  \
    GIVEN("frame", frame, frame_bytes), STRUCT("options", qsgd_decode_options),                    \
        STRUCT("shared_tables", qsgd_bytes), GIVEN("shared_tables", shared, shared_bytes),         \
        BYTES("workspace", decode_work_bytes, WRITTEN)
#define FLOATS(name) {name, sizeof x, _Alignof(float), WRITTEN, NULL}
#define QUANTIZED(use)                                                                             \
    {"indices", sizeof indices, 2, use, use == WRITTEN ? NULL : indices},                          \
        {"scales", sizeof scales, 4, use, use == WRITTEN ? NULL : scales}, {                       \
        "damping", sizeof damping, 1, use, use == WRITTEN ? NULL : damping                         \
    }
#define LENGTH(name) {name, sizeof(uint64_t), _Alignof(uint64_t), WRITTEN, NULL}

static void forward(void) {
    const struct overlap_call calls[] = {
        {"encode",
         {STRUCT("params", qsgd_params),
          STRUCT("options", qsgd_encode_options),
          GIVEN("level_table", mirrored_table, sizeof mirrored_table),
          GIVEN("shared_tables", shared, shared_bytes),
          GIVEN("shape", shape, sizeof shape),
          GIVEN("tag", tag, sizeof tag),
          GIVEN("src", x, sizeof x),
          BYTES("workspace", work_bytes, WRITTEN),
          {"residual", sizeof x, _Alignof(float), WRITTEN, x},
          BYTES("dst", dst_bytes, WRITTEN),
          LENGTH("frame_bytes")},
         prepare_encode,
         overlap_encode},
        {"encode with scales", /* which exclude a residual */
         {STRUCT("params", qsgd_params), STRUCT("options", qsgd_encode_options),
          GIVEN("scales", given_scales, sizeof given_scales), GIVEN("src", x, sizeof x),
          BYTES("workspace", work_bytes, WRITTEN), BYTES("dst", plain_dst_bytes, WRITTEN),
          LENGTH("frame_bytes")},
         prepare_scaled,
         overlap_encode_scaled},
        {"quantize",
         {STRUCT("params", qsgd_params), STRUCT("options", qsgd_encode_options), QUANTIZED(WRITTEN),
          BYTES("workspace", work_bytes, WRITTEN), GIVEN("src", x, sizeof x), UNUSED,
          GIVEN("scales", given_scales, sizeof given_scales)},
         prepare_quantize,
         overlap_quantize},
        {"dequantize",
         {STRUCT("params", qsgd_params), STRUCT("options", qsgd_encode_options), QUANTIZED(READ),
          BYTES("workspace", work_bytes, WRITTEN), FLOATS("dst")},
         prepare_quantized,
         overlap_dequantize},
        {"encode_indices",
         {STRUCT("params", qsgd_params), STRUCT("options", qsgd_encode_options), QUANTIZED(READ),
          BYTES("workspace", work_bytes, WRITTEN), BYTES("dst", plain_dst_bytes, WRITTEN),
          LENGTH("frame_bytes")},
         prepare_quantized,
         overlap_encode_indices},
        {"turn_indices",
         {STRUCT("params", qsgd_params),
          {"indices", sizeof indices, 2, WRITTEN, indices},
          {"scales", sizeof scales, 4, READ, scales}},
         prepare_turn,
         overlap_turn},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) overlaps_are_refused(&calls[i]);
}

static void back(void) {
    const struct overlap_call calls[] = {
        {"decode", {DECODE_IN, FLOATS("dst")}, prepare_decode, overlap_decode},
        {"decode_add",
         {DECODE_IN, {"acc", sizeof x, 4, WRITTEN, x}},
         prepare_decode,
         overlap_decode_add},
        {"decode_range",
         {DECODE_IN, {"dst", (N - 100) * 4, 4, WRITTEN, NULL}},
         prepare_decode,
         overlap_decode_range},
        {"decode_sum",
         {DECODE_IN, FLOATS("out"), UNUSED, UNUSED, STRUCT("frames", qsgd_weighted_frame)},
         prepare_sum,
         overlap_decode_sum},
        {"decode_indices", {DECODE_IN, QUANTIZED(WRITTEN)}, prepare_decode, overlap_decode_indices},
        {"encode_indices_like",
         {DECODE_IN, QUANTIZED(READ), BYTES("dst", frame_bytes, WRITTEN), LENGTH("frame_bytes")},
         prepare_decode,
         overlap_like},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) overlaps_are_refused(&calls[i]);
}

static void prepare(void) {
    fill_tensor(x, N, 2);
    for (int b = 0; b < N / 100; b++) given_scales[b] = 1 + (float)b;
    qsgd_params p = table_params();
    p.shared_tables = NULL;
    p.shared_tables_bytes = 0;
    shared_bytes = build_tables(&p, shared);
    p = table_params();
    qsgd_encode_options o;
    qsgd_encode_options_init(&o);
    o.tag_bytes = sizeof tag;
    o.residual = x;
    const qsgd_sizes sizes = encode_sizes(&p, &o, N);
    work_bytes = sizes.workspace_bytes;
    dst_bytes = sizes.dst_bytes;
    plain_dst_bytes = encode_sizes(&p, NULL, N).dst_bytes; /* without a tag */
    struct bytes b = encode_frame(&p, NULL, x, N);
    CHECK(b.n <= sizeof frame);
    memcpy(frame, b.p, (size_t)b.n);
    frame_bytes = b.n;
    free(b.p);
    qsgd_decode_options d;
    const qsgd_bytes list = {shared, shared_bytes};
    qsgd_decode_options_init(&d);
    d.shared_tables = &list;
    d.shared_tables_count = 1;
    const qsgd_weighted_frame one = {frame, frame_bytes, 1, 0};
    qsgd_sizes sums = sizes_new(); /* no less than of a frame by itself */
    CHECK(qsgd_decode_sum_sizes(&one, 1, &d, N, &sums, NULL) == QSGD_OK);
    decode_work_bytes = sums.workspace_bytes;
    CHECK(decode_work_bytes >= decode_sizes(frame, frame_bytes, &d).workspace_bytes);
    const qsgd_memory work = odd_memory(decode_work_bytes);
    const qsgd_quantized out = {indices, scales, damping, N};
    CHECK(qsgd_decode_indices(frame, frame_bytes, &d, &out, work, NULL) == QSGD_OK);
    odd_free(work);
}

int main(void) {
    prepare();
    forward();
    back();
    return check_result();
}
