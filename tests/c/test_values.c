/* Values that come out: output types and their rounding, empty tensors and dimensions, error
 * feedback, given scales, bounds that suffice, nearest rounding (qsgd.h, FORMAT.md section 8,
 * ENCODER.md sections 5 to 7). */
#include <float.h>
#include <math.h>

#include "support.h"

#define N 2000

static float x[N];

/* Infinity stands for the next power of two: what lies at or past half way rounds to it. */
static float from_half(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    float v = (float)(exponent == 0 ? mantissa : 1024 + mantissa) * 0x1p-24F;
    for (int e = 1; e < exponent; e++) v *= 2.0F;
    return h >> 15 ? -v : v;
}

static float from_bfloat(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static double distance(float a, float b) {
    double d = (double)a - (double)b;
    return d < 0 ? -d : d;
}

/* h is nearest to v among its neighbours, and even where two are as near. */
static bool nearest(uint16_t h, float v, float (*value)(uint16_t)) {
    uint16_t magnitude = h & 0x7FFF, sign = h & 0x8000;
    double own = distance(value(h), v);
    for (int step = -1; step <= 1; step += 2) {
        if (magnitude == 0 && step < 0) continue;
        double other = distance(value((uint16_t)(sign | (magnitude + step))), v);
        if (other < own || (other == own && (h & 1) != 0)) return false;
    }
    return true;
}

static struct bytes frame_of_scale(float factor, qsgd_params *p) {
    static float scaled[N];
    for (int i = 0; i < N; i++) scaled[i] = x[i] * factor;
    return encode_frame(p, NULL, scaled, N);
}

static void outputs_round_to_nearest_even(void) {
    static const float factors[] = {1.0F, 0x1p-14F, 0x1p-22F, 1000.0F};
    for (size_t f = 0; f < 4; f++) {
        qsgd_params p = scheme_params(&schemes[f % 2 == 0 ? 16 : 17]);
        p.scale_dtype = QSGD_FLOAT32;
        struct bytes b = frame_of_scale(factors[f], &p);
        qsgd_decode_options o;
        static float v[N];
        static double d[N];
        static uint16_t h[N], g[N];
        qsgd_decode_options_init(&o);
        void *outputs[] = {v, d, h, g};
        for (uint32_t t = 0; t < 4; t++) {
            o.dtype = t;
            CHECK(decode_frame_with(&o, b.p, b.n, outputs[t], N, NULL) == QSGD_OK);
        }
        for (int i = 0; i < N; i++) {
            CHECK(d[i] == (double)v[i]);
            CHECK(nearest(h[i], v[i], from_half));
            CHECK(nearest(g[i], v[i], from_bfloat));
        }
        free(b.p);
    }
}

/* Finite floats, the largest included, come out finite in every type; infinite ones do not. */
static void finite_floats_stay_finite(void) {
    static const float values[6] = {65519.0F, 65520.0F, -1e30F, 3.4e38F, -FLT_MAX, INFINITY};
    static const uint16_t halves[6] = {0x7BFF, 0x7BFF, 0xFBFF, 0x7BFF, 0xFBFF, 0x7C00};
    static const uint16_t bfloats[6] = {0x4780, 0x4780, 0xF14A, 0x7F7F, 0xFF7F, 0x7F80};
    qsgd_params p;
    qsgd_decode_options o;
    uint16_t out[6];
    p = params_qsgd();
    qsgd_decode_options_init(&o);
    p.code = QSGD_CODE_RAW;
    struct bytes b = encode_frame(&p, NULL, values, 6);
    o.dtype = QSGD_FLOAT16;
    CHECK(decode_frame_with(&o, b.p, b.n, out, 6, NULL) == QSGD_OK);
    CHECK(memcmp(out, halves, sizeof out) == 0);
    o.dtype = QSGD_BFLOAT16;
    CHECK(decode_frame_with(&o, b.p, b.n, out, 6, NULL) == QSGD_OK);
    CHECK(memcmp(out, bfloats, sizeof out) == 0);
    free(b.p);
}

static void finite_doubles_stay_finite(void) {
    static const double values[5] = {1e300, -1e39, INFINITY, 3.4028235677973366e38, 1};
    static const float floats[5] = {FLT_MAX, -FLT_MAX, INFINITY, FLT_MAX, 1};
    qsgd_params p;
    qsgd_encode_options e;
    qsgd_decode_options o;
    float out[5];
    p = params_qsgd();
    qsgd_encode_options_init(&e);
    qsgd_decode_options_init(&o);
    p.code = QSGD_CODE_RAW;
    e.dtype = QSGD_FLOAT64;
    o.dtype = QSGD_FLOAT32;
    struct bytes b = encode_frame(&p, &e, values, 5);
    CHECK(decode_frame_with(&o, b.p, b.n, out, 5, NULL) == QSGD_OK);
    CHECK(memcmp(out, floats, sizeof out) == 0);
    free(b.p);
}

static void empty_tensors_and_dimensions_work(void) {
    static const struct {
        uint32_t ndim;
        uint64_t shape[3], n;
    } cases[] = {{1, {0}, 0}, {3, {5, 0, 7}, 0}, {2, {0, QSGD_MAX_ELEMENTS}, 0}, {0, {0}, 1}};
    for (size_t i = 0; i < SCHEMES; i++) {
        for (size_t c = 0; c < 4; c++) {
            qsgd_params p = scheme_params(&schemes[i]);
            qsgd_encode_options o;
            struct parts parts;
            float value[1] = {99.0F};
            qsgd_encode_options_init(&o);
            o.ndim = cases[c].ndim;
            o.shape = cases[c].shape;
            struct bytes b = encode_frame(&p, &o, cases[c].n == 0 ? NULL : x, cases[c].n);
            CHECK(frame_parts(b.p, b.n, &parts));
            CHECK(parts.info.elements == cases[c].n && parts.info.ndim == cases[c].ndim);
            CHECK(parts.info.chunks == cases[c].n);
            CHECK(decode_frame(b.p, b.n, 0, cases[c].n == 0 ? NULL : value, cases[c].n, NULL) ==
                  QSGD_OK);
            CHECK((value[0] == 99.0F) == (cases[c].n == 0));
            free(b.p);
        }
    }
}

static void residual_is_what_the_decoder_lacks(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i]);
        qsgd_encode_options o;
        static float residual[N], sum[N], values[N];
        qsgd_encode_options_init(&o);
        for (int j = 0; j < N; j++) {
            residual[j] = x[(j * 13) % N] * 0.25F;
            sum[j] = x[j] + residual[j];
        }
        o.residual = residual;
        struct bytes b = encode_frame(&p, &o, x, N);
        CHECK(decode_frame(b.p, b.n, 0, values, N, NULL) == QSGD_OK);
        double given = 0, left = 0;
        for (int j = 0; j < N; j++) {
            CHECK(residual[j] == sum[j] - values[j]);
            given += (double)sum[j] * (double)sum[j];
            left += (double)residual[j] * (double)residual[j];
        }
        CHECK(left < given); /* whatever the scheme */
        free(b.p);
    }
}

static void given_scales_replace_the_norm(void) {
    qsgd_params p = scheme_params(&schemes[1]);
    qsgd_encode_options o;
    qsgd_error error = error_new();
    static float scales[N / 100], values[N], stored[N / 100];
    static int16_t k[N];
    const qsgd_quantized quantized = {k, stored, NULL, N};
    qsgd_encode_options_init(&o);
    for (int b = 0; b < N / 100; b++) scales[b] = b == 3 ? -0.0F : 0.01F * (float)(b + 1);
    o.scales = scales;
    struct bytes b = encode_frame(&p, &o, x, N);
    const qsgd_memory decoding = decode_workspace(b.p, b.n, NULL);
    CHECK(qsgd_decode_indices(b.p, b.n, NULL, &quantized, decoding, NULL) == QSGD_OK);
    odd_free(decoding);
    CHECK(decode_frame(b.p, b.n, 0, values, N, NULL) == QSGD_OK);
    for (int i = 0; i < N; i++) { /* clamped to the last level; bfloat16 scales are rounded up */
        const float scale = stored[i / 100];
        uint32_t bits;
        memcpy(&bits, &scale, 4);
        CHECK(scale >= scales[i / 100] && scale <= scales[i / 100] * (1 + 0x1p-7F));
        CHECK(values[i] <= scale * 1.000001F && values[i] >= -scale * 1.000001F);
        CHECK(i / 100 != 3 || (values[i] == 0 && bits == 0));
        CHECK(distance(x[i], values[i]) <= (double)scale / 6.9 || x[i] > scale || x[i] < -scale ||
              i / 100 == 3);
    }
    free(b.p);
    static const uint32_t bad[] = {0xBF800000, 0x7F800000, 0x7FC00000};
    uint8_t dst[1], work[1];
    const qsgd_memory to = {dst, 1}, scratch = {work, 1};
    uint64_t bytes;
    for (int i = 0; i < 3; i++) {
        memcpy(&scales[5], &bad[i], 4);
        CHECK(qsgd_encode(&p, &o, x, N, to, scratch, &bytes, &error) == QSGD_ERR_PARAM);
        CHECK(strcmp(error.parameter, "scales") == 0 && error.bucket == 5);
    }
    scales[5] = 1;
    p = scheme_params(&schemes[12]); /* top-k */
    CHECK(qsgd_encode(&p, &o, x, N, to, scratch, &bytes, &error) == QSGD_ERR_COMBINATION);
}

/* Noise of the widest range is what codes compress least. encode_frame gives dst exactly the
 * bound's bytes, so that the sanitizer sees a write past it. */
static void bounds_suffice_for_any_tensor(void) {
    uint64_t state = 99;
    static float noise[1500];
    for (size_t i = 0; i < SCHEMES; i++) {
        for (uint64_t n = 0; n < 1500; n += n < 40 ? 1 : 97) {
            qsgd_params p = scheme_params(&schemes[i]);
            set_bucket(&p, n % 3 == 0 ? 0 : 1 + n);
            if (n % 5 == 0) p.code = QSGD_CODE_AUTO;
            for (uint64_t j = 0; j < n; j++) {
                noise[j] = (float)(int64_t)(random_u64(&state) >> 2) * 0x1p-62F - 0.5F;
            }
            struct bytes b = encode_frame(&p, NULL, noise, n);
            CHECK(b.n <= encode_sizes(&p, NULL, n).dst_bytes);
            free(b.p);
        }
    }
}

/* |x - value| is at most half a gap under nearest, and the values are the levels. */
static void nearest_is_nearest(void) {
    qsgd_params p = scheme_params(&schemes[1]);
    static float values[N];
    p.rounding = QSGD_ROUND_NEAREST;
    p.bucket = 0;
    p.scale_dtype = QSGD_FLOAT32;
    float most = 0;
    for (int i = 0; i < N; i++) most = x[i] > most ? x[i] : (-x[i] > most ? -x[i] : most);
    struct bytes b = encode_frame(&p, NULL, x, N);
    CHECK(decode_frame(b.p, b.n, 0, values, N, NULL) == QSGD_OK);
    for (int i = 0; i < N; i++) CHECK(distance(x[i], values[i]) <= (double)most / 14 * 1.000001);
    free(b.p);
}

int main(void) {
    fill_tensor(x, N, 21);
    outputs_round_to_nearest_even();
    finite_floats_stay_finite();
    finite_doubles_stay_finite();
    empty_tensors_and_dimensions_work();
    residual_is_what_the_decoder_lacks();
    given_scales_replace_the_norm();
    bounds_suffice_for_any_tensor();
    nearest_is_nearest();
    return check_result();
}
