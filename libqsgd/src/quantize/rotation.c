/* Rotates buckets. Signs come from the elements' places in the whole tensor, and the order of the
 * butterflies is fixed: neither threads nor vectors change a bit. */
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

/* The n elements from v on, which the last transform does not take, as they are. */
static void put_rest(const struct turn *t, const float *v, size_t n, const struct rotation_out *out,
                     float *to) {
    static const uint16_t none[NOISE_TILE + 1] = {0};
    for (size_t i = 0; to != v && i < n; i += SIGN_TILE) {
        put(t, none, 0, v + i, (size_t)min_u64(SIGN_TILE, n - i), out, to + i);
    }
}

/* Elements that one transform takes: the largest power of two that a bucket holds. */
static size_t transform_len(size_t len) {
    size_t p = 1;
    while (p <= len / 2) p *= 2;
    return p;
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
    const size_t p = transform_len(len), rest = len - p;
    const float factor = transform_factor(p);
    const float range = scale_range(float_from_bits(kernels->max_bits(x, len)));
    if (range != 1.0F) { /* rare */
        multiply(x, len, range, to);
        x = to;
    }
    flip(&t, &r->first, NOISE_SIGNS, first, p, x, &(struct rotation_out){.to = to});
    if (x != to && rest > 0) memcpy(to + p, x + p, rest * sizeof *x);
    kernels->hadamard(to, p, factor);
    if (rest > 0) {
        flip(&t, &r->last, NOISE_SIGNS_LAST, first + rest, p, to + rest,
             &(struct rotation_out){.to = to + rest});
        kernels->hadamard(to + rest, p, factor);
    }
    if (range != 1.0F) multiply(to, len, 1.0F / range, to);
}

void rotation_inverse(struct rotation *r, const struct kernels *kernels,
                      const struct noise_key *key, uint64_t first, size_t len,
                      const struct rotation_out *out) {
    const struct turn t = {kernels, key};
    const size_t p = transform_len(len), rest = len - p;
    const float factor = transform_factor(p);
    float *v = r->bucket;
    if (rest > 0) {
        kernels->hadamard(v + rest, p, factor);
        flip(&t, &r->last, NOISE_SIGNS_LAST, first + rest, p, v + rest,
             &(struct rotation_out){.to = v + rest});
    }
    kernels->hadamard(v, p, factor);
    flip(&t, &r->first, NOISE_SIGNS, first, p, v, out);
    put_rest(&t, v + p, rest, out, out->to + p);
}
