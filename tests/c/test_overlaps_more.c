/* Overlapping buffers of the calls beside frames (qsgd_stages.h, qsgd_fit.h): tables, Elias codes,
 * statistics and fitted levels. Those of frames are test_overlaps.c's. */
#include "overlaps.h"
#include "qsgd_fit.h"

#define N 1300
#define ROOM 3000

static float x[N];
static double weights[15];
static uint64_t values[200];
static uint8_t coded[ROOM];
static uint64_t coded_bits, table_bytes, save_bytes, work_bytes; /* exactly */
static qsgd_stats *stats;
static uint8_t room[ROOM];

#define GIVEN(name, array, n) {name, (size_t)(n), 8, READ, array}
#define BYTES(name, n) {name, (size_t)(n), 1, WRITTEN, NULL}
#define LENGTH(name) {name, sizeof(uint64_t), 8, WRITTEN, NULL}

/* ---- stages -----------------------------------------------------------------------------------
 */

static void prepare_params(uint8_t *const *at) {
    qsgd_params p = params_qsgd();
    memcpy(at[0], &p, sizeof p);
}

static qsgd_status overlap_tables(uint8_t *const *at, qsgd_error *error) {
    return qsgd_shared_tables_build((void *)at[0], (void *)at[1], 15,
                                    (qsgd_memory){at[2], table_bytes}, (void *)at[3], error);
}

static qsgd_status overlap_elias_encode(uint8_t *const *at, qsgd_error *error) {
    return qsgd_elias_encode(QSGD_ELIAS_DELTA, (void *)at[0], 200,
                             (qsgd_memory){at[1], (coded_bits + 7) / 8}, (void *)at[2], error);
}

static qsgd_status overlap_elias_decode(uint8_t *const *at, qsgd_error *error) {
    return qsgd_elias_decode(QSGD_ELIAS_DELTA, at[0], coded_bits, 200, (void *)at[1], (void *)at[2],
                             error);
}

/* ---- statistics and levels --------------------------------------------------------------------
 */

static qsgd_status overlap_add(uint8_t *const *at, qsgd_error *error) {
    return qsgd_stats_add((void *)at[0], QSGD_FLOAT32, at[1], N, (qsgd_memory){at[2], work_bytes},
                          error);
}

static qsgd_status overlap_save(uint8_t *const *at, qsgd_error *error) {
    return qsgd_stats_save((void *)at[0], (qsgd_memory){at[1], save_bytes}, (void *)at[2], error);
}

static void prepare_fit(uint8_t *const *at) {
    qsgd_fit_options o;
    qsgd_fit fit;
    qsgd_params p = params_qsgd();
    qsgd_fit_options_init(&o);
    qsgd_fit_init(&fit);
    o.method = QSGD_FIT_NONE;
    o.start = QSGD_START_UNIFORM;
    memcpy(at[2], &fit, sizeof fit);
    memcpy(at[1], &o, sizeof o);
    memcpy(at[4], &p, sizeof p);
}

/* The same, with levels of a table. */
static void prepare_evaluate(uint8_t *const *at) {
    qsgd_params p;
    prepare_fit(at);
    p = params_qsgd();
    p.levels = QSGD_LEVELS_TABLE;
    p.level_table = (void *)at[5];
    p.level_table_len = 3;
    memcpy(at[4], &p, sizeof p);
}

static qsgd_memory fit_work_at(uint8_t *const *at) {
    return (qsgd_memory){at[3], qsgd_fit_workspace_bytes()};
}

static qsgd_status overlap_fit(uint8_t *const *at, qsgd_error *error) {
    return qsgd_fit_levels((void *)at[0], (void *)at[1], (void *)at[2], fit_work_at(at), error);
}

static qsgd_status overlap_evaluate(uint8_t *const *at, qsgd_error *error) {
    return qsgd_fit_evaluate((void *)at[0], (void *)at[1], (void *)at[4], (void *)at[2],
                             fit_work_at(at), error);
}

/* ---- the table --------------------------------------------------------------------------------
 */

static void stages(void) {
    const struct overlap_call calls[] = {
        {"shared_tables_build",
         {{"params", sizeof(qsgd_params), 8, READ, NULL},
          GIVEN("weights", weights, sizeof weights),
          BYTES("dst", table_bytes),
          LENGTH("bytes")},
         prepare_params,
         overlap_tables},
        {"elias_encode",
         {GIVEN("values", values, sizeof values), BYTES("dst", (coded_bits + 7) / 8),
          LENGTH("bits")},
         NULL,
         overlap_elias_encode},
        {"elias_decode",
         {GIVEN("src", coded, (coded_bits + 7) / 8),
          {"values", sizeof values, 8, WRITTEN, NULL},
          LENGTH("used")},
         NULL,
         overlap_elias_decode},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) overlaps_are_refused(&calls[i]);
}

static void fitting(void) {
    const size_t stats_bytes = (size_t)qsgd_stats_bytes(),
                 fit_bytes = (size_t)qsgd_fit_workspace_bytes();
    const struct overlap_call calls[] = {
        {"stats_add",
         {{"stats", stats_bytes, 8, UPDATED, stats},
          GIVEN("src", x, sizeof x),
          BYTES("workspace", work_bytes)},
         NULL,
         overlap_add},
        {"stats_save",
         {GIVEN("stats", stats, stats_bytes), BYTES("dst", save_bytes), LENGTH("bytes")},
         NULL,
         overlap_save},
        {"fit_levels",
         {GIVEN("stats", stats, stats_bytes),
          {"options", sizeof(qsgd_fit_options), 8, READ, NULL},
          {"fit", sizeof(qsgd_fit), 8, UPDATED, NULL},
          BYTES("workspace", fit_bytes),
          {"unused", sizeof(qsgd_params), 8, READ, NULL}},
         prepare_fit,
         overlap_fit},
        {"fit_evaluate",
         {GIVEN("stats", stats, stats_bytes),
          {"options", sizeof(qsgd_fit_options), 8, READ, NULL},
          {"fit", sizeof(qsgd_fit), 8, UPDATED, NULL},
          BYTES("workspace", fit_bytes),
          {"params", sizeof(qsgd_params), 8, READ, NULL},
          GIVEN("level_table", mirrored_table, sizeof mirrored_table)},
         prepare_evaluate,
         overlap_evaluate},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) overlaps_are_refused(&calls[i]);
}

/* The levels of a fit may be evaluated into that fit. */
static void a_fit_is_evaluated_in_its_place(void) {
    qsgd_fit_options o;
    qsgd_fit fit;
    qsgd_params p;
    const qsgd_memory work = odd_memory(qsgd_fit_workspace_bytes());
    qsgd_fit_options_init(&o);
    qsgd_fit_init(&fit);
    p = params_qsgd();
    CHECK(qsgd_fit_levels(stats, &o, &fit, work, NULL) == QSGD_OK);
    const qsgd_fit before = fit;
    p.levels = fit.levels;
    p.level_table = fit.level_table;
    p.level_table_len = fit.level_table_len;
    CHECK(qsgd_fit_evaluate(stats, &o, &p, &fit, work, NULL) == QSGD_OK);
    CHECK(fit.variance == before.variance && fit.entropy == before.entropy);
    CHECK(memcmp(fit.level_table, before.level_table, p.level_table_len * sizeof(float)) == 0);
    odd_free(work);
}

static void prepare(void) {
    qsgd_params params;
    qsgd_sizes sizes = sizes_new();
    fill_tensor(x, N, 2);
    for (int i = 0; i < 15; i++) weights[i] = 1 + i;
    for (uint64_t i = 0; i < 200; i++) values[i] = 1 + i * i;
    CHECK(qsgd_elias_encode(QSGD_ELIAS_DELTA, values, 200, (qsgd_memory){coded, ROOM}, &coded_bits,
                            NULL) == QSGD_OK);
    params = params_qsgd();
    CHECK(qsgd_shared_tables_build(&params, weights, 15, (qsgd_memory){room, ROOM}, &table_bytes,
                                   NULL) == QSGD_OK);
    stats = malloc((size_t)qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params, NULL) == QSGD_OK);
    CHECK(qsgd_stats_sizes(stats, QSGD_FLOAT32, N, &sizes, NULL) == QSGD_OK);
    work_bytes = sizes.workspace_bytes;
    const qsgd_memory work = odd_memory(work_bytes);
    CHECK(qsgd_stats_add(stats, QSGD_FLOAT32, x, N, work, NULL) == QSGD_OK);
    odd_free(work);
    CHECK(qsgd_stats_save(stats, (qsgd_memory){room, ROOM}, &save_bytes, NULL) == QSGD_OK);
}

int main(void) {
    prepare();
    stages();
    fitting();
    a_fit_is_evaluated_in_its_place();
    free(stats);
    return check_result();
}
