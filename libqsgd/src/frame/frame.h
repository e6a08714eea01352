/* The frame: header, index, payloads, and where they lie (FORMAT.md section 3). Both directions. */
#ifndef QSGD_FRAME_FRAME_H
#define QSGD_FRAME_FRAME_H

#include "base/dtype.h"
#include "grid/layout.h"
#include "qsgd.h"

/* A parsed header, and where the parts lie. */
struct frame {
    const uint8_t *bytes;
    qsgd_frame_info info;
    qsgd_params params; /* params.level_table is `level_table` below */
    struct layout layout;
    bool checksum;
    float level_table[QSGD_MAX_LEVEL_TABLE];
    uint64_t index_offset, payload_offset;
    uint64_t tables_offset; /* of the digest, if info.has_shared_tables */
};

/* True if a frame holds the elements themselves: raw ones and lossless ones. */
static inline bool frame_is_exact(const struct frame *f) { return code_is_exact(f->params.code); }

static inline bool frame_is_raw(const struct frame *f) { return f->params.code == QSGD_CODE_RAW; }

/* Bytes of an entry of the index: a payload's length, and its checksum. */
static inline uint64_t frame_entry_bytes(bool checksum) { return checksum ? 8 : 4; }

/* Offsets of the parts after a header of header_bytes. */
void frame_place(struct frame *f, const struct layout *layout, uint64_t header_bytes,
                 bool checksum);

/* Stores the entry of a chunk in the frame that is being written at dst. */
void frame_set_entry(uint8_t *dst, const struct frame *f, uint64_t chunk, const uint8_t *payload,
                     size_t bytes);

/* The length of a chunk's payload, as its entry has it. */
uint32_t frame_entry(const uint8_t *bytes, const struct frame *f, uint64_t chunk);

/* True if a parsed frame's chunk has the checksum of its entry, or there are none. */
bool frame_chunk_intact(const struct frame *f, uint64_t chunk, const uint8_t *payload,
                        size_t bytes);

/* Stores frame_bytes, the index checksum and the header checksum. */
void frame_finish(uint8_t *dst, const struct frame *f, uint64_t frame_bytes);

/* A parsed frame has just `size` bytes. */
qsgd_status frame_check_size(const struct frame *f, uint64_t size, qsgd_error *error);

/* Checks that `size` is the frame's, the index, and its checksum. offsets[chunks + 1] receives
 * where payloads start (the last entry: the frame's end). */
qsgd_status frame_check_body(const struct frame *f, uint64_t size, uint64_t *offsets,
                             struct qsgd_error *error);

#endif
