/* Kernel bodies of the rotation (FORMAT.md section 4.3): random signs, and the butterflies of the
 * Hadamard transform. Stages of butterflies go in the format's order whatever W is, several at a
 * time in registers. */

/* Bits of the signs from `offset` on; the lowest sixteen are right. signs[offset / 16 + 1] is read.
 */
BODY uint32_t rotate_bits(const uint16_t *signs, size_t offset) {
    const uint32_t two = signs[offset / 16] | (uint32_t)signs[offset / 16 + 1] << 16;
    return two >> offset % 16;
}

KERNEL void kernel_flip(const uint16_t *signs, size_t offset, const float *x, size_t n,
                        float *out) {
    size_t i = 0;
    for (; i + W <= n; i += W) {
        const vu bits = vu_xor(vf_bits(vf_load(x + i)), vu_flips(rotate_bits(signs, offset + i)));
        vf_store(out + i, vf_from_bits(bits));
    }
    for (; i < n; i++) {
        uint32_t one;
        memcpy(&one, x + i, sizeof one);
        one ^= rotate_bits(signs, offset + i) << 31;
        memcpy(out + i, &one, sizeof one);
    }
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

/* Between the lanes of a vector: a lane whose bit is set takes its partner minus itself. */
BODY vf rotate_lanes(vf a) {
    static const uint32_t second[4] = {0xAAAA, 0xCCCC, 0xF0F0, 0xFF00};
    for (int stage = 0; 1 << stage < W; stage++) {
        const vf flipped = vf_from_bits(vu_xor(vf_bits(a), vu_flips(second[stage])));
        a = vf_add(vf_partner(a, 1 << stage), flipped);
    }
    return a;
}

/* The factor, and the stages within runs of rows * W elements. */
BODY void rotate_within(float *x, size_t n, float factor, const int rows) {
    for (size_t i = 0; i < n; i += (size_t)rows * W) {
        vf v[ROTATE_ROWS];
        for (int r = 0; r < rows; r++) {
            v[r] = rotate_lanes(vf_mul(vf_load(x + i + (size_t)r * W), vf_set1(factor)));
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
    for (size_t i = 0; i < n; i++) x[i] *= factor;
    for (size_t h = 1; h < n; h *= 2) {
        for (size_t i = 0; i < n; i++) {
            if (i & h) continue;
            const float a = x[i], b = x[i + h], sum = a + b, difference = a - b;
            x[i] = sum;
            x[i + h] = difference;
        }
    }
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
