/* Damage without aim: truncated frames, payloads cut short under right checksums, every single bit
 * flipped, short and random strings. All are refused, under the sanitizer without a byte read past
 * their end (FORMAT.md section 9). */
#include "support.h"

#define N 1100

static float tensor[N];

static void every_truncation_needs_more(void) {
    float dst[N];
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i]);
        struct bytes b = encode_frame(&p, NULL, tensor, 1020);
        for (uint64_t n = 0; n < b.n; n++) {
            qsgd_error error = error_new();
            struct bytes cut = bytes_copy(b.p, n);
            CHECK(decode_frame(cut.p, n, 0, dst, 1020, &error) == QSGD_ERR_NEED_MORE);
            CHECK(error.offset == n);
            free(cut.p);
        }
        free(b.p);
    }
}

/* The last payload cut short with lengths and checksums that agree: its code must notice. */
static void every_shorter_payload_is_refused(void) {
    float dst[N];
    for (size_t i = 0; i < 2 * SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i / 2]);
        p.checksum = i % 2 == 0;
        struct bytes whole = encode_frame(&p, NULL, tensor, 700);
        struct parts parts;
        CHECK(frame_parts(whole.p, whole.n, &parts));
        for (uint64_t keep = 0; keep < whole.n - parts.payload; keep++) {
            struct bytes b = bytes_copy(whole.p, whole.n);
            replace_payload(&b, whole.p + parts.payload, keep);
            qsgd_status status = decode_frame(b.p, b.n, QSGD_DECODE_ATOMIC, dst, 700, NULL);
            CHECK(status <= QSGD_ERR_CHUNK && status >= QSGD_ERR_PADDING);
            CHECK(decode_frame(b.p, b.n, 0, dst, 700, NULL) != QSGD_OK);
            free(b.p);
        }
        free(whole.p);
    }
}

static void every_flipped_bit_is_detected(void) {
    float dst[N];
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i]);
        struct bytes b = encode_frame(&p, NULL, tensor, schemes[i].code == 0 ? 60 : 400);
        uint64_t n = schemes[i].code == 0 ? 60 : 400;
        for (uint64_t bit = 0; bit < 8 * b.n; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
            CHECK(decode_frame(b.p, b.n, 0, dst, n, NULL) != QSGD_OK);
            b.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        CHECK(decode_frame(b.p, b.n, 0, dst, n, NULL) == QSGD_OK);
        free(b.p);
    }
}

static void short_and_random_strings_are_refused(void) {
    static const uint8_t magic[4] = {0x8F, 0x51, 0x53, 0x47};
    uint64_t state = 7, frame_bytes;
    qsgd_sizes sizes = sizes_new();
    for (uint32_t v = 0; v < 65536 + 256 + 1; v++) {
        uint64_t n = v < 65536 ? 2 : (v < 65792 ? 1 : 0);
        uint8_t text[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
        struct bytes b = bytes_copy(text, n);
        qsgd_status expected =
            memcmp(text, magic, (size_t)n) == 0 ? QSGD_ERR_NEED_MORE : QSGD_ERR_MAGIC;
        CHECK(qsgd_decode_sizes(b.p, n, NULL, &sizes, NULL) == expected);
        CHECK(qsgd_frame_size(b.p, n, UINT64_MAX, &frame_bytes, NULL) == expected);
        free(b.p);
    }
    for (uint64_t i = 0; i < 40000; i++) {
        uint8_t text[64];
        uint64_t n = 3 + random_below(&state, 62);
        for (uint64_t j = 0; j < n; j++) text[j] = (uint8_t)(random_u64(&state) >> 32);
        if (i % 2 == 1) { /* some look like frames */
            memcpy(text, magic, 3);
            if (n > 7) memcpy(text + 3, (uint8_t[5]){0x47, 0, (uint8_t)(i >> 1 & 1), 26, 0}, 5);
            if (n > 26) store_le64(text + 8, n);
        }
        struct bytes b = bytes_copy(text, n);
        repair_frame(b.p, n);
        CHECK(decode_frame(b.p, n, 0, text, 0, NULL) != QSGD_OK);
        free(b.p);
    }
}

int main(void) {
    fill_tensor(tensor, N, 1);
    every_truncation_needs_more();
    every_shorter_payload_is_refused();
    every_flipped_bit_is_detected();
    short_and_random_strings_are_refused();
    return check_result();
}
