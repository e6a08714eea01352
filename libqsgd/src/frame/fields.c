/* Fields that a header ends with: written, measured, and read. Lengths are checked before they are
 * used; what must be there, and what goes together, is for header.c to say. */
#include "frame/fields.h"

#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "codes/shared_tables.h"
#include "frame/params.h"

enum {
    FIELD_TAG = 1,
    FIELD_CRITICAL = 128,
    FIELD_NOISE_KEY,
    FIELD_TABLE,
    FIELD_SHARED,
    FIELD_ORIGIN
};

/* ---- write ---------------------------------------------------------------------------------- */

static bool has_origin(const struct qsgd_params *params, const struct qsgd_encode_options *o) {
    return o->origin > 0 && params_keyed(params);
}

static uint8_t *put_field(uint8_t *p, uint8_t type, uint64_t bytes) {
    *p++ = type;
    return p + varint_write(p, bytes);
}

uint8_t *fields_write(uint8_t *p, const struct qsgd_params *params,
                      const struct qsgd_encode_options *o) {
    if (o->tag_bytes > 0) {
        p = put_field(p, FIELD_TAG, o->tag_bytes);
        memcpy(p, o->tag, (size_t)o->tag_bytes);
        p += o->tag_bytes;
    }
    if (code_is_exact(params->code)) return p;
    if (params_keyed(params)) {
        p = put_field(p, FIELD_NOISE_KEY, 16);
        store_le64(p, params->seed);
        store_le64(p + 8, o->nonce);
        p += 16;
    }
    if (params->levels == QSGD_LEVELS_TABLE || params->levels == QSGD_LEVELS_SIGNED) {
        p = put_field(p, FIELD_TABLE, 4 * (uint64_t)params->level_table_len);
        for (uint32_t i = 0; i < params->level_table_len; i++, p += 4) {
            float level;
            memcpy(&level, params->level_table + i, sizeof level);
            store_le32(p, float_bits(level));
        }
    }
    if (params->shared_tables != NULL) {
        p = put_field(p, FIELD_SHARED, SHARED_TABLES_DIGEST_BYTES);
        qsgd_shared_tables_digest(params->shared_tables, params->shared_tables_bytes, p,
                                  NULL); /* they were checked */
        p += SHARED_TABLES_DIGEST_BYTES;
    }
    if (has_origin(params, o)) {
        p = put_field(p, FIELD_ORIGIN, 8);
        store_le64(p, o->origin);
        p += 8;
    }
    return p;
}

uint64_t fields_bytes(const struct qsgd_params *params, const struct qsgd_encode_options *o) {
    uint64_t bytes = 0;
    if (o->tag_bytes > 0) bytes += 1 + varint_bytes(o->tag_bytes) + o->tag_bytes;
    if (code_is_exact(params->code)) return bytes;
    if (params_keyed(params)) bytes += 2 + 16;
    if (params->levels == QSGD_LEVELS_TABLE || params->levels == QSGD_LEVELS_SIGNED) {
        uint64_t table = 4 * (uint64_t)params->level_table_len;
        bytes += 1 + varint_bytes(table) + table;
    }
    if (params->shared_tables != NULL) bytes += 2 + SHARED_TABLES_DIGEST_BYTES;
    return has_origin(params, o) ? bytes + 2 + 8 : bytes;
}

/* ---- parse ---------------------------------------------------------------------------------- */

#define AT(status, offset, reason) error_offset(error, status, offset, reason)

static qsgd_status parse_field(struct frame *f, uint8_t type, uint64_t at, uint64_t bytes,
                               struct qsgd_error *error) {
    struct qsgd_frame_info *info = &f->info;
    const uint8_t *p = f->bytes + at;
    if (type == FIELD_TAG) {
        if (bytes < 1 || bytes > QSGD_MAX_TAG) {
            return AT(QSGD_ERR_HEADER, at, "a tag has 1 to 16384 bytes");
        }
        info->tag = p;
        info->tag_bytes = bytes;
    } else if (type == FIELD_NOISE_KEY) {
        if (bytes != 16) return AT(QSGD_ERR_HEADER, at, "a noise key has 16 bytes");
        info->has_noise_key = 1;
        f->params.seed = load_le64(p);
        info->nonce = load_le64(p + 8);
    } else if (type == FIELD_TABLE) {
        if (bytes % 4 != 0 || bytes / 4 > QSGD_MAX_LEVEL_TABLE) {
            return AT(QSGD_ERR_HEADER, at, "a level table has at most 255 entries of 4 bytes");
        }
        info->level_table = p;
        info->level_table_len = bytes / 4;
        for (uint32_t i = 0; i < bytes / 4; i++)
            f->level_table[i] = float_from_bits(load_le32(p + 4 * i));
        f->params.level_table_len = (uint32_t)(bytes / 4);
        f->params.level_table = f->level_table;
    } else if (type == FIELD_SHARED) {
        if (bytes != SHARED_TABLES_DIGEST_BYTES) {
            return AT(QSGD_ERR_HEADER, at, "the digest of shared tables has 8 bytes");
        }
        info->has_shared_tables = 1;
        memcpy(info->shared_tables_digest, p, SHARED_TABLES_DIGEST_BYTES);
        f->tables_offset = at;
    } else if (type == FIELD_ORIGIN) {
        info->origin = bytes == 8 ? load_le64(p) : 0;
        if (info->origin == 0)
            return AT(QSGD_ERR_HEADER, at, "an origin has 8 bytes, and is not 0");
        if (info->origin > QSGD_MAX_ELEMENTS - info->elements) {
            return AT(QSGD_ERR_HEADER, at, "origin and elements add up to more than 2^47");
        }
    } else if (type >= FIELD_CRITICAL) {
        return AT(QSGD_ERR_FIELD, at, "an extension field that must be understood is unknown");
    }
    return QSGD_OK;
}

qsgd_status fields_parse(struct frame *f, uint64_t at, uint64_t end, struct qsgd_error *error) {
    unsigned before = 0;
    while (at < end) {
        uint8_t type = f->bytes[at];
        uint64_t bytes = 0;
        size_t used = varint_read(f->bytes + at + 1, f->bytes + end, &bytes);
        if (type <= before) {
            return AT(QSGD_ERR_HEADER, at, "extension field types must ascend from 1");
        }
        if (used == 0 || bytes > end - at - 1 - used) {
            return AT(QSGD_ERR_HEADER, at, "an extension field passes the header's end");
        }
        at += 1 + used;
        qsgd_status status = parse_field(f, type, at, bytes, error);
        if (status != QSGD_OK) return status;
        at += bytes;
        before = type;
    }
    return QSGD_OK;
}
