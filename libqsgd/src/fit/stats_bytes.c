/* Statistics as bytes and back (STATISTICS.md). Bytes may come from anywhere: what is read
 * overflows nothing and adds up, though no tensor need have such statistics. */
#include "fit/stats_bytes.h"

#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/memory.h"
#include "fit/stats.h"
#include "frame/checksum.h"
#include "grid/scales.h"

#define VERSION 1

static const uint8_t magic[4] = {0x8F, 0x51, 0x53, 0x73};

/* ---- write ---------------------------------------------------------------------------------- */

/* Bytes to dst, or, if that is NULL, only counted. */
struct writer {
    uint8_t *dst;
    uint64_t at;
};

static void put(struct writer *w, uint64_t value) {
    uint8_t bytes[10];
    const size_t n = varint_write(bytes, value);
    if (w->dst != NULL) memcpy(w->dst + w->at, bytes, n);
    w->at += n;
}

static uint64_t zigzag(int64_t v) { return v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1; }

static void put_halves(struct writer *w, const qsgd_stats *stats) {
    uint64_t skipped = 0;
    for (uint32_t i = 0; i < STATS_HALVES; i++, skipped++) {
        const struct stats_half *half = &stats->halves[i];
        if (half->elements == 0) continue;
        put(w, skipped);
        put(w, half->elements);
        put(w, half->weight);
        put(w, half->weight2);
        skipped = UINT64_MAX; /* 0 after the step */
    }
    put(w, skipped);
}

static void put_bins(struct writer *w, const uint64_t *bins) {
    uint64_t skipped = 0;
    for (uint32_t i = 0; i < STATS_BINS; i++, skipped++) {
        if (bins[i] == 0) continue;
        put(w, skipped);
        put(w, bins[i]);
        skipped = UINT64_MAX;
    }
    put(w, skipped);
}

static void put_cells(struct writer *w, const struct stats_cell *cells) {
    uint64_t skipped = 0;
    for (uint32_t i = 0; i < STATS_CELLS; i++, skipped++) {
        if (cells[i].weight == 0) continue;
        put(w, skipped);
        put(w, cells[i].weight);
        put(w, zigzag(cells[i].sum));
        put(w, cells[i].square);
        skipped = UINT64_MAX;
    }
    put(w, skipped);
}

static void put_all(struct writer *w, const qsgd_stats *stats) {
    w->at = STATS_SAVED_HEAD;
    put(w, stats->bucket);
    put(w, stats->elements);
    put(w, stats->buckets);
    put(w, stats->idle);
    put(w, stats->zeros);
    put(w, (uint64_t)stats->top);
    put_halves(w, stats);
    for (uint32_t row = 0; row < STATS_ROWS; row++) {
        put_bins(w, stats->bins[row]);
        put_cells(w, stats->cells[row]);
    }
}

qsgd_status qsgd_stats_save(const qsgd_stats *stats, qsgd_memory dst, uint64_t *bytes,
                            qsgd_error *error) {
    if (stats == NULL || stats->made != STATS_MADE) {
        return error_parameter(error, QSGD_ERR_NULL, "stats", "NULL, or not initialised");
    }
    if (dst.data == NULL || bytes == NULL) {
        return memory_missing(dst.data == NULL ? "dst" : "bytes", error);
    }
    struct region buffers[] = {
        {"stats", stats, sizeof *stats, false},
        {"bytes", bytes, sizeof *bytes, true},
        {"dst", NULL, 0, true},
    };
    qsgd_status status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status != QSGD_OK) return status;
    struct writer w = {NULL, 0};
    put_all(&w, stats);
    const uint64_t needed = w.at + 4;
    if (dst.bytes < needed) {
        return memory_too_small(
            needed, "dst must hold the statistics: sizes.dst_bytes bytes suffice", error);
    }
    buffers[2] = (struct region){"dst", dst.data, needed, true};
    status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status != QSGD_OK) return status;
    uint8_t *const start = dst.data;
    w.dst = start;
    put_all(&w, stats);
    memcpy(start, magic, 4);
    start[4] = VERSION;
    start[5] = (uint8_t)stats->norm;
    start[6] = (uint8_t)scale_kind(stats->scale_dtype);
    start[7] = 0;
    store_le32(start + 8, float_bits(stats->clip));
    store_le32(start + w.at, crc32c(start, (size_t)w.at));
    *bytes = needed;
    return QSGD_OK;
}

/* ---- read ----------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t get(struct reader *r) {
    uint64_t v = 0;
    const size_t used = varint_read(r->p, r->end, &v);
    if (used == 0) r->bad = true;
    r->p += used;
    return v;
}

static int64_t get_signed(struct reader *r) {
    const uint64_t v = get(r);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

/* The next entry of a list of `count`, of which `at` is the one after the last; `count` at its end.
 */
static uint64_t get_next(struct reader *r, uint64_t at, uint64_t count) {
    const uint64_t skipped = get(r);
    if (skipped > count - at) r->bad = true;
    return r->bad ? count : at + skipped;
}

/* A number, at least 1 and at most what `rest` still has, which is reduced. */
static uint64_t get_part(struct reader *r, uint64_t *rest) {
    const uint64_t n = get(r);
    if (n == 0 || n > *rest) r->bad = true;
    *rest -= r->bad ? 0 : n;
    return n;
}

static void get_halves(struct reader *r, qsgd_stats *stats) {
    uint64_t rest = stats->elements - stats->idle, i = 0;
    while ((i = get_next(r, i, STATS_HALVES)) < STATS_HALVES) {
        struct stats_half *h = &stats->halves[i];
        h->elements = get_part(r, &rest);
        h->weight = get(r);
        h->weight2 = get(r);
        /* significands are 2^6 to 2^7; scales below 2^-126 have smaller ones */
        const uint64_t least = i == 2 ? 1 : (uint64_t)1 << (STATS_WEIGHT_BITS - 1);
        if (h->weight < h->elements * least || h->weight > h->elements << STATS_WEIGHT_BITS ||
            h->weight2 < h->weight * least || h->weight2 > h->weight << STATS_WEIGHT_BITS ||
            i < 2 || i > (uint64_t)stats->top) {
            r->bad = true;
        }
        i++;
    }
    if (rest != 0 || (stats->top != 0 && stats->halves[stats->top].elements == 0)) r->bad = true;
}

static void get_row(struct reader *r, qsgd_stats *stats, uint32_t row, uint64_t weight) {
    uint64_t rest = weight, i = 0;
    while ((i = get_next(r, i, STATS_BINS)) < STATS_BINS) {
        stats->bins[row][i++] = get_part(r, &rest);
    }
    if (rest != 0) r->bad = true;
    rest = weight;
    i = 0;
    while ((i = get_next(r, i, STATS_CELLS)) < STATS_CELLS) {
        struct stats_cell *cell = &stats->cells[row][i++];
        cell->weight = get_part(r, &rest);
        cell->sum = get_signed(r);
        cell->square = get(r);
        /* |r| <= 1, and each bucket rounds its sums to units once */
        const uint64_t most = r->bad ? 0 : cell->weight * ((uint64_t)STATS_UNIT + 1);
        if (cell->square > most || cell->sum > (int64_t)most || cell->sum < -(int64_t)most) {
            r->bad = true;
        }
    }
    if (rest != 0) r->bad = true;
}

static void get_rows(struct reader *r, qsgd_stats *stats) {
    uint64_t weights[STATS_ROWS] = {0};
    for (int32_t half = 1; half <= stats->top; half++) {
        weights[stats_row(stats->top, half)] += stats->halves[half].weight2;
    }
    for (uint32_t row = 0; row < STATS_ROWS && !r->bad; row++) {
        get_row(r, stats, row, weights[row]);
    }
}

static qsgd_status check_head(const uint8_t *p, uint64_t size, qsgd_error *error) {
    const uint64_t have = size < 4 ? size : 4;
    if (have > 0 && memcmp(p, magic, (size_t)have) != 0) {
        return error_offset(error, QSGD_ERR_MAGIC, 0,
                            "not statistics, which would start with the bytes 8F 51 53 73");
    }
    if (size > 4 && p[4] != VERSION) {
        return error_offset(error, QSGD_ERR_VERSION, 4,
                            "statistics of another version than this library's (1)");
    }
    if (size < STATS_SAVED_HEAD + 4) {
        return error_offset(error, QSGD_ERR_NEED_MORE, size, "statistics have at least 16 bytes");
    }
    if (crc32c(p, (size_t)size - 4) != load_le32(p + size - 4)) {
        return error_offset(error, QSGD_ERR_HEADER_CRC, size - 4,
                            "the statistics' checksum does not match: they are damaged, cut short, "
                            "or bytes follow them");
    }
    return QSGD_OK;
}

/* Norm, scale, clip and bucket: makes the statistics. False if they are out of range. */
static bool get_quantizer(struct reader *r, const uint8_t *p, qsgd_stats *stats) {
    qsgd_params params;
    qsgd_params_init(&params);
    params.norm = p[5];
    params.scale_dtype = scale_dtype_of(p[6]);
    params.clip = float_from_bits(load_le32(p + 8));
    params.bucket = get(r);
    const bool minus_zero = load_le32(p + 8) == 0x80000000;
    return !r->bad && !minus_zero && p[6] <= SCALES_BFLOAT16 &&
           qsgd_stats_init(stats, &params, NULL) == QSGD_OK;
}

/* How many there are of everything. */
static void get_totals(struct reader *r, qsgd_stats *stats) {
    stats->elements = get(r);
    stats->buckets = get(r);
    stats->idle = get(r);
    stats->zeros = get(r);
    const uint64_t top = get(r);
    if (top >= STATS_HALVES) r->bad = true;
    stats->top = r->bad ? 0 : (int32_t)top;
    if (stats->elements > QSGD_STATS_MAX_ELEMENTS || stats->idle > stats->elements ||
        stats->zeros > stats->elements - stats->idle || stats->buckets > stats->elements ||
        (stats->top == 0) != (stats->idle == stats->elements)) {
        r->bad = true;
    }
}

qsgd_status qsgd_stats_load(qsgd_stats *stats, const void *data, uint64_t bytes,
                            qsgd_error *error) {
    if (stats == NULL || (data == NULL && bytes > 0)) {
        return memory_missing(stats == NULL ? "stats" : "data", error);
    }
    const uint8_t *const p = data;
    qsgd_status status = check_head(p, bytes, error);
    if (status != QSGD_OK) return status;
    struct reader r = {p + STATS_SAVED_HEAD, p + bytes - 4, false};
    if (!get_quantizer(&r, p, stats)) {
        return error_offset(error, QSGD_ERR_HEADER, 5,
                            "norm, scale, clip or bucket is out of range");
    }
    get_totals(&r, stats);
    if (p[7] != 0) r.bad = true;
    if (!r.bad) get_halves(&r, stats);
    if (!r.bad) get_rows(&r, stats);
    if (!r.bad && r.p == r.end) return QSGD_OK;
    return error_offset(error, r.bad ? QSGD_ERR_HEADER : QSGD_ERR_TRAILING, (uint64_t)(r.p - p),
                        r.bad ? "counts are malformed or do not add up"
                              : "bytes are left over after the counts");
}
