/* Kernel bodies of the rotation (FORMAT.md section 8.5): random signs, and the butterflies of the
 * Hadamard transform. Stages of butterflies go in the format's order whatever W is, several at a
 * time in registers. */
#ifndef QSGD_KERNELS_ROTATION_H
#define QSGD_KERNELS_ROTATION_H

#include "kernels/body.h"
#include "kernels/types.h"

/* n lanes of x, signed by the bits from `offset` on. */
BODY vf rotate_signs(const uint16_t *signs, size_t offset, size_t n, vf x) {
    return vf_from_bits(vu_xor(vf_bits(x), vu_flips(signs, offset, n)));
}

BODY vf rotate_flip(const uint16_t *signs, size_t offset, const float *x) {
    return rotate_signs(signs, offset, W, vf_load(x));
}

#ifdef W_STREAM
/* Elements [i, end) of n >= W, less than a line of them. */
BODY void rotate_flip_edge(const uint16_t *signs, size_t offset, const float *x, size_t i,
                           size_t end, size_t n, float *out) {
    while (i < end) {
        const size_t base = i + W <= n ? i : n - W, stop = end - base < W ? end : base + W;
        const vf v = rotate_flip(signs, offset + base, x + base);
        vf_stream_some(out + base, v, i - base, stop - base);
        i = stop;
    }
}
#endif

/* As values_stream: in whole lines. */
BODY bool rotate_flip_stream(const uint16_t *signs, size_t offset, const float *x, size_t n,
                             float *out) {
#ifdef W_STREAM
    const size_t line = 64 / sizeof(float);
    if (n < 3 * line || ((uintptr_t)out & 3) != 0) return false;
    const size_t first = (0 - (uintptr_t)out) / sizeof(float) % line;
    const size_t end = first + (n - first) / line * line;
    rotate_flip_edge(signs, offset, x, 0, first, n, out);
    for (size_t i = first; i < end; i += W) {
        vf_stream(out + i, rotate_flip(signs, offset + i, x + i));
    }
    rotate_flip_edge(signs, offset, x, end, n, n, out);
    return true;
#else
    (void)signs, (void)offset, (void)x, (void)n, (void)out;
    return false;
#endif
}

KERNEL void kernel_flip(const uint16_t *signs, size_t offset, const float *x, size_t n, bool stream,
                        float *out) {
    size_t i = 0;
    if (stream && rotate_flip_stream(signs, offset, x, n, out)) return;
    for (; i + W <= n; i += W) vf_store(out + i, rotate_flip(signs, offset + i, x + i));
    if (i == n) return;
    vf_store_some(out + i, rotate_signs(signs, offset + i, n - i, vf_load_some(x + i, n - i)),
                  n - i);
}

/* The sums that the next bucket adds to are fetched ahead. Never faults, wherever it points. */
#define ROTATE_AHEAD 8192 /* bytes */

KERNEL void kernel_flip_add(const uint16_t *signs, size_t offset, const float *x, size_t n,
                            float alpha, float *sums) {
    size_t i = 0;
    for (; i + W <= n; i += W) {
        const vf product = vf_mul(rotate_flip(signs, offset + i, x + i), vf_set1(alpha));
        PREFETCH((const void *)((uintptr_t)(sums + i) + ROTATE_AHEAD));
        vf_store(sums + i, vf_add(vf_load(sums + i), product));
    }
    if (i == n) return;
    const vf last = rotate_signs(signs, offset + i, n - i, vf_load_some(x + i, n - i));
    const vf sum = vf_add(vf_load_some(sums + i, n - i), vf_mul(last, vf_set1(alpha)));
    vf_store_some(sums + i, sum, n - i);
}

#define ROTATE_ROWS 8     /* vectors in registers: three stages at a time */
#define ROTATE_BLOCK 4096 /* elements that stay in the first cache from stage to stage */

/* Between `rows` vectors. */
BODY void rotate_rows(vf v[ROTATE_ROWS], const int rows) {
    for (int stage = 0; 1 << stage < rows; stage++) {
        for (int i = 0; i < rows; i++) {
            const int h = 1 << stage;
            if (i & h) continue;
            const vf a = v[i], b = v[i + h];
            v[i] = vf_add(a, b);
            v[i + h] = vf_sub(a, b);
        }
    }
}

/* Between the first n lanes of a vector, n <= W: a lane whose bit is set takes its partner minus
 * itself. */
BODY vf rotate_lanes(vf a, const int n) {
    for (int stage = 0; 1 << stage < n; stage++) {
        const vu second = vu_and(vu_sll(vu_iota(), 31 - stage), vu_set1(0x80000000U));
        const vf flipped = vf_from_bits(vu_xor(vf_bits(a), second));
        a = vf_add(vf_partner(a, 1 << stage), flipped);
    }
    return a;
}

/* The factor, and the stages within runs of rows * W elements. */
BODY void rotate_within(float *x, size_t n, float factor, const int rows) {
    for (size_t i = 0; i < n; i += (size_t)rows * W) {
        vf v[ROTATE_ROWS];
        for (int r = 0; r < rows; r++) {
            v[r] = rotate_lanes(vf_mul(vf_load(x + i + (size_t)r * W), vf_set1(factor)), W);
        }
        rotate_rows(v, rows);
        for (int r = 0; r < rows; r++) vf_store(x + i + (size_t)r * W, v[r]);
    }
}

/* The stages h, 2 h, .. below rows * h; h is a multiple of W. */
BODY void rotate_across(float *x, size_t n, size_t h, const int rows) {
    for (size_t start = 0; start < n; start += (size_t)rows * h) {
        for (size_t i = start; i < start + h; i += W) {
            vf v[ROTATE_ROWS];
            for (int r = 0; r < rows; r++) v[r] = vf_load(x + i + (size_t)r * h);
            rotate_rows(v, rows);
            for (int r = 0; r < rows; r++) vf_store(x + i + (size_t)r * h, v[r]);
        }
    }
}

KERNEL void rotate_from(float *x, size_t n, size_t h) {
    for (; h <= n / 8; h *= 8) rotate_across(x, n, h, 8);
    if (h == n / 4) {
        rotate_across(x, n, h, 4);
    } else if (h == n / 2) {
        rotate_across(x, n, h, 2);
    }
}

/* Fewer elements than lanes. */
BODY void rotate_few(float *x, size_t n, float factor) {
    vf_store_some(x, rotate_lanes(vf_mul(vf_load_some(x, n), vf_set1(factor)), (int)n), n);
}

KERNEL void rotate_block(float *x, size_t n, float factor) {
    if (n >= 8 * W) {
        rotate_within(x, n, factor, 8);
        rotate_from(x, n, 8 * W);
    } else if (n == 4 * W) {
        rotate_within(x, n, factor, 4);
    } else if (n == 2 * W) {
        rotate_within(x, n, factor, 2);
    } else if (n == W) {
        rotate_within(x, n, factor, 1);
    } else {
        rotate_few(x, n, factor);
    }
}

KERNEL void kernel_hadamard(float *x, size_t n, float factor) {
    const size_t block = n < ROTATE_BLOCK ? n : ROTATE_BLOCK;
    for (size_t i = 0; i < n; i += block) rotate_block(x + i, block, factor);
    rotate_from(x, n, block);
}

#endif
