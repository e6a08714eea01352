/* Runs of elements that share bucket and block of noise, in order: the way through a chunk, whether
 * to indices or back to values. */
#ifndef QSGD_QUANTIZE_WALK_H
#define QSGD_QUANTIZE_WALK_H

#include "quantize/quantizer.h"

struct walk {
    const struct quantizer *q;
    struct quantize_scratch *scratch; /* holds the noise of the block */
    uint64_t end;                     /* of all runs */
    bool noisy;                       /* the noise is wanted, */
    bool lazy;                        /* but of some runs alone: rotated buckets do without */
    uint64_t element;                 /* the run: n elements, at most a block, from there on */
    size_t n;
    bool opens;                /* it is the first run of its bucket */
    struct bucket_span bucket; /* which it lies in */
    uint64_t block;            /* of noise: which is R(block), .. */
    uint64_t block_end;        /* and the first element behind it */
    bool there;                /* it was, before */
    uint64_t most;             /* elements of a run */
};

/* Before the first run of elements [from, to). */
static inline struct walk walk_over(const struct quantizer *q, struct quantize_scratch *scratch,
                                    uint64_t from, uint64_t to, bool noisy) {
    return (struct walk){.q = q,
                         .scratch = scratch,
                         .end = to,
                         .noisy = noisy,
                         .lazy = q->params.rotation != 0 && !q->dithers_rotated,
                         .element = from,
                         .most = quantize_block(&q->layout)};
}

/* Moves to the next run; false if there is none. */
static inline bool walk_next(struct walk *w) {
    const uint64_t i = w->element + w->n;
    if (i >= w->end) return false;
    if (i >= w->block_end) {
        struct quantize_scratch *s = w->scratch;
        const uint64_t origin = w->q->origin, first = origin + i;
        w->block = first - first % NOISE_TILE;
        const uint64_t to = min_u64(w->block + QUANTIZE_BLOCK, origin + w->end);
        w->there = s->noise_from == w->block && to <= s->noise_to;
        if (w->noisy && !w->there && !w->lazy) {
            kernels_noise(w->q->kernels, &w->q->key, w->block, to, s->noise);
        }
        w->block_end = to - origin;
    }
    w->opens = i >= w->bucket.end;
    if (w->opens && w->bucket.end == 0) {
        w->bucket = layout_bucket_at(&w->q->layout, i);
    } else if (w->opens) {
        layout_next_bucket(&w->q->layout, &w->bucket);
    }
    w->element = i;
    w->n = (size_t)min_u64(min_u64(w->block_end, w->bucket.end) - i, w->most);
    return true;
}

/* The noise of the run's elements; if it is not wanted, maybe others' or none's. */
static inline const uint16_t *walk_noise(const struct walk *w, bool wanted) {
    const uint64_t first = w->q->origin + w->element, tile = first - first % NOISE_TILE;
    if (w->lazy && !wanted) return w->scratch->noise;
    if (w->lazy && w->noisy && !w->there) {
        kernels_noise(w->q->kernels, &w->q->key, tile, first + w->n,
                      w->scratch->noise + (tile - w->block));
    }
    return w->scratch->noise + (first - w->block);
}

#endif
