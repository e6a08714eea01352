/* The rotation of buckets: random signs and Hadamard transforms, and back (FORMAT.md section 8.5).
 * Stage: tensor -> rotated elements -> norm, and values -> tensor. */
#ifndef QSGD_QUANTIZE_ROTATION_H
#define QSGD_QUANTIZE_ROTATION_H

#include "base/memory.h"
#include "grid/layout.h"
#include "kernels/kernels.h"

#define SIGN_TILE ((uint64_t)16 * NOISE_TILE) /* elements whose signs are made at once */

/* Signs of the last tile that was asked for: a short bucket shares it with its neighbours. */
struct sign_tile {
    uint64_t tile;
    uint16_t bits[NOISE_TILE + 1]; /* the last entry is only read */
};

/* One worker's memory for one run of buckets in ascending order. */
struct rotation {
    float *bucket; /* values of the bucket at hand, as far as they are known */
    struct sign_tile first, last;
};

/* Takes the memory from the memory, or only counts it and returns NULL. bucket: room for one. */
struct rotation *rotation_carve(struct memory *memory, float *bucket);

/* A bucket of len elements, a power of two of at least PART_LEAST, x, rotated: to `to`, which may
 * be x. `first` is the number that noise counts its first element by. */
void rotation_forward(struct rotation *r, const struct kernels *kernels,
                      const struct noise_key *key, uint64_t first, size_t len, const float *x,
                      float *to);

/* Where a bucket of values goes: to float32 of any alignment, or times alpha to such sums. */
struct rotation_out {
    float *to;
    bool add;
    float alpha;
    bool stream; /* past the cache, as far as that pays */
};

/* The inverse, of r->bucket; out->to may be r->bucket unless it adds or streams. */
void rotation_inverse(struct rotation *r, const struct kernels *kernels,
                      const struct noise_key *key, uint64_t first, size_t len,
                      const struct rotation_out *out);

#endif
