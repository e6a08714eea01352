/* The payload of one chunk: its head (mode, damping, scales), and the code's bytes (FORMAT.md
 * section 7). */
#ifndef QSGD_CODES_PAYLOAD_H
#define QSGD_CODES_PAYLOAD_H

#include "codes/codes.h"
#include "codes/zero_sets.h"
#include "grid/chunk_scales.h"
#include "grid/parts.h"

enum { MODE_CODED = 0, MODE_FIXED = 1, MODE_CONSTANT = 2, MODE_SHARED = 3 };

/* How the signs of a chunk's indices are written: bits of its head. */
enum {
    SIGNS_PLAIN = 1,     /* not turned, in a frame that turns indices (FORMAT.md section 8.2) */
    SIGNS_IN_TOKENS = 2, /* those of large indices are in their tokens (section 7.4) */
};

/* What stands before the indices. */
struct payload_head {
    bool has_damping; /* dithered frames */
    bool rotated;     /* some of its buckets are */
    bool turns;       /* the frame turns indices, */
    bool turns_all;   /* those of rotated buckets, too */
    uint8_t damping;
    uint8_t signs;
    struct chunk_scales scales;
    struct parts parts; /* rotated frames: of which these are, else no layout */
    struct live live;
};

/* A payload whose tables were read and checked, or whose form another chunk takes over. */
struct payload_form {
    uint8_t mode, damping, signs;
    int16_t constant;
    struct scales_form scales;
    struct zero_groups zeros; /* and outliers */
    struct code_plan plan;
};

/* True if the payload is the code's own, with its tables or with shared ones. */
static inline bool payload_is_coded(const struct payload_form *form) {
    return form->mode == MODE_CODED || form->mode == MODE_SHARED;
}

/* Bytes that suffice for a payload of len elements behind its head, and for the head, of so many
 * elements and buckets. */
uint64_t payload_body_bound(const struct levels *levels, uint64_t len);
uint64_t payload_head_bound(uint64_t len, uint64_t buckets, int kind);

/* Narrows a chunk to its live elements, whose indices or direct tokens are gathered. */
void payload_gather(struct code_chunk *chunk, const struct payload_head *head,
                    const struct coded_items *items);

/* Writes the payload of k, whose signs are as head->signs says, but that what is SIGNS_IN_TOKENS
 * has been swapped (kernels->swap_signs); dst holds what both bounds say. Returns its length;
 * SIZE_MAX if signs in tokens are not worth it. */
size_t payload_write(const struct code_chunk *chunk, const struct payload_head *head,
                     const int16_t *k, uint8_t *dst);

/* Writes it in the form of another frame's chunk; SIZE_MAX if k or the scales cannot be written so,
 * or over cap. */
size_t payload_write_like(const struct code_chunk *chunk, const struct payload_head *head,
                          const int16_t *k, const struct payload_form *like, uint8_t *dst,
                          size_t cap);

/* Where a payload's head goes. */
struct payload_room {
    float *scales;             /* of the chunk's buckets */
    uint32_t *zeros;           /* zero_words of its elements */
    struct outliers *outliers; /* NULL: it can have none */
};

/* Reads the head, whose scales, damping and groups of zeros are filled in, and the tables; narrows
 * the chunk. *where: offset of an error within the payload. */
qsgd_status payload_parse(struct code_chunk *chunk, struct payload_head *head, const uint8_t *p,
                          size_t bytes, struct payload_form *form, const struct payload_room *room,
                          size_t *where);

/* Reads the indices of live elements; every k written is a level. */
qsgd_status payload_read(const struct code_chunk *chunk, const struct payload_form *form,
                         int16_t *k);

/* True if payload_read_nonzeros may be used instead: the chunk is undithered and coded by a sparse
 * code.
 */
bool payload_is_sparse(const struct code_chunk *chunk, const struct payload_form *form);

/* Reads the non-zero indices alone: k[i] of element (*at)[i] of the chunk, in ascending order. */
qsgd_status payload_read_nonzeros(const struct code_chunk *chunk, const struct payload_form *form,
                                  const uint32_t **at, int16_t *k, size_t *count);

/* One sentence for the statuses of a payload. */
const char *payload_reason(qsgd_status status);

#endif
