/* Parameters: which are out of range or senseless together, with which status and by which name
 * (qsgd.h, FORMAT.md section 4.2). */
#include "setup.h"

enum { FIELD_INT, FIELD_FLOAT };

#define INT(field, value) offsetof(qsgd_params, field), FIELD_INT, value, 0, #field
#define FLOAT(field, value) offsetof(qsgd_params, field), FIELD_FLOAT, 0, value, #field

static const struct {
    size_t offset;
    int kind;
    int64_t integer;
    float real;
    const char *name;
    qsgd_status status;
} bad_params[] = {
    {INT(norm, -1), QSGD_ERR_PARAM},
    {INT(norm, 5), QSGD_ERR_PARAM},
    {INT(levels, -1), QSGD_ERR_PARAM},
    {INT(levels, 5), QSGD_ERR_PARAM},
    {INT(s, 0), QSGD_ERR_PARAM},
    {INT(s, 32768), QSGD_ERR_PARAM},
    {INT(zero, 2), QSGD_ERR_PARAM},
    {INT(zero, -1), QSGD_ERR_PARAM},
    {INT(rounding, -1), QSGD_ERR_PARAM},
    {INT(rounding, 4), QSGD_ERR_PARAM},
    {INT(code, -1), QSGD_ERR_PARAM},
    {INT(code, 12), QSGD_ERR_PARAM},
    {INT(code, 254), QSGD_ERR_PARAM},
    {INT(code, 256), QSGD_ERR_PARAM},
    {INT(classes, -1), QSGD_ERR_PARAM},
    {INT(classes, 3), QSGD_ERR_PARAM},
    {INT(rotation, 2), QSGD_ERR_PARAM},
    {INT(rotation, -1), QSGD_ERR_PARAM},
    {INT(rescale, 2), QSGD_ERR_PARAM},
    {INT(rescale, 1), QSGD_ERR_COMBINATION},
    {INT(scale_dtype, QSGD_FLOAT64), QSGD_ERR_PARAM},
    {INT(scale_dtype, QSGD_FLOAT16), QSGD_ERR_PARAM},
    {INT(scale_dtype, -1), QSGD_ERR_PARAM},
    {INT(scale_dtype, QSGD_INT8), QSGD_ERR_PARAM},
    {INT(nonfinite, 2), QSGD_ERR_PARAM},
    {INT(checksum, 2), QSGD_ERR_PARAM},
    {INT(exact_zeros, 2), QSGD_ERR_PARAM},
    {INT(chunk_log2, 9), QSGD_ERR_PARAM},
    {INT(chunk_log2, 19), QSGD_ERR_PARAM},
    {FLOAT(clip, -1.0F), QSGD_ERR_PARAM},
    {FLOAT(step, 0.5F), QSGD_ERR_COMBINATION},
};

static void out_of_range_parameters_are_named(void) {
    struct setup s = setup_new();
    const qsgd_params good = s.params;
    for (size_t i = 0; i < sizeof bad_params / sizeof *bad_params; i++) {
        uint8_t *field = (uint8_t *)&s.params + bad_params[i].offset;
        int32_t value = (int32_t)bad_params[i].integer;
        s.params = good;
        memcpy(field,
               bad_params[i].kind == FIELD_INT ? (void *)&value : (void *)&bad_params[i].real, 4);
        CHECK(call_encode(&s, x) == bad_params[i].status);
        CHECK(names(&s, bad_params[i].status, bad_params[i].name));
        CHECK(qsgd_params_check(&s.params, &s.error) == bad_params[i].status);
        qsgd_sizes sizes = sizes_new();
        s.error = error_new();
        CHECK(qsgd_encode_sizes(&s.params, NULL, N, &sizes, &s.error) == bad_params[i].status);
        CHECK(names(&s, bad_params[i].status, bad_params[i].name));
    }
    s.params = good;
    s.params.bucket = QSGD_MAX_ELEMENTS + 1;
    CHECK(call_encode(&s, x) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "bucket"));
    const uint32_t bits[] = {0x7FC00000, 0x7F800000};
    for (int i = 0; i < 2; i++) {
        s.params = good;
        memcpy(&s.params.clip, &bits[i], 4);
        CHECK(call_encode(&s, x) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "clip"));
    }
    s.params = good;
    s.params.struct_size--;
    CHECK(call_encode(&s, x) == QSGD_ERR_STRUCT_SIZE);
    setup_free(&s);
}

/* By the check, the query and the calls, alike. */
static void refused(const qsgd_params *p, qsgd_status status, const char *name) {
    qsgd_error error = error_new();
    qsgd_sizes sizes = sizes_new();
    qsgd_memory frame;
    CHECK(qsgd_params_check(p, &error) == status && error_names(&error, status, name));
    error = error_new();
    CHECK(qsgd_encode_sizes(p, NULL, N, &sizes, &error) == status);
    CHECK(error_names(&error, status, name) && sizes.elements == 0);
    error = error_new();
    CHECK(qsgd_encode_alloc(p, NULL, x, N, NULL, &frame, &error) == status);
    CHECK(error_names(&error, status, name) && frame.data == NULL);
}

static void senseless_combinations_are_refused(void) {
    static const struct {
        struct scheme scheme;
        const char *name;
    } cases[] = {
        {{QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 7, 1, 0, QSGD_NORM_RMS}, "norm"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_OPEN, 7, 1, 0, QSGD_NORM_MAX}, "norm"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_OPEN, 7, 0, 0, QSGD_NORM_RMS}, "zero"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_SIGNED, 7, 0, 0, QSGD_NORM_MAX}, "zero"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 1, 1, QSGD_ROUND_NEAREST, QSGD_NORM_MEAN}, "norm"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 1, 0, QSGD_ROUND_STOCHASTIC, QSGD_NORM_MEAN},
         "norm"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_TOPK, QSGD_NORM_L2}, "rounding"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 1, 1, QSGD_ROUND_TOPK, QSGD_NORM_MAX}, "rounding"},
        {{QSGD_CODE_RANS, QSGD_LEVELS_UNIFORM, 1, 1, QSGD_ROUND_DITHERED, 0}, "rounding"},
        {{QSGD_CODE_RICE_SPARSE, QSGD_LEVELS_UNIFORM, 7, 1, QSGD_ROUND_DITHERED, 0}, "code"},
        {{QSGD_CODE_ELIAS_OMEGA_SPARSE, QSGD_LEVELS_UNIFORM, 7, 0, 0, 0}, "code"},
        {{QSGD_CODE_ELIAS_GAMMA_SPARSE, QSGD_LEVELS_SIGNED, 7, 1, 0, 0}, "code"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qsgd_params p = scheme_params(&cases[i].scheme);
        refused(&p, QSGD_ERR_COMBINATION, cases[i].name);
    }
    qsgd_params p = scheme_params(&schemes[5]);
    p.clip = 2.0F; /* with l2 */
    refused(&p, QSGD_ERR_COMBINATION, "clip");
    p.clip = 0;
    p.reference = 1;
    refused(&p, QSGD_ERR_COMBINATION, "reference");
    p.reference = 0x1p-150;
    refused(&p, QSGD_ERR_PARAM, "reference");
    p = scheme_params(&(struct scheme){QSGD_CODE_RANS, QSGD_LEVELS_EXPONENTIAL, 128, 1, 0, 0});
    refused(&p, QSGD_ERR_PARAM, "s");
    p = scheme_params(&(struct scheme){QSGD_CODE_RANS, QSGD_LEVELS_OPEN, 0, 1, 0, QSGD_NORM_RMS});
    p.step = 0x1p-21F;
    refused(&p, QSGD_ERR_PARAM, "step");
    p = scheme_params(&(struct scheme){QSGD_CODE_RANS, QSGD_LEVELS_TABLE, 0, 1, 0, 0});
    for (uint32_t len = 0; len <= 128; len += 128) {
        p.level_table_len = len;
        refused(&p, QSGD_ERR_LEVEL_TABLE, "level_table_len");
    }
    p.level_table_len = 2; /* ends at 0.4 */
    refused(&p, QSGD_ERR_LEVEL_TABLE, "level_table");
    p.level_table = NULL;
    refused(&p, QSGD_ERR_NULL, "level_table");
}

int main(void) {
    fill_tensor(x, N, 5);
    out_of_range_parameters_are_named();
    senseless_combinations_are_refused();
    return check_result();
}
