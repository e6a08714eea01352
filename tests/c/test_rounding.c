/* Unbiasedness by enumeration: for every kind of level and positions all over a gap, all 65536
 * values of the noise R are tried, and a tie is counted with the probability of its second number
 * V. The mean index is the element's position to 2^-32 of a gap, and the mean decoded value is the
 * element up to float32 arithmetic: 2^-21 |x| + 2^-28 step, and for dithered tables, whose dither
 * may be much wider than a cell, 2^-25 of the dither (ENCODER.md section 6, FORMAT.md section 8.4).
 * quantize/quantize.c is included, not linked, so that the noise can be chosen here. */
#include "quantize/rounding.c"

#include "support.h"

#define BLOCK QUANTIZE_BLOCK

static float block[BLOCK];
static int16_t indices[65536];
static uint64_t elements_tried, ties_up;

struct level_set {
    int32_t levels;
    uint32_t s; /* or entries of the table; open: 1 / step */
    int32_t zero;
};

static const struct level_set sets[] = {
    {QSGD_LEVELS_UNIFORM, 1, 1},     {QSGD_LEVELS_UNIFORM, 1, 0},
    {QSGD_LEVELS_UNIFORM, 7, 1},     {QSGD_LEVELS_UNIFORM, 7, 0},
    {QSGD_LEVELS_UNIFORM, 32767, 1}, {QSGD_LEVELS_UNIFORM, 32767, 0},
    {QSGD_LEVELS_OPEN, 100, 1},      {QSGD_LEVELS_EXPONENTIAL, 4, 1},
    {QSGD_LEVELS_EXPONENTIAL, 4, 0}, {QSGD_LEVELS_EXPONENTIAL, 30, 1},
    {QSGD_LEVELS_TABLE, 3, 1},       {QSGD_LEVELS_TABLE, 3, 0},
    {QSGD_LEVELS_SIGNED, 6, 1},
};

static void quantizer_of(struct quantizer *q, const struct level_set *set, bool dithered) {
    struct scheme scheme = {QSGD_CODE_FIXED,
                            set->levels,
                            set->s,
                            set->zero,
                            dithered ? QSGD_ROUND_DITHERED : QSGD_ROUND_STOCHASTIC,
                            QSGD_NORM_MAX};
    qsgd_params p = scheme_params(&scheme);
    if (set->levels == QSGD_LEVELS_OPEN) p.step = 1.0F / (float)set->s;
    quantizer_init(q, &p, 65536, (struct noise_start){0, 0}, false);
    q->turned = false; /* indices themselves: test_kernels.c turns them */
}

/* Level of cell boundary m, in units of the scale: exact, from FORMAT.md section 8.3. */
static double boundary(const struct quantizer *q, uint32_t m) {
    const struct levels *l = &q->levels;
    if (l->kind == QSGD_LEVELS_SIGNED) return (double)l->value[m];
    if (levels_is_table(l)) {
        return m == 0 && !l->zero ? -(double)l->value[1] : (double)l->value[m];
    }
    double gap = (double)q->params.step;
    if (l->kind == QSGD_LEVELS_UNIFORM) {
        gap = l->zero ? 1.0 / (double)l->count : 2.0 / (2.0 * (double)l->count - 1.0);
    }
    return ((double)m - (l->zero ? 0.0 : 0.5)) * gap;
}

static int16_t index_of(const struct quantizer *q, uint32_t m, bool negative) {
    if (q->levels.kind == QSGD_LEVELS_SIGNED) return (int16_t)((int32_t)m + q->levels.kmin);
    int32_t k = (int32_t)m;
    if (!q->levels.zero && m == 0) {
        k = 1;
        negative = !negative;
    }
    return (int16_t)(negative ? -k : k);
}

/* Value of index k with noise r under damping a, range reduction undone. */
static double value_of(const struct quantizer *q, const struct bucket_state *b, int16_t k,
                       uint16_t r, int32_t a) {
    float scale = b->scale * b->range, out;
    struct value_bucket v = {.unit = q->levels.gap * scale,
                             .half = q->levels.zero ? 0.0F : 0.5F,
                             .dither_unit = q->levels.gap * scale,
                             .damping = a};
    if (levels_is_table(&q->levels)) {
        v.unit = scale;
        v.table = q->level_of - q->levels.kmin;
    }
    q->kernels->values(&v, &k, &r, 1, &out);
    return (double)(out * (1.0F / b->range));
}

/* Where an element lies between levels, as ENCODER.md section 6.2 has it, one element at a time. */
struct position {
    uint32_t t, low;
};

static struct position position_split(float u, uint32_t offset) {
    uint32_t t = (uint32_t)u;
    return (struct position){t + offset, (uint32_t)((u - (float)t) * 65536.0F)};
}

static struct position position_mirrored(const struct quantizer *q, const struct bucket_state *b,
                                         float x) {
    const struct levels *l = &q->levels;
    const float scale = b->scale * b->range, unit = l->gap * scale;
    const float magnitude = float_from_bits(float_bits(x) & 0x7FFFFFFF);
    if (!levels_is_table(l)) {
        const float inv = 1.0F / unit, cap = (float)l->largest - (l->zero ? 0.0F : 0.5F);
        const float y = magnitude * inv;
        return position_split((y < cap ? y : cap) * 65536.0F, l->zero ? 0 : 0x8000);
    }
    const float inv = 1.0F / scale, y = magnitude * inv, r = y < 1.0F ? y : 1.0F;
    if (!l->zero && r < l->value[1]) {
        const float q0 = 1.0F / (2.0F * l->value[1]);
        return position_split(r * q0 * 65536.0F, 0x8000);
    }
    uint32_t j = 0;
    while (j < l->count && l->value[j + 1] <= r) j++;
    if (j == l->count) return (struct position){j << 16, 0};
    const float gap = l->value[j + 1] - l->value[j], below = r - l->value[j];
    const float rcp = 1.0F / gap, u = below * rcp * 65536.0F;
    return position_split(u < 65536.0F ? u : 65536.0F, j << 16);
}

static struct position position_of_element(const struct quantizer *q, const struct bucket_state *b,
                                           float x) {
    if (q->levels.kind != QSGD_LEVELS_SIGNED) return position_mirrored(q, b, x);
    const uint64_t at = position_signed(q, b->round.inv16, x);
    return (struct position){(uint32_t)(at >> 16), (uint32_t)(at & 0xFFFF)};
}

static double absolute(double v) { return v < 0 ? -v : v; }

static void report(const struct quantizer *q, const char *what, double x, double off, int32_t a) {
    fprintf(stderr, "levels %d, count %u, zero %d: %s of x = %a is off by %a (damping %d)\n",
            (int)q->levels.kind, q->levels.count, q->levels.zero, what, x, off, (int)a);
    check_failures++;
}

/* Mean over all R of the value, with ties by weight; `up` of 65536 values of V raise the tie. */
static double mean_value(const struct quantizer *q, const struct bucket_state *b, uint32_t tie,
                         int16_t below, int16_t above, uint32_t up, int32_t a) {
    static float values[65536];
    static uint16_t noise[65536];
    float scale = b->scale * b->range;
    struct value_bucket v = {.unit = q->levels.gap * scale,
                             .half = q->levels.zero ? 0.0F : 0.5F,
                             .dither_unit = q->levels.gap * scale,
                             .damping = a};
    if (levels_is_table(&q->levels)) {
        v.unit = scale;
        v.table = q->level_of - q->levels.kmin;
    }
    for (uint32_t r = 0; r < 65536; r++) noise[r] = (uint16_t)r;
    q->kernels->values(&v, indices, noise, 65536, values);
    double sum = 0, weight = (double)up / 65536;
    for (uint32_t r = 0; r < 65536; r++) {
        if (r != tie) sum += (double)(values[r] * (1.0F / b->range));
    }
    sum += weight * value_of(q, b, above, (uint16_t)tie, a) +
           (1 - weight) * value_of(q, b, below, (uint16_t)tie, a);
    return sum / 65536;
}

static void check_element(const struct quantizer *q, float scale, float x, double step) {
    struct bucket_state b = {.scale = scale};
    const bool is_signed = q->levels.kind == QSGD_LEVELS_SIGNED;
    const bool negative = !is_signed && float_bits(x) >> 31 != 0;
    float xs[BLOCK];
    uint16_t noise[BLOCK];
    bucket_begin(q, &b);
    const struct position at = position_of_element(q, &b, x * b.range);
    const uint32_t cell = at.t >> 16, tie = (at.t & 0xFFFF) ^ (negative ? 0xFFFF : 0);
    const int16_t below = index_of(q, cell, negative), above = index_of(q, cell + 1, negative);
    for (int i = 0; i < BLOCK; i++) xs[i] = x;
    uint64_t ups = 0;
    for (uint32_t first = 0; first < 65536; first += BLOCK) {
        for (uint32_t i = 0; i < BLOCK; i++) noise[i] = (uint16_t)(first + i);
        const struct run run = {xs, noise, first, BLOCK, indices + first, NULL};
        run_round(q, &b, &run, block);
        for (uint32_t r = first; r < first + BLOCK; r++) {
            CHECK(indices[r] == below || indices[r] == above);
            if (r != tie) ups += indices[r] == above && above != below ? 1 : 0;
        }
    }
    elements_tried++;
    uint32_t v[4] = {tie, 1U << 28, 0, 0}; /* V of the element that drew the tie */
    philox((uint32_t)q->params.seed, (uint32_t)(q->params.seed >> 32), v);
    const bool rises = ((v[0] & 0xFFFF) ^ (negative ? 0xFFFF : 0)) < at.low;
    CHECK(at.low < 65536 && indices[tie] == (rises ? above : below));
    ties_up += rises ? 1 : 0;
    double mean = (double)cell + ((double)ups + (double)at.low / 65536) / 65536;
    double position = (double)at.t / 65536 + (double)at.low * 0x1p-32;
    if (absolute(mean - position) > 0x1p-32) report(q, "mean index", (double)x, mean - position, 0);
    static const int32_t dampings[] = {0, 1, 100, 255};
    for (int i = 0; i < (q->params.rounding == QSGD_ROUND_DITHERED ? 4 : 1); i++) {
        double off = mean_value(q, &b, tie, below, above, at.low, dampings[i]) - (double)x;
        /* A table's dither is a / 128 of its mean gap, however narrow the cell: it costs the value
         * bits below half an ulp of the dither, 2^-25 of it at most. */
        double dither = (double)dampings[i] / 256 * (double)q->levels.gap * (double)scale;
        double most = 0x1p-21 * absolute((double)x) + 0x1p-28 * step + 0x1p-149;
        if (levels_is_table(&q->levels)) most += 0x1p-25 * dither;
        if (!(absolute(off) <= most)) report(q, "mean value", (double)x, off, dampings[i]);
    }
}

static void check_set(const struct level_set *set, float scale, bool dithered) {
    static const double fractions[] = {0,       0x1p-24, 0x1p-17,     0x1p-10,    1.0 / 3,
                                       1.0 / 2, 0.7731,  1 - 0x1p-10, 1 - 0x1p-24};
    static struct quantizer q;
    quantizer_of(&q, set, dithered);
    const uint32_t cells =
        q.levels.kind == QSGD_LEVELS_SIGNED ? q.levels.count - 1 : q.levels.count;
    const uint32_t tried[3] = {0, cells / 2, cells - 1};
    for (int c = 0; c < 3; c++) {
        if (c > 0 && tried[c] == tried[c - 1]) continue;
        double low = boundary(&q, tried[c]), high = boundary(&q, tried[c] + 1);
        for (size_t f = 0; f < sizeof fractions / sizeof *fractions; f++) {
            if (scale != 0.7F && f != 1 && f != 4) continue;
            double level = low + fractions[f] * (high - low);
            float x = (float)(level * (double)scale);
            check_element(&q, scale, x, (high - low) * (double)scale);
            check_element(&q, scale, -x, (high - low) * (double)scale);
        }
    }
}

int main(void) {
    static const float scales[] = {0.7F, 0x1.8p-80F, 0x1.2p100F, 0x1p-130F};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        for (size_t j = 0; j < sizeof scales / sizeof *scales; j++) {
            bool single = sets[i].levels == QSGD_LEVELS_UNIFORM && sets[i].s == 1;
            check_set(&sets[i], scales[j], !single && j < 2);
        }
    }
    CHECK(elements_tried > 1000 && ties_up > 100);
    printf("%llu elements, each with 65536 values of the noise\n",
           (unsigned long long)elements_tried);
    return check_result();
}
