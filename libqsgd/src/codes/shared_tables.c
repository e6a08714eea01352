/* Reads, checks and names blobs of shared tables (FORMAT.md section 7.7). A blob may come from
 * anywhere: nothing in it is believed before it is checked. */
#include "codes/shared_tables.h"

#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "kernels/philox.h"

static const uint8_t magic[4] = {0x8F, 0x51, 0x54, 0x42};

enum { AT_VERSION = 4, AT_CODE = 5, AT_FLAGS = 6, AT_PROB_BITS = 7, AT_TOKENS = 8 };

#define MOST_TOKENS (CODE_TOKENS - 1)              /* tokens are below 63 */
#define MOST_DIRECT_TOKENS (2 * LEVELS_DIRECT + 1) /* and below 31 without extra bits */
#define MOST_BYTES (SHARED_TABLES_HEAD_BYTES + 2 * MOST_TOKENS)

/* A chain of Philox over blocks of 16 bytes, and one of zeros; the key is the blob's length and the
 * number of the block. */
static void digest_of(const uint8_t *p, uint64_t bytes,
                      uint8_t digest[SHARED_TABLES_DIGEST_BYTES]) {
    const uint32_t blocks = (uint32_t)((bytes + 15) / 16);
    uint32_t c[4] = {0};
    for (uint32_t b = 0; b <= blocks; b++) {
        uint8_t block[16] = {0};
        const uint64_t left = bytes - 16 * (uint64_t)b;
        if (b < blocks) memcpy(block, p + 16 * b, left < 16 ? (size_t)left : 16);
        for (int w = 0; w < 4; w++) c[w] ^= load_le32(block + 4 * w);
        philox(c, (uint32_t)bytes, b);
    }
    store_le32(digest, c[0]);
    store_le32(digest + 4, c[1]);
}

/* ---- read ----------------------------------------------------------------------------------- */

static qsgd_status malformed(struct qsgd_error *error, uint64_t offset, const char *reason) {
    error_parameter(error, QSGD_ERR_CODE_TABLE, "shared_tables", reason);
    error_at_offset(error, offset);
    return QSGD_ERR_CODE_TABLE;
}

static qsgd_status parse_head(const uint8_t *p, uint64_t bytes, struct shared_tables *t,
                              struct qsgd_error *error) {
    if (bytes < SHARED_TABLES_HEAD_BYTES) return malformed(error, bytes, "tables are cut short");
    if (memcmp(p, magic, sizeof magic) != 0) {
        return malformed(error, 0, "tables start with the bytes 8F 51 54 42");
    }
    if (p[AT_VERSION] != 0) {
        return malformed(error, AT_VERSION, "the tables' version is later than this library's (0)");
    }
    t->code = p[AT_CODE];
    t->direct = (p[AT_FLAGS] & 1) != 0;
    t->prob_bits = p[AT_PROB_BITS];
    t->tokens = (uint8_t)(p[AT_TOKENS] + 1);
    const bool rans = t->code == QSGD_CODE_RANS;
    if (!rans && t->code != QSGD_CODE_HUFFMAN) {
        return malformed(error, AT_CODE, "tables are for huffman or rans");
    }
    if (p[AT_FLAGS] > 1) return malformed(error, AT_FLAGS, "reserved flag bits are set");
    const unsigned prob_bits = t->prob_bits;
    if (rans ? prob_bits != 12 && (prob_bits < 8 || prob_bits > 10) : prob_bits != 0) {
        return malformed(error, AT_PROB_BITS, "P is 8, 9, 10 or 12, or 0 for huffman");
    }
    if (p[AT_TOKENS] >= (t->direct ? MOST_DIRECT_TOKENS : MOST_TOKENS)) {
        return malformed(error, AT_TOKENS, "tables hold at most 63 tokens, direct ones 31");
    }
    const uint64_t whole = shared_tables_bytes(t->code, t->tokens);
    if (bytes < whole) return malformed(error, bytes, "tables are cut short");
    if (bytes > whole) return malformed(error, whole, "bytes follow the tables");
    return QSGD_OK;
}

static qsgd_status parse_frequencies(const uint8_t *p, struct shared_tables *t,
                                     struct qsgd_error *error) {
    const uint32_t whole = 1U << t->prob_bits;
    const unsigned last = t->tokens - 1U;
    uint32_t sum = 0;
    for (unsigned i = 0; i < t->tokens; i++) {
        t->freq[i] = load_le16(p + 2 * i);
        sum += t->freq[i];
        if (t->freq[i] > t->freq[t->mode]) t->mode = (uint8_t)i;
        if (sum > whole || (i == last && (sum < whole || t->freq[i] == 0))) {
            return malformed(error, SHARED_TABLES_HEAD_BYTES + 2 * (uint64_t)i,
                             "frequencies must sum to 2^P, and the last one is not 0");
        }
    }
    return QSGD_OK;
}

static qsgd_status parse_lengths(const uint8_t *p, struct shared_tables *t,
                                 struct qsgd_error *error) {
    const uint64_t last = SHARED_TABLES_HEAD_BYTES + (uint64_t)t->tokens - 1;
    unsigned total = 0, used = 0; /* total: sum of 2^-length, in units of 2^-CODE_HUFFMAN_BITS */
    for (unsigned i = 0; i < t->tokens; i++) {
        t->lengths[i] = p[i];
        if (p[i] > CODE_HUFFMAN_BITS) {
            return malformed(error, SHARED_TABLES_HEAD_BYTES + (uint64_t)i,
                             "a code length is at most 12");
        }
        if (p[i] == 0) continue;
        total += 1U << (CODE_HUFFMAN_BITS - p[i]);
        used++;
    }
    if (p[t->tokens - 1] == 0) return malformed(error, last, "the last code length is not 0");
    if (total != 1U << CODE_HUFFMAN_BITS && !(used == 1 && p[t->tokens - 1] == 1)) {
        return malformed(error, last, "code lengths must make a complete code");
    }
    return QSGD_OK;
}

qsgd_status shared_tables_parse(const void *blob, uint64_t bytes, struct shared_tables *tables,
                                struct qsgd_error *error) {
    const uint8_t *p = blob;
    memset(tables, 0, sizeof *tables);
    if (blob == NULL)
        return error_parameter(error, QSGD_ERR_NULL, "shared_tables", "shared_tables is NULL");
    qsgd_status status = parse_head(p, bytes, tables, error);
    if (status != QSGD_OK) return status;
    p += SHARED_TABLES_HEAD_BYTES;
    status = tables->code == QSGD_CODE_RANS ? parse_frequencies(p, tables, error)
                                            : parse_lengths(p, tables, error);
    if (status == QSGD_OK) digest_of(blob, bytes, tables->digest);
    return status;
}

void shared_tables_of(const struct qsgd_params *params, struct shared_tables *tables) {
    tables->code = QSGD_CODE_RAW;
    if (params->shared_tables != NULL)
        shared_tables_parse(params->shared_tables, params->shared_tables_bytes, tables, NULL);
}

/* ---- write ---------------------------------------------------------------------------------- */

uint64_t shared_tables_write(const struct shared_tables *t, uint8_t *dst) {
    memcpy(dst, magic, sizeof magic);
    dst[AT_VERSION] = 0;
    dst[AT_CODE] = (uint8_t)t->code;
    dst[AT_FLAGS] = t->direct;
    dst[AT_PROB_BITS] = t->prob_bits;
    dst[AT_TOKENS] = (uint8_t)(t->tokens - 1);
    uint8_t *p = dst + SHARED_TABLES_HEAD_BYTES;
    for (unsigned i = 0; i < t->tokens; i++) {
        if (t->code == QSGD_CODE_RANS) {
            store_le16(p + 2 * i, t->freq[i]);
        } else {
            p[i] = t->lengths[i];
        }
    }
    return shared_tables_bytes(t->code, t->tokens);
}

/* ---- the public calls ----------------------------------------------------------------------- */

uint64_t qsgd_shared_tables_bound(void) { return MOST_BYTES; }

qsgd_status qsgd_shared_tables_check(const void *tables, uint64_t bytes, struct qsgd_error *error) {
    struct shared_tables t;
    return shared_tables_parse(tables, bytes, &t, error);
}

qsgd_status qsgd_shared_tables_digest(const void *tables, uint64_t bytes, uint8_t digest[8],
                                      struct qsgd_error *error) {
    struct shared_tables t;
    if (digest == NULL) return error_parameter(error, QSGD_ERR_NULL, "digest", "digest is NULL");
    const qsgd_status status = shared_tables_parse(tables, bytes, &t, error);
    if (status == QSGD_OK) memcpy(digest, t.digest, sizeof t.digest);
    return status;
}
