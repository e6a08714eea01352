/* Calls whose buffers overlap, each two in turn, where one of them is written. A call is described
 * by its buffers; they lie in one arena, apart but for the two that are tried. */
#ifndef QSGD_TESTS_OVERLAPS_H
#define QSGD_TESTS_OVERLAPS_H

#include "support.h"

#define BUFFERS 14

/* UPDATED: is looked at before anything is compared, so that another error may speak first. */
enum use { READ, WRITTEN, UPDATED };

struct buffer {
    const char *name; /* as errors call it; NULL: the last one */
    size_t bytes, align;
    enum use use;
    const void *content; /* at the start; NULL: `prepare` writes it, or nobody */
};

struct overlap_call {
    const char *name;
    struct buffer buffers[BUFFERS];
    /* fills structs that point to other buffers; may be NULL */
    void (*prepare)(uint8_t *const *at);
    qsgd_status (*call)(uint8_t *const *at, qsgd_error *error);
};

struct arena {
    uint8_t *bytes, *before;
    size_t size;
    uint8_t *at[BUFFERS];
};

/* Keeps a place in the list of a call that lacks that buffer. */
#define UNUSED {"unused", 8, 8, READ, NULL}
static inline bool unused(const struct buffer *b) { return strcmp(b->name, "unused") == 0; }

static inline size_t count_buffers(const struct overlap_call *c) {
    size_t count = 0;
    while (count < BUFFERS && c->buffers[count].name != NULL) count++;
    return count;
}

static inline uintptr_t down(uintptr_t p, size_t align) { return p / align * align; }

/* Every buffer between two gaps as long as the longest, for those that move there. */
static inline struct arena arena_new(const struct overlap_call *c) {
    const size_t count = count_buffers(c);
    size_t longest = 0;
    struct arena a = {NULL, NULL, 0, {NULL}};
    for (size_t i = 0; i < count; i++) {
        if (c->buffers[i].bytes > longest) longest = c->buffers[i].bytes;
    }
    const size_t gap = (longest + 128) / 64 * 64;
    a.size = gap;
    for (size_t i = 0; i < count; i++) a.size += (c->buffers[i].bytes + 64) / 64 * 64 + gap;
    a.bytes = malloc(a.size);
    a.before = malloc(a.size);
    size_t at = gap;
    for (size_t i = 0; i < count; i++) {
        a.at[i] = a.bytes + at;
        at += (c->buffers[i].bytes + 64) / 64 * 64 + gap;
    }
    return a;
}

static inline void arena_free(struct arena *a) {
    free(a->bytes);
    free(a->before);
}

static inline void arena_fill(struct arena *a, const struct overlap_call *c) {
    const size_t count = count_buffers(c);
    memset(a->bytes, 0x5A, a->size);
    for (int reads = 0; reads < 2; reads++) { /* what is read, last */
        for (size_t i = 0; i < count; i++) {
            const struct buffer *b = &c->buffers[i];
            if ((b->use == READ) == (reads == 1) && b->content != NULL) {
                memcpy(a->at[i], b->content, b->bytes);
            }
        }
    }
    if (c->prepare != NULL) c->prepare(a->at);
    memcpy(a->before, a->bytes, a->size);
}

/* Buffer w so that it shares the last byte of r, or its first one, or starts with it. */
static inline uint8_t *place_across(const struct overlap_call *c, uint8_t *r, size_t r_index,
                                    size_t w_index, int how) {
    const struct buffer *w = &c->buffers[w_index];
    const uintptr_t start = (uintptr_t)r, last = start + c->buffers[r_index].bytes - 1;
    if (how == 0) return (uint8_t *)down(last, w->align);
    if (how == 1) return (uint8_t *)down(start - w->bytes + w->align, w->align);
    return r;
}

static inline void one_overlap_is_refused(struct arena *a, const struct overlap_call *c, size_t w,
                                          size_t r, int how) {
    uint8_t *const own = a->at[w];
    const char *one = c->buffers[w].name, *other = c->buffers[r].name;
    qsgd_error error = error_new();
    a->at[w] = place_across(c, a->at[r], r, w, how);
    arena_fill(a, c);
    const qsgd_status status = c->call(a->at, &error);
    const bool updated = c->buffers[w].use == UPDATED || c->buffers[r].use == UPDATED;
    const bool refused = status == QSGD_ERR_OVERLAP || (updated && status != QSGD_OK);
    const bool named = error_names(&error, status, one) || error_names(&error, status, other);
    const bool same = memcmp(a->before, a->bytes, a->size) == 0;
    if (!refused || !named || !same) {
        fprintf(stderr, "%s: %s over %s (%d): %s (%s)%s\n", c->name, one, other, how,
                qsgd_status_name(status), error.parameter == NULL ? "-" : error.parameter,
                same ? "" : ", and something was written");
        check_failures++;
    }
    a->at[w] = own;
}

/* The error itself lies in a buffer: then nothing can be said, and nothing is written. */
static inline void an_error_within_is_refused(struct arena *a, const struct overlap_call *c,
                                              size_t i) {
    /* Of no struct would be left enough to be one. */
    if (c->buffers[i].bytes < sizeof(qsgd_params) + sizeof(qsgd_error)) return;
    uint8_t *const p = a->at[i] + down(c->buffers[i].bytes - sizeof(qsgd_error), 8);
    qsgd_error *const error = (void *)p;
    arena_fill(a, c);
    qsgd_error_init(error);
    memcpy(a->before, a->bytes, a->size);
    const qsgd_status status = c->call(a->at, error);
    const bool same = memcmp(a->before, a->bytes, a->size) == 0;
    if (status == QSGD_ERR_OVERLAP && same) return;
    fprintf(stderr, "%s: error within %s: %s%s\n", c->name, c->buffers[i].name,
            qsgd_status_name(status), same ? "" : ", and something was written");
    check_failures++;
}

static inline void overlaps_are_refused(const struct overlap_call *c) {
    const size_t count = count_buffers(c);
    struct arena a = arena_new(c);
    arena_fill(&a, c);
    CHECK(c->call(a.at, NULL) == QSGD_OK); /* as they are, apart */
    for (size_t w = 0; w < count; w++) {
        if (unused(&c->buffers[w])) continue;
        an_error_within_is_refused(&a, c, w);
        for (size_t r = 0; c->buffers[w].use != READ && r < count; r++) {
            if (r == w || unused(&c->buffers[r]) || (c->buffers[r].use != READ && r < w)) continue;
            for (int how = 0; how < 3; how++) one_overlap_is_refused(&a, c, w, r, how);
        }
    }
    arena_free(&a);
}

#endif
