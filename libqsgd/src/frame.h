/* The frame: prefix, header, index, scales, payloads (FORMAT.md sections 2 and 3). Both directions.
 */
#ifndef QSGD_FRAME_H
#define QSGD_FRAME_H

#include "layout.h"
#include "params.h"
#include "qsgd.h"
#include "scales.h"

#define FRAME_PREFIX_BYTES 16

/* A parsed header, and where the parts lie. */
struct frame {
    const uint8_t *bytes;
    struct qsgd_frame_info info; /* info.params.table is `table` below */
    struct layout layout;
    float table[QSGD_MAX_TABLE];
    uint64_t index_offset, scales_offset, payload_offset;
    uint64_t tables_offset; /* of the digest, if info.has_tables */
};

static inline bool frame_is_raw(const struct frame *f) {
    return f->info.params.code == QSGD_CODE_RAW;
}
static inline uint64_t frame_index_entry(int32_t checksum) { return checksum ? 8 : 4; }

/* Bytes of the header for these parameters. */
uint64_t frame_header_bytes(const struct qsgd_params *params, const struct encode_call *call);

/* Writes prefix and header; frame_finish adds frame_bytes and checksum. Returns header_bytes. */
uint64_t frame_write_header(uint8_t *dst, const struct qsgd_params *params,
                            const struct encode_call *call);

/* Offsets of the parts after a header of header_bytes. */
void frame_place(struct frame *f, const struct layout *layout, uint64_t header_bytes,
                 const struct qsgd_params *params);

/* Stores frame_bytes, the index checksum and the header checksum. */
void frame_finish(uint8_t *dst, const struct frame *f, uint64_t header_bytes, int32_t checksum,
                  uint64_t frame_bytes);

/* The frame's size, from its prefix: as qsgd_frame_size. */
qsgd_status frame_parse_prefix(const uint8_t *bytes, uint64_t size, uint64_t *frame_bytes,
                               struct qsgd_error *error);

/* Parses and checks prefix and header; needs info.header_bytes of `size` bytes. */
qsgd_status frame_parse_header(struct frame *f, const uint8_t *bytes, uint64_t size,
                               struct qsgd_error *error);

/* Checks that `size` is the frame's, the index, its checksum, and every scale. offsets[chunks + 1]
 * receives where payloads start (the last entry: the frame's end). */
qsgd_status frame_check_body(const struct frame *f, uint64_t size, uint64_t *offsets,
                             struct qsgd_error *error);

static inline struct scale_array frame_scales(const struct frame *f) {
    return (struct scale_array){(uint8_t *)(uintptr_t)(f->bytes + f->scales_offset),
                                f->info.params.scale};
}

#endif
