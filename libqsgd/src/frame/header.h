/* The header of a frame and the prefix that it starts with (FORMAT.md sections 3 and 4). Both
 * directions. */
#ifndef QSGD_FRAME_HEADER_H
#define QSGD_FRAME_HEADER_H

#include "frame/frame.h"

#define FRAME_PREFIX_BYTES 16

/* Bytes of the header for these parameters and options, which were checked: options->shape is
 * there.
 */
uint64_t header_bytes_of(const struct qsgd_params *params,
                         const struct qsgd_encode_options *options);

/* Places the parts of a frame with these parameters and options. */
void header_place(struct frame *f, const struct layout *layout, const struct qsgd_params *params,
                  const struct qsgd_encode_options *options);

/* Bytes of such a frame in front of its payloads, had it neither tag nor origin. */
uint64_t header_payload_offset(const struct layout *layout, const struct qsgd_params *params,
                               const struct qsgd_encode_options *options);

/* Writes prefix and header; frame_finish adds frame_bytes and checksum. Returns header_bytes. */
uint64_t header_write(uint8_t *dst, const struct qsgd_params *params,
                      const struct qsgd_encode_options *options);

/* The frame's size, from its prefix: as qsgd_frame_size. */
qsgd_status header_parse_prefix(const uint8_t *bytes, uint64_t size, uint64_t *frame_bytes,
                                struct qsgd_error *error);

/* Parses and checks prefix and header; needs info.header_bytes of `size` bytes. */
qsgd_status header_parse(struct frame *f, const uint8_t *bytes, uint64_t size,
                         struct qsgd_error *error);

#endif
