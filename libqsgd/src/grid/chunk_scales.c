#include "grid/chunk_scales.h"

#include "grid/item_sets.h"
#include "grid/layout.h"
#include "grid/scales.h"

/* Bits that a scale of each kind leaves out. */
static unsigned dropped(int kind) { return kind == SCALES_BFLOAT16 ? 16 : 0; }

static size_t base_bytes(int kind) { return kind == SCALES_BFLOAT16 ? 2 : 4; }

static unsigned widest(int kind) { return kind == SCALES_BFLOAT16 ? 15 : 31; }

#define SHIFT_MOST 7

/* The scale of bucket i, in units of its kind's last bit; *nan is set where it is NaN. */
static uint32_t units_of(const struct chunk_scales *c, uint64_t i, bool *nan) {
    const struct scale_array all = scales_at(c->scales, 0);
    const uint32_t bits = float_bits(scale_get(&all, i));
    *nan = bits == SCALE_NAN_BITS;
    return bits >> dropped(c->kind);
}

static uint32_t live_word(const void *context, uint64_t word) {
    const struct chunk_scales *c = context;
    const uint64_t from = word * SET_WORD, to = min_u64(from + SET_WORD, c->count);
    uint32_t bits = 0;
    for (uint64_t i = from; i < to; i++) {
        bool nan;
        if (units_of(c, i, &nan) != 0) bits |= (uint32_t)1 << (i - from);
    }
    return bits;
}

uint64_t scales_bound(uint64_t count, int kind) {
    return set_bound(count) + base_bytes(kind) + 1 + div_up(count * widest(kind), 8);
}

/* ---- write ---------------------------------------------------------------------------------- */

void scales_plan(const struct chunk_scales *c, struct scales_form *form) {
    uint32_t least = UINT32_MAX, most = 0, bits = 0;
    bool nan, nans = false;
    *form = (struct scales_form){0, 0, 0, 0};
    for (uint64_t i = 0; i < c->count; i++) {
        const uint32_t units = units_of(c, i, &nan);
        if (units == 0) continue;
        form->live++;
        nans = nans || nan;
        if (nan) continue;
        least = units < least ? units : least;
        most = units > most ? units : most;
    }
    if (least > most) least = most = 0; /* there is none but NaN */
    for (uint64_t i = 0; i < c->count; i++) {
        const uint32_t units = units_of(c, i, &nan);
        if (units != 0 && !nan) bits |= units - least;
    }
    form->base = least;
    if (bits != 0) {
        while (form->shift < SHIFT_MOST && (bits >> form->shift & 1) == 0) form->shift++;
    }
    if (bits != 0 || nans) form->width = floor_log2(((most - least) >> form->shift) + 1) + 1;
}

bool scales_fit(const struct chunk_scales *c, const struct scales_form *form) {
    const uint32_t all = ((uint32_t)1 << form->width) - 1;
    for (uint64_t i = 0; i < c->count; i++) {
        bool nan;
        const uint32_t units = units_of(c, i, &nan);
        if (units == 0 || (nan && form->width > 0)) continue;
        if (nan || units < form->base) return false;
        const uint32_t above = units - form->base;
        if ((above >> form->shift << form->shift) != above) return false;
        if (form->width > 0 ? above >> form->shift >= all : above != 0) return false;
    }
    return true;
}

size_t scales_write(const struct chunk_scales *c, const struct scales_form *form, uint8_t *dst) {
    const size_t set = form->live < c->count ? set_write(c->count, live_word, c, dst) : 0;
    if (form->live == 0) return set;
    const size_t head = set + base_bytes(c->kind) + 1;
    const size_t bytes = head + (size_t)div_up(form->live * form->width, 8);
    if (dst == NULL) return bytes;
    if (c->kind == SCALES_BFLOAT16) {
        store_le16(dst + set, (uint16_t)form->base);
    } else {
        store_le32(dst + set, form->base);
    }
    dst[head - 1] = (uint8_t)(form->width | form->shift << 5);
    struct lsb_writer w;
    lsb_write_init(&w, dst + head, dst + bytes);
    const uint32_t all = ((uint32_t)1 << form->width) - 1;
    for (uint64_t i = 0; i < c->count && form->width > 0; i++) {
        bool nan;
        const uint32_t units = units_of(c, i, &nan);
        if (units != 0) lsb_write(&w, nan ? all : (units - form->base) >> form->shift, form->width);
    }
    lsb_write_end(&w);
    return bytes;
}

/* ---- read ----------------------------------------------------------------------------------- */

static qsgd_status read_form(int kind, const uint8_t *p, struct scales_form *form) {
    const uint8_t shape = p[base_bytes(kind)];
    form->base = kind == SCALES_BFLOAT16 ? load_le16(p) : load_le32(p);
    form->width = shape & 31;
    form->shift = shape >> 5;
    const bool fits = form->width <= widest(kind) && (form->width > 0 || form->shift == 0);
    return fits ? QSGD_OK : QSGD_ERR_CHUNK;
}

/* The scale of so many steps above the base; false if it would be 0, infinite, or no number that a
 * scale may be. */
static inline bool scale_above(const struct scales_form *form, int kind, uint32_t above,
                               float *to) {
    const uint32_t all = ((uint32_t)1 << form->width) - 1;
    const uint64_t units = form->base + ((uint64_t)above << form->shift);
    const bool nan = form->width > 0 && above == all;
    *to = float_from_bits(nan ? SCALE_NAN_BITS : (uint32_t)(units << dropped(kind)));
    return nan || (units != 0 && units < SCALE_INF_BITS >> dropped(kind));
}

static inline bool read_one(struct bit_reader *r, const struct scales_form *form, int kind,
                            float *to) {
    const uint32_t above = form->width == 0 ? 0 : (uint32_t)lsb_read(r, form->width);
    return scale_above(form, kind, above, to);
}

/* The first scales, where all are there: those whose eight bytes are, each by itself, so that none
 * waits for the last. Returns how many; the reader moves on. */
static uint64_t read_first(struct bit_reader *r, const struct scales_form *form, int kind,
                           uint64_t count, float *to, bool *fine) {
    const uint8_t *const p = r->p;
    const size_t bytes = (size_t)(r->end - p);
    const uint32_t all = ((uint32_t)1 << form->width) - 1;
    if (form->width == 0 || bytes < 8) return 0;
    const uint64_t some = min_u64(count, 8 * (uint64_t)(bytes - 8) / form->width + 1);
    for (uint64_t i = 0, bit = 0; i < some; i++, bit += form->width) {
        const uint32_t above = (uint32_t)(load_le64(p + (bit >> 3)) >> (bit & 7)) & all;
        *fine &= scale_above(form, kind, above, to + i);
    }
    const uint64_t bit = some * form->width;
    bit_read_init(r, p + (bit >> 3), r->end);
    lsb_read(r, bit & 7);
    return some;
}

qsgd_status scales_read(const struct chunk_scales *c, bool some_idle, const uint8_t *p,
                        size_t bytes, struct scales_form *form, float *to, size_t *used) {
    struct item_set set;
    size_t at = 0;
    *form = (struct scales_form){c->count, 0, 0, 0};
    *used = 0;
    if (some_idle) {
        at = set_parse(&set, p, bytes, c->count);
        if (at == 0 || set.count == c->count) return QSGD_ERR_CHUNK;
        form->live = set.count;
    }
    const size_t head = form->live == 0 ? 0 : base_bytes(c->kind) + 1;
    *used = at;
    if (bytes - at < head || (head > 0 && read_form(c->kind, p + at, form) != QSGD_OK)) {
        return QSGD_ERR_CHUNK;
    }
    at += head;
    const uint64_t rest = div_up(form->live * form->width, 8);
    if (bytes - at < rest) return QSGD_ERR_CHUNK;
    struct bit_reader r;
    bit_read_init(&r, p + at, p + at + rest);
    const struct scales_form own = *form; /* which stores to `to` cannot change */
    bool fine = true;
    if (!some_idle) {
        uint64_t i = read_first(&r, &own, c->kind, c->count, to, &fine);
        for (; i < c->count; i++) fine &= read_one(&r, &own, c->kind, to + i);
    }
    uint32_t word = 0;
    for (uint64_t i = 0; some_idle && i < c->count; i++, word >>= 1) {
        if (i % SET_WORD == 0) word = set_next(&set, i / SET_WORD);
        to[i] = 0;
        if ((word & 1) != 0) fine &= read_one(&r, &own, c->kind, to + i);
    }
    if (!fine) return QSGD_ERR_SCALE;
    *used = at + (size_t)rest;
    return lsb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}
