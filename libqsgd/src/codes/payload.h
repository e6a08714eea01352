/* The payload of one chunk: mode, damping, and the code's bytes (FORMAT.md section 7). */
#ifndef QSGD_CODES_PAYLOAD_H
#define QSGD_CODES_PAYLOAD_H

#include "codes/codes.h"

enum { MODE_CODED = 0, MODE_FIXED = 1, MODE_CONSTANT = 2, MODE_SHARED = 3 };

/* A payload whose tables were read and checked, or whose form another chunk takes over. */
struct payload_form {
    uint8_t mode, damping;
    int16_t constant;
    struct code_plan plan;
};

/* True if the payload is the code's own, with its tables or with shared ones. */
static inline bool payload_is_coded(const struct payload_form *form) {
    return form->mode == MODE_CODED || form->mode == MODE_SHARED;
}

/* Bytes that suffice for a payload of len elements. */
uint64_t payload_bound(const struct levels *levels, uint64_t len);

/* Writes the payload of k; dst holds payload_bound bytes. Returns its length. */
size_t payload_write(const struct code_chunk *chunk, bool dithered, const int16_t *k,
                     uint8_t damping, uint8_t *dst);

/* Writes it in the form of another frame's chunk; SIZE_MAX if k cannot be written so, or over cap.
 */
size_t payload_write_like(const struct code_chunk *chunk, bool dithered, const int16_t *k,
                          uint8_t damping, const struct payload_form *like, uint8_t *dst,
                          size_t cap);

/* Reads mode, damping and tables. *where: offset of an error within the payload. */
qsgd_status payload_parse(const struct code_chunk *chunk, bool dithered, const uint8_t *p,
                          size_t bytes, struct payload_form *form, size_t *where);

/* Reads the indices; every k written is a level. */
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
