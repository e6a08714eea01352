/* Error feedback: scales that leave least. Without it a codec that adds more noise than there is
 * signal (most unbiased ones at few bits) makes residuals grow without bound. */
#include "quantize/feedback.h"

#include <string.h>

#include "quantize/lane_sums.h"
#include "quantize/projection.h"
#include "quantize/values.h"

/* A bucket that would decode to zeros alone sends its largest element, lest its residual grow until
 * chance lets one through. (Dither that is subtracted makes something of zeros, groups apart.) */
static bool sends_nothing(const struct projection *p) { return p->squares == 0; }

/* Groups of zeros decode to nothing else, whatever the scale; in rotated buckets, to a share of it.
 */
static void decoded_zeros(struct decoded *d, const struct chunk_span *span,
                          const struct zero_groups *zeros) {
    d->first = span->first;
    d->zeros = *zeros;
}

/* ---- buckets within chunks ------------------------------------------------------------------- */

static float least_scale(struct decoded *d, uint64_t first, uint64_t len, bool rotated,
                         const float *x, int16_t *k) {
    const struct quantizer *q = d->q;
    struct projection p = projection_of(d, first, len, rotated, x, k);
    if (sends_nothing(&p)) {
        /* of zeros themselves nothing comes: the scale is 0, and their indices idle again */
        projection_force_largest(d, first, len, rotated, x, k);
        p = projection_of(d, first, len, rotated, x, k);
    }
    const float scale = projection_least(&q->params, &p);
    for (uint64_t i = 0; scale == 0 && i < len; i++) k[i] = (int16_t)q->levels.idle;
    return scale;
}

/* A bucket that is cut, but not rotated, has one scale: *b becomes the whole of it. Returns its
 * last part. */
static uint64_t parts_of_scale(const struct layout *l, const struct scale_array *scales,
                               struct bucket_span *b) {
    if (l->parts == 0 || b->first % l->bucket != 0 || scale_rotated(scales, b->bucket)) {
        return b->bucket;
    }
    const uint64_t len = layout_whole_len(l, b->first);
    b->end = b->first + len;
    return b->bucket + layout_parts_of(len) - 1;
}

void feedback_of_chunk(const struct tensor *t, const struct chunk_span *span,
                       struct quantize_scratch *scratch, struct chunk_indices *out) {
    const float *x = out->x;
    const struct layout *l = &t->q.layout;
    struct decoded d = decoded_of(&t->q, scratch, span->first + span->len, out->damping);
    if (l->per_bucket != 0) {
        const uint64_t at = t->feedback[span->bucket].forced - span->first;
        if (at < span->len) projection_force_at(&d, span->first + at, false, x + at, out->k + at);
        return;
    }
    decoded_zeros(&d, span, &out->zeros);
    bool idle = true;
    struct bucket_span b = {0, 0, span->first};
    while (b.end < span->first + span->len) {
        b = layout_bucket_at(l, b.end);
        const bool rotated = scale_rotated(&out->scales, b.bucket);
        const uint64_t last = parts_of_scale(l, &out->scales, &b);
        if (scale_is_idle(scale_get(&out->scales, b.bucket))) continue;
        const uint64_t at = b.first - span->first, len = b.end - b.first;
        const float scale = least_scale(&d, b.first, len, rotated, x + at, out->k + at);
        for (uint64_t p = b.bucket; p <= last; p++) scale_set(&out->scales, p, scale);
        idle = idle && (scale == 0 || !quantizer_dithers(&t->q, rotated));
    }
    if (idle) out->damping = 0;
}

/* ---- longer buckets -------------------------------------------------------------------------- */

uint64_t feedback_chunks(const struct tensor *t) {
    return t->feedback == NULL ? 0 : t->q.layout.chunks;
}

void feedback_survey(const struct tensor *t, uint64_t chunk, struct quantize_scratch *scratch) {
    const struct chunk_span span = layout_chunk(&t->q.layout, chunk);
    struct feedback_sums *to = &t->feedback_sums[chunk];
    struct chunk_indices c = {.k = scratch->indices, .scales = t->scales};

    *to = (struct feedback_sums){0, 0, 0, FEEDBACK_NOWHERE};
    if (scale_is_idle(scale_get(&t->scales, span.bucket))) return;
    uint64_t bad;
    quantize_chunk(t, &span, scratch, &c, &bad);
    struct decoded d = decoded_of(&t->q, scratch, span.first + span.len, c.damping);
    decoded_zeros(&d, &span, &c.zeros);
    const struct projection p = projection_of(&d, span.first, span.len, false, c.x, c.k);
    to->products = p.products;
    to->squares = p.squares;
    if (sends_nothing(&p)) {
        to->largest_at = span.first + projection_largest(c.x, span.len, &to->largest);
    }
}

/* Of one bucket, from those of its chunks. */
static struct feedback_sums sum_of_chunks(const struct feedback_sums *chunks, uint64_t count) {
    struct lane_sums products = {.blocks = 0}, squares = {.blocks = 0};
    struct feedback_sums all = {0, 0, 0, FEEDBACK_NOWHERE};
    for (uint64_t i = 0; i < count; i++) {
        lanes_add(&products, chunks[i].products);
        lanes_add(&squares, chunks[i].squares);
        if (chunks[i].largest <= all.largest) continue;
        all.largest = chunks[i].largest;
        all.largest_at = chunks[i].largest_at;
    }
    all.products = lanes_fold(&products);
    all.squares = lanes_fold(&squares);
    return all;
}

/* The index that decodes to 0. */
static int16_t index_of_zero(const struct quantizer *q) {
    int32_t k = 0;
    if (q->levels.kind == QSGD_LEVELS_SIGNED) {
        for (k = q->levels.kmin; q->level_of[k - q->levels.kmin] != 0;) k++;
    }
    return (int16_t)k;
}

/* A bucket of one element, whose index decodes to 0 but for being forced. */
static struct projection projection_forced(const struct tensor *t, uint64_t at) {
    float e, h;
    int16_t k = index_of_zero(&t->q);
    memcpy(&e, source_read(&t->source, at, 1, &e), sizeof e);
    projection_force(&e, &k);
    values_at_one(&t->q, 0, &k, NULL, 1, &h);
    const double element = (double)e, decoded = (double)h;
    return (struct projection){element * element, element * decoded, decoded * decoded};
}

void feedback_store(const struct tensor *t) {
    const struct layout *l = &t->q.layout;
    const struct feedback_sums *chunks = t->feedback_sums;
    for (uint64_t b = 0; b < l->buckets; b++) {
        const uint64_t count = div_up(layout_bucket_len(l, b), l->chunk);
        const struct feedback_sums sums = sum_of_chunks(chunks, count);
        chunks += count;
        if (scale_is_idle(scale_get(&t->scales, b))) continue;
        struct projection p = {0, sums.products, sums.squares};
        const bool forced = sends_nothing(&p) && sums.largest_at != FEEDBACK_NOWHERE;
        if (forced) p = projection_forced(t, sums.largest_at);
        const float scale = projection_least(&t->q.params, &p);
        if (forced && scale != 0) t->feedback[b].forced = sums.largest_at;
        scale_set(&t->scales, b, scale);
    }
}
