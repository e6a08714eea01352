/* Rotates buckets, in two rounds: of one, some sums of a few elements would come back with much of
 * their weight in few places. Signs come from the elements' places in the whole tensor, and the
 * order of the butterflies is fixed: neither threads nor vectors change a bit. */
#include "quantize/rotation.h"

#include <string.h>

#include "grid/scales.h"

struct rotation *rotation_carve(struct memory *memory, float *bucket) {
    struct rotation *r = memory_take(memory, sizeof *r);
    if (r == NULL) return NULL;
    memset(r, 0, sizeof *r);
    r->bucket = bucket;
    r->first.tile = r->last.tile = UINT64_MAX;
    return r;
}

/* One call's key and kernels. */
struct turn {
    const struct kernels *kernels;
    const struct noise_key *key;
};

/* n <= SIGN_TILE elements with the signs from `offset` on. */
static void put(const struct turn *t, const uint16_t *signs, size_t offset, const float *x,
                size_t n, const struct rotation_out *out, float *to) {
    if (out->add) {
        t->kernels->flip_add(signs, offset, x, n, out->alpha, to);
    } else {
        t->kernels->flip(signs, offset, x, n, out->stream, to);
    }
}

static void flip(const struct turn *t, struct sign_tile *signs, unsigned domain, uint64_t first,
                 size_t n, const float *x, const struct rotation_out *out) {
    for (size_t i = 0; i < n;) {
        const uint64_t tile = (first + i) / SIGN_TILE;
        const size_t offset = (size_t)((first + i) % SIGN_TILE);
        const size_t some = (size_t)min_u64(SIGN_TILE - offset, n - i);
        if (signs->tile != tile) {
            t->kernels->noise(t->key, domain, tile * NOISE_TILE, NOISE_TILE, signs->bits);
            signs->tile = tile;
        }
        put(t, signs->bits, offset, x + i, some, out, out->to + i);
        i += some;
    }
}

/* p^(-1/2); sqrt(1/2) is rounded, powers of two are exact. */
static float transform_factor(size_t p) {
    float f = 1;
    for (; p >= 4; p /= 4) f *= 0.5F;
    return p == 2 ? f * 0x1.6A09E6p-1F : f;
}

static void multiply(const float *x, size_t n, float factor, float *to) {
    for (size_t i = 0; i < n; i++) {
        float one;
        memcpy(&one, x + i, sizeof one);
        to[i] = one * factor;
    }
}

void rotation_forward(struct rotation *r, const struct kernels *kernels,
                      const struct noise_key *key, uint64_t first, size_t len, const float *x,
                      float *to) {
    const struct turn t = {kernels, key};
    const struct rotation_out out = {.to = to};
    const float factor = transform_factor(len);
    const float range = scale_range(float_from_bits(kernels->max_bits(x, len)));
    if (range != 1.0F) { /* rare */
        multiply(x, len, range, to);
        x = to;
    }
    flip(&t, &r->first, NOISE_SIGNS, first, len, x, &out);
    kernels->hadamard(to, len, factor);
    flip(&t, &r->last, NOISE_SIGNS_LAST, first, len, to, &out);
    kernels->hadamard(to, len, factor);
    if (range != 1.0F) multiply(to, len, 1.0F / range, to);
}

void rotation_inverse(struct rotation *r, const struct kernels *kernels,
                      const struct noise_key *key, uint64_t first, size_t len,
                      const struct rotation_out *out) {
    const struct turn t = {kernels, key};
    const float factor = transform_factor(len);
    float *v = r->bucket;
    kernels->hadamard(v, len, factor);
    flip(&t, &r->last, NOISE_SIGNS_LAST, first, len, v, &(struct rotation_out){.to = v});
    kernels->hadamard(v, len, factor);
    flip(&t, &r->first, NOISE_SIGNS, first, len, v, out);
}
