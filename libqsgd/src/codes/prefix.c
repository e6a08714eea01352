/* Prefix codes of byte symbols in segments: tables of runs, and the way from segment to segment
 * around the kernels. */
#include "codes/prefix.h"

#include "codes/segments.h"

/* ---- encode --------------------------------------------------------------------------------- */

size_t prefix_write_segments(const struct code_chunk *chunk, const struct prefix_code *code,
                             const uint8_t *symbols, uint8_t *dst, size_t cap) {
    const struct kernels *kernels = chunk->kernels;
    uint32_t *lengths = segments_scratch(chunk);
    const size_t count = code_segments(chunk);
    for (size_t s = 0; s < count; s++) {
        const uint8_t *first = symbols + s * chunk->segment;
        uint64_t bits = kernels->prefix_bits(code, first, segments_elements(chunk, s));
        lengths[s] = (uint32_t)((bits + 7) / 8);
    }
    const size_t head = segments_write(lengths, count, dst, cap);
    if (head == SIZE_MAX) return SIZE_MAX;
    uint8_t *p = dst + head, *end = dst + cap;
    for (size_t s = 0; s < count && p != NULL; s++) {
        const uint8_t *first = symbols + s * chunk->segment;
        p = kernels->prefix_write(code, first, segments_elements(chunk, s), p, end);
    }
    return p == NULL ? SIZE_MAX : (size_t)(p - dst);
}

/* ---- runs ----------------------------------------------------------------------------------- */

/* Runs of the codewords that lie within `bits` bits: built from the runs of fewer bits. */
static inline uint64_t *runs_of(uint64_t *runs, unsigned bits) { return runs + (1U << bits); }

static inline uint64_t run_after(uint64_t after, unsigned symbol, unsigned length) {
    const uint64_t symbols = (after & ~(uint64_t)0xFFFF) << 8 | (uint64_t)symbol << 16;
    return symbols | ((after & 0xFFFF) + (1U << 8) + length);
}

/* Puts a codeword in front of all runs of rest_bits bits. Where `full`, runs may hold as many
 * codewords as fit, of which the last must go. */
static void runs_prepend(uint64_t *runs, const uint8_t *lengths, unsigned symbol,
                         unsigned rest_bits, bool full, uint64_t *out) {
    const uint64_t *after = runs_of(runs, rest_bits);
    const unsigned length = lengths[symbol];
    const uint32_t count = 1U << rest_bits;
    if (!full) {
        for (uint32_t i = 0; i < count; i++) out[i] = run_after(after[i], symbol, length);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t last = RUN_COUNT(after[i]) == RUN_MOST ? lengths[after[i] >> 56] + 256U : 0;
        out[i] = run_after(after[i] - last, symbol, length);
    }
}

void prefix_runs_build(struct prefix_memory *memory, unsigned window) {
    const uint8_t *lengths = memory->code.part[2];
    const unsigned symbols = 16 * memory->code.rows;
    uint64_t *runs = memory->runs;
    unsigned shortest = window;
    for (unsigned symbol = 0; symbol < symbols; symbol++) {
        if (lengths[symbol] != 0 && lengths[symbol] < shortest) shortest = lengths[symbol];
    }
    memory->window = window;
    memset(runs, 0, (2U << window) * sizeof *runs);
    for (unsigned bits = 1; bits <= window; bits++) {
        for (unsigned symbol = 0; symbol < symbols; symbol++) {
            const unsigned length = lengths[symbol];
            if (length == 0 || length > bits) continue;
            const unsigned rest_bits = bits - length;
            const uint32_t word = memory->code.word[symbol] >> 8;
            runs_prepend(runs, lengths, symbol, rest_bits, rest_bits >= RUN_MOST * shortest,
                         runs_of(runs, bits) + ((size_t)word << rest_bits));
        }
    }
}

/* ---- decode --------------------------------------------------------------------------------- */

struct reading {
    const struct code_chunk *chunk;
    const uint64_t *runs;
    unsigned window;
    prefix_long *take_long;
    uint8_t *symbols;
    const uint8_t *base;
    const uint32_t *starts; /* bytes from `base` to each segment, and to the end of the last */
    uint64_t limit;         /* as in struct prefix_streams */
};

/* Segments that are read one after the other, and where in them the reader is. */
struct stream {
    size_t segment, last; /* the one being read; after the last to be read */
    uint64_t bit;
    uint8_t *out, *stop, *end;
};

/* A step may write past the segment's end only where symbols are still to come. */
static void stream_stop(const struct reading *r, struct stream *s) {
    const size_t len = segments_elements(r->chunk, s->segment), next = s->segment + 1;
    const bool follows = next < s->last && segments_elements(r->chunk, next) >= PREFIX_GROUP;
    s->stop = s->end;
    if (!follows) s->stop -= len < PREFIX_GROUP ? len : PREFIX_GROUP - 1;
}

static void stream_open(const struct reading *r, struct stream *s) {
    s->bit = (uint64_t)r->starts[s->segment] * 8;
    s->out = r->symbols + s->segment * r->chunk->segment;
    s->end = s->out + segments_elements(r->chunk, s->segment);
    stream_stop(r, s);
}

/* A stream that is done takes the latter half of what is left to the stream with the most. */
static bool stream_share(const struct reading *r, struct stream *all, int count, struct stream *s) {
    struct stream *most = all;
    for (int j = 1; j < count; j++) {
        if (all[j].last - all[j].segment > most->last - most->segment) most = &all[j];
    }
    const size_t left = most->last - most->segment;
    if (left < 2) return false;
    s->last = most->last;
    s->segment = most->last = most->last - left / 2;
    stream_stop(r, most);
    stream_open(r, s);
    return true;
}

/* A reader of the segment's bits at the stream's place; false if that lies past them. */
static bool stream_reader(const struct reading *r, const struct stream *s, struct bit_reader *b) {
    const uint64_t byte = s->bit / 8, end = r->starts[s->segment + 1];
    if (byte > end) return false;
    bit_read_init(b, r->base + byte, r->base + end);
    msb_refill(b);
    if (s->bit % 8 != 0) msb_take(b, s->bit % 8);
    return true;
}

static bool take_one(const struct reading *r, struct bit_reader *b, uint8_t *out) {
    msb_refill(b);
    const uint64_t run = r->runs[b->acc >> (64 - r->window)];
    if (run != 0) {
        *out = RUN_FIRST(run);
        msb_take(b, r->chunk->scratch->prefix->code.part[2][*out]);
        return true;
    }
    const int symbol = r->take_long == NULL ? -1 : r->take_long(r->chunk, b);
    *out = (uint8_t)symbol;
    return symbol >= 0;
}

/* The segment's remaining symbols. Zeros may be read behind its end: segments_whole sees it. */
static bool stream_finish(const struct reading *r, struct stream *s) {
    struct bit_reader b;
    if (!stream_reader(r, s, &b)) return false;
    while (s->out < s->end) {
        msb_refill(&b);
        const uint64_t run = r->runs[b.acc >> (64 - r->window)];
        if (s->end - s->out >= 8 && run != 0) {
            store_le64(s->out, run >> 16);
            msb_take(&b, RUN_BITS(run));
            s->out += RUN_COUNT(run);
        } else if (!take_one(r, &b, s->out++)) {
            return false;
        }
    }
    return true;
}

static bool stream_long(const struct reading *r, struct stream *s) {
    struct bit_reader b;
    if (!stream_reader(r, s, &b) || !take_one(r, &b, s->out++)) return false;
    s->bit = (uint64_t)(b.p - r->base) * 8 - (b.held - b.past);
    return !b.overrun;
}

enum stream_state { READY, DONE, BAD };

/* Brings a stream to where a kernel can go on. */
static enum stream_state stream_prepare(const struct reading *r, struct stream *s) {
    for (;;) {
        if (s->out >= s->end) {
            if (++s->segment == s->last) return DONE;
            stream_open(r, s);
        } else if (s->out >= s->stop || s->bit > r->limit) {
            if (!stream_finish(r, s)) return BAD;
        } else {
            const uint64_t next = load_be64(r->base + s->bit / 8) << s->bit % 8;
            if (r->runs[next >> (64 - r->window)] != 0) return READY;
            if (!stream_long(r, s)) return BAD;
        }
    }
}

/* Brings all streams to where a kernel can go on; DONE if one is, and finds no more to read. */
static enum stream_state streams_prepare(const struct reading *r, struct stream *s, int count) {
    for (int j = 0; j < count; j++) {
        const enum stream_state state = stream_prepare(r, &s[j]);
        if (state == READY) continue;
        if (state == BAD || !stream_share(r, s, count, &s[j])) return state;
        j = -1; /* all over again: another's stop has changed */
    }
    return READY;
}

/* Reads `count` streams side by side until one is done. */
static enum stream_state streams_read(const struct reading *r, struct stream *s, int count) {
    const struct kernels *kernels = r->chunk->kernels;
    struct prefix_streams side = {.base = r->base, .limit = r->limit};
    for (;;) {
        const enum stream_state state = streams_prepare(r, s, count);
        if (state != READY) return state;
        for (int j = 0; j < count; j++) {
            side.bit[j] = s[j].bit;
            side.out[j] = s[j].out;
            side.stop[j] = s[j].stop;
        }
        if (count == 1) kernels->prefix_read_one(r->runs, r->window, &side);
        if (count > 1) kernels->prefix_read(r->runs, r->window, &side);
        for (int j = 0; j < count; j++) {
            s[j].bit = side.bit[j];
            s[j].out = side.out[j];
        }
    }
}

/* Every symbol is known, so the codewords' lengths tell where the reader of each segment stopped:
 * within its last byte, before padding of zeros? */
static bool segments_whole(const struct reading *r) {
    const struct code_chunk *chunk = r->chunk;
    for (size_t s = 0; s < code_segments(chunk); s++) {
        const uint8_t *first = r->symbols + s * chunk->segment;
        const uint64_t bits = chunk->kernels->prefix_bits(&chunk->scratch->prefix->code, first,
                                                          segments_elements(chunk, s));
        const uint32_t end = r->starts[s + 1];
        if ((bits + 7) / 8 != end - r->starts[s]) return false;
        if (bits % 8 != 0 && (r->base[end - 1] & 0xFF >> bits % 8) != 0) return false;
    }
    return true;
}

bool prefix_read_segments(const struct code_chunk *chunk, const struct code_plan *plan,
                          prefix_long *take_long, uint8_t *symbols) {
    const unsigned window = chunk->scratch->prefix->window;
    const size_t count = code_segments(chunk);
    const uint64_t bytes = (uint64_t)(plan->end - plan->body);
    uint32_t *starts = segments_scratch(chunk);
    if (bytes < 8) return false;
    starts[0] = 0;
    for (size_t s = 0; s < count; s++) {
        starts[s + 1] = starts[s] + (uint32_t)segments_length(plan, s);
    }
    const struct reading r = {chunk,   chunk->scratch->prefix->runs + ((size_t)1 << window),
                              window,  take_long,
                              symbols, plan->body,
                              starts,  (bytes - 8) * 8 + 7};
    struct stream streams[PREFIX_STREAMS];
    const size_t sides = count < PREFIX_STREAMS ? 1 : PREFIX_STREAMS;
    for (size_t j = 0; j < sides; j++) {
        streams[j].segment = count * j / sides;
        streams[j].last = count * (j + 1) / sides;
        stream_open(&r, &streams[j]);
    }
    if (sides > 1 && streams_read(&r, streams, PREFIX_STREAMS) == BAD) return false;
    for (size_t j = 0; j < sides; j++) {
        if (streams[j].segment == streams[j].last) continue;
        if (streams_read(&r, &streams[j], 1) == BAD) return false;
    }
    return segments_whole(&r);
}
