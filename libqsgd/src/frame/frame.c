/* Where the parts of a frame lie, its index and its checksums. Parsing trusts nothing. */
#include "frame/frame.h"

#include "base/bits.h"
#include "base/error.h"
#include "frame/checksum.h"

void frame_place(struct frame *f, const struct layout *layout, uint64_t header_bytes,
                 bool checksum) {
    f->layout = *layout;
    f->checksum = checksum;
    f->index_offset = header_bytes;
    f->payload_offset =
        f->index_offset + layout->chunks * frame_entry_bytes(checksum) + (checksum ? 4 : 0);
}

/* Offset of a chunk's entry. */
static uint64_t entry_offset(const struct frame *f, uint64_t chunk) {
    return f->index_offset + chunk * frame_entry_bytes(f->checksum);
}

void frame_set_entry(uint8_t *dst, const struct frame *f, uint64_t chunk, const uint8_t *payload,
                     size_t bytes) {
    uint8_t *entry = dst + entry_offset(f, chunk);
    store_le32(entry, (uint32_t)bytes);
    if (f->checksum) store_le32(entry + 4, crc32c(payload, bytes));
}

uint32_t frame_entry(const uint8_t *bytes, const struct frame *f, uint64_t chunk) {
    return load_le32(bytes + entry_offset(f, chunk));
}

bool frame_chunk_intact(const struct frame *f, uint64_t chunk, const uint8_t *payload,
                        size_t bytes) {
    return !f->checksum ||
           crc32c(payload, bytes) == load_le32(f->bytes + entry_offset(f, chunk) + 4);
}

/* The checksum of the index. */
static uint32_t index_crc(const uint8_t *bytes, const struct frame *f) {
    const uint64_t covered = f->payload_offset - 4 - f->index_offset;
    return crc32c(bytes + f->index_offset, (size_t)covered);
}

void frame_finish(uint8_t *dst, const struct frame *f, uint64_t frame_bytes) {
    const uint64_t header_bytes = f->index_offset;
    if (f->checksum) store_le32(dst + f->payload_offset - 4, index_crc(dst, f));
    store_le64(dst + 8, frame_bytes);
    store_le32(dst + header_bytes - 4, crc32c(dst, (size_t)header_bytes - 4));
}

qsgd_status frame_check_size(const struct frame *f, uint64_t size, qsgd_error *error) {
    const uint64_t whole = f->info.frame_bytes;
    if (size < whole) {
        return error_offset(error, QSGD_ERR_NEED_MORE, size, "the frame is cut short");
    }
    if (size > whole) {
        return error_offset(error, QSGD_ERR_TRAILING, whole, "bytes follow the frame");
    }
    return QSGD_OK;
}

qsgd_status frame_check_body(const struct frame *f, uint64_t size, uint64_t *offsets,
                             struct qsgd_error *error) {
    const struct qsgd_frame_info *info = &f->info;
    const qsgd_status status = frame_check_size(f, size, error);
    if (status != QSGD_OK) return status;
    if (f->checksum && index_crc(f->bytes, f) != load_le32(f->bytes + f->payload_offset - 4)) {
        return error_offset(error, QSGD_ERR_INDEX_CRC, f->payload_offset - 4,
                            "the index's checksum does not match");
    }
    uint64_t at = f->payload_offset;
    for (uint64_t j = 0; j < f->layout.chunks; j++) {
        offsets[j] = at;
        at += frame_entry(f->bytes, f, j);
        if (at > info->frame_bytes) {
            return error_offset(error, QSGD_ERR_CHUNK_INDEX, entry_offset(f, j),
                                "a chunk passes the frame's end");
        }
    }
    offsets[f->layout.chunks] = at;
    if (at != info->frame_bytes) {
        return error_offset(error, QSGD_ERR_CHUNK_INDEX, f->index_offset,
                            "bytes are left after the last chunk");
    }
    return QSGD_OK;
}
