/* Extension fields of a header (FORMAT.md section 4.1). Both directions. */
#ifndef QSGD_FRAME_FIELDS_H
#define QSGD_FRAME_FIELDS_H

#include "frame/frame.h"

/* Bytes of all fields for these parameters and options, which were checked. */
uint64_t fields_bytes(const struct qsgd_params *params, const struct qsgd_encode_options *options);

/* Writes them; returns what is behind. */
uint8_t *fields_write(uint8_t *p, const struct qsgd_params *params,
                      const struct qsgd_encode_options *options);

/* Parses bytes [at, end) of the frame; its shape is known. */
qsgd_status fields_parse(struct frame *f, uint64_t at, uint64_t end, struct qsgd_error *error);

#endif
