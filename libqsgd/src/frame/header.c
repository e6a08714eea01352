/* Writes and parses headers. Parsing trusts nothing: every length is checked before it is used,
 * sums are bounded, and the header's checksum is verified before its fields are believed. */
#include "frame/header.h"

#include <string.h>

#include "base/bits.h"
#include "base/dtype.h"
#include "base/error.h"
#include "frame/checksum.h"
#include "frame/fields.h"
#include "frame/params.h"
#include "grid/levels.h"
#include "grid/scales.h"

static const uint8_t magic[4] = {0x8F, 0x51, 0x53, 0x47};

#define VERSION 1
enum { FLAG_CHECKSUM = 1, FLAG_ROTATION = 2, FLAG_DITHER = 4, FLAG_DITHER_ALL = 8 };
#define FLAGS 15                                /* all of them */
enum { GRID_NO_ZERO = 1, GRID_SCALE_KIND = 6 }; /* byte 21 */
#define FIXED_BYTES 23                          /* before the bucket */
#define LEAST_BYTES (FIXED_BYTES + 4)

/* ---- write ---------------------------------------------------------------------------------- */

uint64_t header_write(uint8_t *dst, const struct qsgd_params *params,
                      const struct qsgd_encode_options *o) {
    const bool exact = code_is_exact(params->code);
    const bool rotated = params->rotation != 0 && !exact;
    memcpy(dst, magic, 4);
    dst[4] = VERSION;
    dst[5] = (uint8_t)((params->checksum ? FLAG_CHECKSUM : 0) | (rotated ? FLAG_ROTATION : 0) |
                       (scheme_dithers(params) && !exact ? FLAG_DITHER : 0) |
                       (rotated && params->rounding == QSGD_ROUND_DITHERED ? FLAG_DITHER_ALL : 0));
    dst[16] = (uint8_t)o->dtype;
    dst[17] = (uint8_t)params->code;
    dst[18] = (uint8_t)(exact ? 0 : params->norm | params->rounding << 4);
    dst[19] = (uint8_t)(exact ? 0 : params->levels);
    dst[20] = (uint8_t)(o->ndim | (params->chunk_log2 - 10) << 4);
    dst[21] =
        (uint8_t)(exact ? 0
                        : (params->zero ? 0 : GRID_NO_ZERO) | scale_kind(params->scale_dtype) << 1);
    dst[22] = QSGD_PROFILE;
    uint8_t *p = dst + FIXED_BYTES;
    if (!exact) {
        p += varint_write(p, params->bucket);
        if (params->levels == QSGD_LEVELS_OPEN) {
            store_le32(p, float_bits(params->step));
            p += 4;
        } else if (params->levels <= QSGD_LEVELS_EXPONENTIAL) {
            p += varint_write(p, params->s);
        }
    }
    for (uint32_t d = 0; d < o->ndim; d++) p += varint_write(p, o->shape[d]);
    p = fields_write(p, params, o);
    uint64_t header_bytes = (uint64_t)(p - dst) + 4;
    store_le16(dst + 6, (uint16_t)header_bytes);
    return header_bytes;
}

uint64_t header_bytes_of(const struct qsgd_params *params, const struct qsgd_encode_options *o) {
    uint64_t bytes = LEAST_BYTES + fields_bytes(params, o);
    for (uint32_t d = 0; d < o->ndim; d++) bytes += varint_bytes(o->shape[d]);
    if (code_is_exact(params->code)) return bytes;
    bytes += varint_bytes(params->bucket);
    if (params->levels == QSGD_LEVELS_OPEN) bytes += 4;
    if (params->levels <= QSGD_LEVELS_EXPONENTIAL) bytes += varint_bytes(params->s);
    return bytes;
}

void header_place(struct frame *f, const struct layout *layout, const struct qsgd_params *params,
                  const struct qsgd_encode_options *options) {
    frame_place(f, layout, header_bytes_of(params, options), params->checksum != 0);
}

uint64_t header_payload_offset(const struct layout *layout, const struct qsgd_params *params,
                               const struct qsgd_encode_options *options) {
    struct frame f;
    qsgd_encode_options plain = *options;
    plain.tag_bytes = plain.origin = 0;
    header_place(&f, layout, params, &plain);
    return f.payload_offset;
}

/* ---- parse ---------------------------------------------------------------------------------- */

#define AT(status, offset, reason) error_offset(error, status, offset, reason)

static qsgd_status parse_prefix(const uint8_t *p, uint64_t size, uint64_t *header_bytes,
                                uint64_t *frame_bytes, struct qsgd_error *error) {
    uint64_t have = size < 4 ? size : 4;
    if (have > 0 && memcmp(p, magic, (size_t)have) != 0) {
        return AT(QSGD_ERR_MAGIC, 0,
                  "not a QSGD frame, which would start with the bytes 8F 51 53 47");
    }
    if (size > 4 && p[4] != VERSION) {
        return AT(QSGD_ERR_VERSION, 4,
                  p[4] == 0 ? "a frame of version 0, a preview that is no longer read: encode anew"
                            : "the frame's version is later than this library's (1)");
    }
    if (size < FRAME_PREFIX_BYTES) {
        return AT(QSGD_ERR_NEED_MORE, size, "a frame's prefix has 16 bytes");
    }
    *header_bytes = load_le16(p + 6);
    *frame_bytes = load_le64(p + 8);
    return QSGD_OK;
}

static qsgd_status check_prefix(const uint8_t *p, uint64_t header_bytes, uint64_t frame_bytes,
                                struct qsgd_error *error) {
    if (p[5] & ~FLAGS) return AT(QSGD_ERR_FLAGS, 5, "reserved flag bits are set (bits 4 to 7)");
    const unsigned both = FLAG_ROTATION | FLAG_DITHER;
    if ((p[5] & FLAG_DITHER_ALL) != 0 && (p[5] & both) != both) {
        return AT(QSGD_ERR_FLAGS, 5, "bit 3 needs bits 1 and 2");
    }
    if (header_bytes < LEAST_BYTES) {
        return AT(QSGD_ERR_HEADER, 6, "a header has at least 27 bytes");
    }
    if (frame_bytes < header_bytes || frame_bytes > (uint64_t)1 << 56) {
        return AT(QSGD_ERR_HEADER, 8, "the frame's size is less than its header's, or above 2^56");
    }
    return QSGD_OK;
}

qsgd_status header_parse_prefix(const uint8_t *bytes, uint64_t size, uint64_t *frame_bytes,
                                struct qsgd_error *error) {
    uint64_t header_bytes = 0, whole = 0;
    qsgd_status status = parse_prefix(bytes, size, &header_bytes, &whole, error);
    if (status == QSGD_OK) status = check_prefix(bytes, header_bytes, whole, error);
    if (status == QSGD_OK) *frame_bytes = whole;
    return status;
}

/* Bytes 16 .. 22, into info. */
static qsgd_status parse_fixed(struct frame *f, struct qsgd_error *error) {
    const uint8_t *p = f->bytes;
    struct qsgd_frame_info *info = &f->info;
    struct qsgd_params *params = &f->params;
    info->dtype = p[16];
    params->code = p[17];
    info->norm = p[18] & 15;
    info->rounding = p[18] >> 4;
    info->profile = p[22];
    params->levels = p[19];
    params->zero = p[21] & GRID_NO_ZERO ? 0 : 1;
    params->norm = params->levels == QSGD_LEVELS_OPEN ? QSGD_NORM_RMS : QSGD_NORM_MAX;
    info->dithered = (p[5] & FLAG_DITHER) != 0;
    params->rounding = info->dithered ? QSGD_ROUND_DITHERED : QSGD_ROUND_STOCHASTIC;
    const unsigned kind = p[21] >> 1 & 3;
    params->scale_dtype = scale_dtype_of(kind);
    info->ndim = p[20] & 15;
    params->chunk_log2 = 10U + (p[20] >> 4);
    const bool raw = params->code == QSGD_CODE_RAW;
    if (dtype_bytes(info->dtype) == 0 || (!raw && !dtype_is_float(info->dtype))) {
        return AT(QSGD_ERR_HEADER, 16, "unknown dtype, or one that cannot be quantised");
    }
    if (params->code > QSGD_CODE_LOSSLESS) return AT(QSGD_ERR_HEADER, 17, "unknown code");
    if (params->levels > QSGD_LEVELS_OPEN) return AT(QSGD_ERR_HEADER, 19, "unknown level set");
    if (code_is_exact(params->code) && (p[19] != 0 || p[21] != 0 || (p[5] & ~FLAG_CHECKSUM) != 0)) {
        return AT(QSGD_ERR_HEADER, 19, "a raw or lossless frame names a quantiser");
    }
    if (info->ndim > QSGD_MAX_DIMS) return AT(QSGD_ERR_HEADER, 20, "more than 8 dimensions");
    if (kind > SCALES_BFLOAT16 || p[21] >> 3 != 0) {
        return AT(QSGD_ERR_HEADER, 21, "unknown scale kind, or reserved bits set");
    }
    if (params->chunk_log2 > CHUNK_LOG2_MOST) {
        return AT(QSGD_ERR_HEADER, 20, "chunks of more than 2^18 elements");
    }
    return QSGD_OK;
}

/* Bucket, level parameter and shape; *at moves past them. */
static qsgd_status parse_variable(struct frame *f, uint64_t *at, uint64_t end,
                                  struct qsgd_error *error) {
    const uint8_t *p = f->bytes, *stop = f->bytes + end;
    struct qsgd_frame_info *info = &f->info;
    struct qsgd_params *params = &f->params;
    uint64_t value = 0;
    size_t used;
    if (!code_is_exact(params->code)) {
        used = varint_read(p + *at, stop, &value);
        if (used == 0 || value > QSGD_MAX_ELEMENTS) {
            return AT(QSGD_ERR_HEADER, *at, "malformed bucket size");
        }
        params->bucket = value;
        *at += used;
        if (params->levels == QSGD_LEVELS_OPEN) {
            if (end - *at < 4) return AT(QSGD_ERR_HEADER, *at, "the header ends within its step");
            params->step = float_from_bits(load_le32(p + *at));
            *at += 4;
        } else if (params->levels <= QSGD_LEVELS_EXPONENTIAL) {
            used = varint_read(p + *at, stop, &value);
            if (used == 0 || value > QSGD_MAX_S) return AT(QSGD_ERR_HEADER, *at, "malformed s");
            params->s = (uint32_t)value;
            *at += used;
        }
    }
    for (uint32_t d = 0; d < info->ndim; d++) {
        used = varint_read(p + *at, stop, &info->shape[d]);
        if (used == 0) return AT(QSGD_ERR_HEADER, *at, "malformed dimension");
        *at += used;
    }
    if (!params_shape(info->shape, info->ndim, &info->elements)) {
        return AT(QSGD_ERR_HEADER, 20, "the shape holds more than 2^47 elements");
    }
    return QSGD_OK;
}

/* The fields agree with each other. */
static qsgd_status check_scheme(const struct frame *f, struct qsgd_error *error) {
    const struct qsgd_params *params = &f->params;
    const bool exact = frame_is_exact(f);
    const bool wants_table =
        !exact && (params->levels == QSGD_LEVELS_TABLE || params->levels == QSGD_LEVELS_SIGNED);
    if (wants_table != (f->info.level_table != NULL)) {
        return AT(QSGD_ERR_HEADER, 19, "a level table is there without need, or missing");
    }
    if (params_keyed(params) != (f->info.has_noise_key != 0)) {
        return AT(QSGD_ERR_HEADER, 5, "a noise key is there without need, or missing");
    }
    if (f->info.origin > 0 && !params_keyed(params)) {
        return AT(QSGD_ERR_HEADER, 5, "an origin is there, but no noise to count");
    }
    if (f->info.has_shared_tables && params->code != QSGD_CODE_HUFFMAN &&
        params->code != QSGD_CODE_RANS) {
        return AT(QSGD_ERR_HEADER, 17, "shared tables are named, but the code has none");
    }
    if (exact) return QSGD_OK;
    qsgd_error detail;
    qsgd_error_init(&detail);
    if (params_check_scheme(params, &detail) != QSGD_OK) {
        return AT(QSGD_ERR_HEADER, 16, detail.reason);
    }
    return QSGD_OK;
}

/* Norm and rounding say where a frame comes from, and change nothing for who decodes it. The codec
 * to go on with decodes alike, and has the same names where these go with the rest. */
static void name_provenance(struct frame *f) {
    qsgd_params *params = &f->params;
    if (frame_is_exact(f)) return;
    if (params->rotation != 0 && f->info.dithered && (f->bytes[5] & FLAG_DITHER_ALL) == 0) {
        params->rounding = QSGD_ROUND_NEAREST; /* dithers where buckets are not rotated */
    }
    const qsgd_params plain = *params;
    params->norm = (int32_t)f->info.norm;
    if (!f->info.dithered && f->info.rounding != QSGD_ROUND_DITHERED &&
        f->info.rounding <= QSGD_ROUND_TOPK) {
        params->rounding = (int32_t)f->info.rounding;
    }
    const bool dithers = scheme_dithers(params) == (f->info.dithered != 0);
    if (!dithers || params_check_encoder(params, NULL) != QSGD_OK) *params = plain;
}

qsgd_status header_parse(struct frame *f, const uint8_t *bytes, uint64_t size,
                         struct qsgd_error *error) {
    memset(f, 0, sizeof *f);
    f->bytes = bytes;
    struct qsgd_frame_info *info = &f->info;
    qsgd_status status = parse_prefix(bytes, size, &info->header_bytes, &info->frame_bytes, error);
    if (status != QSGD_OK) return status;
    if (info->header_bytes < LEAST_BYTES) {
        return AT(QSGD_ERR_HEADER, 6, "a header has at least 27 bytes");
    }
    if (info->frame_bytes < info->header_bytes) { /* more bytes would never help */
        return AT(QSGD_ERR_HEADER, 8, "the frame's size is less than its header's");
    }
    if (size < info->header_bytes) {
        return AT(QSGD_ERR_NEED_MORE, size, "the header is cut short");
    }
    const uint64_t end = info->header_bytes - 4;
    if (crc32c(bytes, (size_t)end) != load_le32(bytes + end)) {
        return AT(QSGD_ERR_HEADER_CRC, end, "the header's checksum does not match");
    }
    status = check_prefix(bytes, info->header_bytes, info->frame_bytes, error);
    if (status != QSGD_OK) return status;
    qsgd_params_init(&f->params);
    params_resolve(&f->params);
    f->params.step = 0;
    info->struct_size = sizeof *info;
    info->version = VERSION;
    f->params.bucket = 0;
    f->params.s = 0;
    f->params.checksum = bytes[5] & FLAG_CHECKSUM;
    f->params.rotation = bytes[5] & FLAG_ROTATION ? 1 : 0;
    status = parse_fixed(f, error);
    if (status != QSGD_OK) return status;
    uint64_t at = FIXED_BYTES;
    status = parse_variable(f, &at, end, error);
    if (status != QSGD_OK) return status;
    status = fields_parse(f, at, end, error);
    if (status != QSGD_OK) return status;
    status = check_scheme(f, error);
    if (status != QSGD_OK) return status;
    name_provenance(f);
    struct layout layout = layout_of(info->elements, f->params.bucket, f->params.chunk_log2,
                                     layout_kind_of(frame_is_exact(f), f->params.rotation != 0));
    frame_place(f, &layout, info->header_bytes, f->params.checksum != 0);
    info->buckets = layout.buckets;
    info->chunks = layout.chunks;
    info->chunk_elements = layout.chunk;
    if (f->payload_offset > info->frame_bytes) {
        return AT(QSGD_ERR_HEADER, 8, "the frame's size is less than its index needs");
    }
    return QSGD_OK;
}
