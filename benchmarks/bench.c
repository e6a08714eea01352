/* bench.c: the library's speed from C, without Python; prints one JSON object per line.
 *
 *     qsgd_bench [--rounds R] [--elements N,N,...] [--backends A,B,...] [--scheme
 * NAME:FIELD=V,...]... [FILE.npy]
 *
 * Encodes, decodes and decode_adds N elements (the file's float32 values, repeated) with every
 * scheme and backend, on one thread, and sums SUMMANDS frames, by qsgd_decode_sum and by
 * qsgd_decode_add for one after the other, for which times are per frame. Rounds are interleaved
 * over all cases; every timing stands beside a memcpy of the same tensor, and a ratio is the median
 * of the rounds' ratios. FIELD is one of norm, levels, s, step, bucket, rounding, code, classes,
 * with V a number of qsgd.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "qsgd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_LIST = 64, MAX_ROUNDS = 1001, SUMMANDS = 4 };
enum { ENCODE, DECODE, DECODE_ADD, DECODE_SUM, SUM_BY_ADDS, OPERATIONS };

static const char *const operation_names[OPERATIONS] = {"encode", "decode", "decode_add",
                                                        "decode_sum", "sum by adds"};
static const double shortest = 5e-4; /* seconds: quicker calls are repeated to last that long */

struct scheme {
    char name[96];
    qsgd_params params;
};

struct run {
    const struct scheme *scheme;
    const char *backend;
    uint64_t elements, frame_bytes;
    qsgd_memory frames[SUMMANDS]; /* with other noise each */
    qsgd_weighted_frame summands[SUMMANDS];
    unsigned loops[OPERATIONS];
    double *seconds[OPERATIONS], *copies[OPERATIONS]; /* one per round */
};

/* What all runs share: the tensor, and buffers for the largest case. */
struct memory {
    float *x, *y, *copy;
    uint64_t x_elements;
    qsgd_memory frame, workspace;
};

struct options {
    struct scheme schemes[MAX_LIST];
    char *backends[MAX_LIST];
    uint64_t elements[MAX_LIST];
    unsigned scheme_count, backend_count, element_count, rounds;
    const char *file;
};

static void *(*volatile copy_memory)(void *, const void *, size_t) = memcpy; /* never elided */

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "qsgd_bench: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* At least `bytes` bytes, aligned alike in every run, every page touched. */
static void *allocate(uint64_t bytes) {
    size_t size = (size_t)(bytes + 63) / 64 * 64 + 64;
    void *memory = aligned_alloc(64, size);
    if (!memory) fail("out of memory", NULL);
    memset(memory, 0, size);
    return memory;
}

static void at_least(qsgd_memory *memory, uint64_t bytes) {
    if (bytes <= memory->bytes) return;
    free(memory->data);
    *memory = (qsgd_memory){allocate(bytes), bytes};
}

/* ---- Arguments ------------------------------------------------------------------------------ */

static void set_field(qsgd_params *p, const char *field, const char *value) {
    int32_t *const integers[] = {&p->norm, &p->levels,  &p->rounding,
                                 &p->code, &p->classes, &p->rotation};
    static const char *const names[] = {"norm", "levels",  "rounding",
                                        "code", "classes", "rotation"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(field, names[i]) == 0) {
            *integers[i] = (int32_t)strtol(value, NULL, 10);
            return;
        }
    }
    if (strcmp(field, "s") == 0)
        p->s = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(field, "bucket") == 0)
        p->bucket = strtoull(value, NULL, 10);
    else if (strcmp(field, "step") == 0)
        p->step = strtof(value, NULL);
    else
        fail("unknown field of a scheme", field);
}

static void parse_scheme(struct options *o, char *text) {
    if (o->scheme_count == MAX_LIST) fail("too many schemes", NULL);
    struct scheme *scheme = &o->schemes[o->scheme_count++];
    qsgd_error error;
    qsgd_error_init(&error);
    qsgd_params_init(&scheme->params);
    scheme->params.seed = 1;
    char *fields = strchr(text, ':');
    if (fields) { /* they say what differs from QSGD with the max norm and s = 7 */
        *fields++ = 0;
        scheme->params.norm = QSGD_NORM_MAX;
    }
    if (strlen(text) >= sizeof scheme->name || strpbrk(text, "\"\\")) fail("bad scheme name", text);
    strcpy(scheme->name, text);
    for (char *field = fields ? strtok(fields, ",") : NULL; field; field = strtok(NULL, ",")) {
        char *value = strchr(field, '=');
        if (!value) fail("a field needs a value", field);
        *value++ = 0;
        set_field(&scheme->params, field, value);
    }
    if (qsgd_params_check(&scheme->params, &error)) fail(scheme->name, error.reason);
}

static void parse_list(struct options *o, char *text, int backends) {
    for (char *item = strtok(text, ","); item; item = strtok(NULL, ",")) {
        unsigned *count = backends ? &o->backend_count : &o->element_count;
        if (*count == MAX_LIST) fail("a list is too long", text);
        if (backends)
            o->backends[(*count)++] = item;
        else if (!(o->elements[(*count)++] = strtoull(item, NULL, 10)))
            fail("not a positive number", item);
    }
}

static void parse(struct options *o, int count, char **words) {
    static char usual[] = "default", best[] = "auto";
    o->rounds = 15;
    for (int i = 1; i < count; i++) {
        if (words[i][0] != '-') {
            o->file = words[i];
            continue;
        }
        if (i + 1 == count) fail("an option needs a value", words[i]);
        char *value = words[++i];
        if (strcmp(words[i - 1], "--rounds") == 0)
            o->rounds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(words[i - 1], "--scheme") == 0)
            parse_scheme(o, value);
        else if (strcmp(words[i - 1], "--backends") == 0)
            parse_list(o, value, 1);
        else if (strcmp(words[i - 1], "--elements") == 0)
            parse_list(o, value, 0);
        else
            fail("unknown option", words[i - 1]);
    }
    if (o->rounds < 1 || o->rounds > MAX_ROUNDS) fail("--rounds takes 1 to 1001", NULL);
    if (!o->scheme_count) parse_scheme(o, usual);
    if (!o->backend_count) o->backends[o->backend_count++] = best;
    if (!o->element_count) o->elements[o->element_count++] = (uint64_t)1 << 24;
}

/* ---- The tensor ----------------------------------------------------------------------------- */

/* Float32 values of a .npy file (version 1, little-endian machines), at most `most`. */
static uint64_t load(const char *path, float *values, uint64_t most) {
    unsigned char head[10];
    char text[65536] = {0};
    FILE *file = fopen(path, "rb");
    if (!file || fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY\x01", 7) != 0)
        fail("not a .npy file of version 1", NULL);
    size_t length = (size_t)(head[8] | head[9] << 8);
    if (fread(text, 1, length, file) != length || !strstr(text, "'<f4'"))
        fail("the .npy file does not hold float32", NULL);
    uint64_t n = fread(values, 4, (size_t)most, file);
    fclose(file);
    if (!n) fail("the .npy file is empty", NULL);
    return n;
}

/* Sums of four uniforms, cubed: bell-shaped with heavy tails, the same on every machine. */
static uint64_t make(float *values, uint64_t most) {
    uint64_t n = most < (1u << 20) ? most : 1u << 20, state = 2017;
    for (uint64_t i = 0; i < n; i++) {
        float sum = 0;
        for (int k = 0; k < 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            sum += (float)(int32_t)(state >> 32) * 0x1p-31f;
        }
        values[i] = sum * sum * sum;
    }
    return n;
}

static void prepare(struct memory *m, const struct options *o) {
    for (unsigned e = 0; e < o->element_count; e++) {
        if (o->elements[e] > m->x_elements) m->x_elements = o->elements[e];
        for (unsigned s = 0; s < o->scheme_count; s++) {
            qsgd_sizes sizes;
            qsgd_sizes_init(&sizes);
            if (qsgd_encode_sizes(&o->schemes[s].params, NULL, o->elements[e], &sizes, NULL))
                fail("qsgd_encode_sizes", o->schemes[s].name);
            at_least(&m->frame, sizes.dst_bytes);
            at_least(&m->workspace, sizes.workspace_bytes);
        }
    }
    m->x = allocate(4 * m->x_elements);
    m->y = allocate(4 * m->x_elements);
    m->copy = allocate(4 * m->x_elements);
    uint64_t n = o->file ? load(o->file, m->x, m->x_elements) : make(m->x, m->x_elements);
    for (uint64_t i = n; i < m->x_elements; i++) m->x[i] = m->x[i - n];
}

/* ---- Runs ----------------------------------------------------------------------------------- */

static qsgd_status sum_by_adds(const struct run *run, struct memory *m, qsgd_error *error) {
    qsgd_status status = QSGD_OK;
    memset(m->y, 0, (size_t)(4 * run->elements));
    for (int f = 0; f < SUMMANDS && !status; f++)
        status = qsgd_decode_add(run->summands[f].frame, run->summands[f].bytes, NULL,
                                 run->summands[f].alpha, m->y, run->elements, m->workspace, error);
    return status;
}

static void call(struct run *run, struct memory *m, int operation) {
    qsgd_error error;
    qsgd_error_init(&error);
    qsgd_status status;
    if (operation == ENCODE)
        status = qsgd_encode(&run->scheme->params, NULL, m->x, run->elements, m->frame,
                             m->workspace, &run->frame_bytes, &error);
    else if (operation == DECODE)
        status = qsgd_decode(m->frame.data, run->frame_bytes, NULL, m->y, run->elements,
                             m->workspace, &error);
    else if (operation == DECODE_SUM)
        status = qsgd_decode_sum(run->summands, SUMMANDS, NULL, m->y, run->elements, m->workspace,
                                 &error);
    else if (operation == SUM_BY_ADDS)
        status = sum_by_adds(run, m, &error);
    else
        status = qsgd_decode_add(m->frame.data, run->frame_bytes, NULL, 0.5f, m->y, run->elements,
                                 m->workspace, &error);
    if (status) fail(run->scheme->name, error.reason);
}

static double timed(struct run *run, struct memory *m, int operation, unsigned loops) {
    double start = now();
    for (unsigned i = 0; i < loops; i++) call(run, m, operation);
    return (now() - start) / loops / (operation >= DECODE_SUM ? SUMMANDS : 1);
}

static double timed_copy(const struct run *run, struct memory *m, unsigned loops) {
    double start = now();
    for (unsigned i = 0; i < loops; i++) copy_memory(m->copy, m->x, (size_t)(4 * run->elements));
    return (now() - start) / loops;
}

/* Frames to sum, and the workspace for that. */
static void make_summands(struct run *run, struct memory *m) {
    qsgd_encode_options options;
    qsgd_sizes sizes;
    qsgd_encode_options_init(&options);
    qsgd_sizes_init(&sizes);
    for (unsigned f = 0; f < SUMMANDS; f++) {
        uint64_t bytes;
        options.nonce = f + 1;
        if (qsgd_encode(&run->scheme->params, &options, m->x, run->elements, m->frame, m->workspace,
                        &bytes, NULL))
            fail("qsgd_encode", run->scheme->name);
        at_least(&run->frames[f], bytes);
        memcpy(run->frames[f].data, m->frame.data, (size_t)bytes);
        run->summands[f] = (qsgd_weighted_frame){run->frames[f].data, bytes, 0.25f, 0};
    }
    if (qsgd_decode_sum_sizes(run->summands, SUMMANDS, NULL, run->elements, &sizes, NULL))
        fail("qsgd_decode_sum_sizes", run->scheme->name);
    at_least(&m->workspace, sizes.workspace_bytes);
}

/* The round that is dropped: touches the memory, sizes decode's workspace, sets the loops. */
static void warm_up(struct run *run, struct memory *m) {
    qsgd_sizes sizes;
    if (qsgd_set_backend(run->backend, NULL)) fail("no such backend here", run->backend);
    make_summands(run, m);
    call(run, m, ENCODE);
    qsgd_sizes_init(&sizes);
    if (qsgd_decode_sizes(m->frame.data, run->frame_bytes, NULL, &sizes, NULL))
        fail("qsgd_decode_sizes", run->scheme->name);
    at_least(&m->workspace, sizes.workspace_bytes);
    for (int operation = 0; operation < OPERATIONS; operation++) {
        call(run, m, operation);
        double once = timed(run, m, operation, 1);
        run->loops[operation] = once * 1000 > shortest ? 1 + (unsigned)(shortest / once) : 1000;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count) {
    qsort(values, count, sizeof *values, ascending);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static void report(struct run *run, unsigned rounds) {
    double ratios[MAX_ROUNDS];
    for (int operation = 0; operation < OPERATIONS; operation++) {
        for (unsigned r = 0; r < rounds; r++)
            ratios[r] = run->copies[operation][r] / run->seconds[operation][r];
        double ratio = median(ratios, rounds), seconds = median(run->seconds[operation], rounds);
        printf("{\"scheme\": \"%s\", \"backend\": \"%s\", \"operation\": \"%s\", "
               "\"elements\": %llu, \"frame_bytes\": %llu, \"bits\": %.6f, "
               "\"seconds\": %.4e, \"ns/element\": %.5f, "
               "\"GB/s\": %.4f, \"ratio\": %.4f, \"copy_GB/s\": %.4f, \"rounds\": %u}\n",
               run->scheme->name, run->backend, operation_names[operation],
               (unsigned long long)run->elements, (unsigned long long)run->frame_bytes,
               8.0 * (double)run->frame_bytes / (double)run->elements, seconds,
               1e9 * seconds / (double)run->elements, 4e-9 * (double)run->elements / seconds, ratio,
               4e-9 * (double)run->elements / median(run->copies[operation], rounds), rounds);
    }
}

static unsigned list_runs(struct run *runs, const struct options *o) {
    unsigned count = 0;
    for (unsigned e = 0; e < o->element_count; e++)
        for (unsigned s = 0; s < o->scheme_count; s++)
            for (unsigned b = 0; b < o->backend_count; b++) {
                struct run *run = &runs[count++];
                *run = (struct run){.scheme = &o->schemes[s], .backend = o->backends[b]};
                run->elements = o->elements[e];
                for (int k = 0; k < OPERATIONS; k++) {
                    run->seconds[k] = allocate(o->rounds * sizeof(double));
                    run->copies[k] = allocate(o->rounds * sizeof(double));
                }
            }
    return count;
}

int main(int argc, char **argv) {
    static struct options o;
    static struct memory m;
    static struct run *runs; /* static: memory that is reachable at the end is no leak */
    parse(&o, argc, argv);
    prepare(&m, &o);
    runs = allocate((uint64_t)o.element_count * o.scheme_count * o.backend_count * sizeof *runs);
    unsigned count = list_runs(runs, &o);
#if defined(__clang__)
    printf("{\"compiler\": \"clang %s\"}\n", __clang_version__);
#elif defined(__GNUC__)
    printf("{\"compiler\": \"gcc %s\"}\n", __VERSION__);
#endif
    for (unsigned i = 0; i < count; i++) warm_up(&runs[i], &m);
    for (unsigned r = 0; r < o.rounds; r++)
        for (unsigned i = 0; i < count; i++) {
            qsgd_set_backend(runs[i].backend, NULL);
            for (int k = 0; k < OPERATIONS; k++) { /* decode reads the frame that encode left */
                runs[i].copies[k][r] = timed_copy(&runs[i], &m, runs[i].loops[k]);
                runs[i].seconds[k][r] = timed(&runs[i], &m, k, runs[i].loops[k]);
            }
        }
    for (unsigned i = 0; i < count; i++) report(&runs[i], o.rounds);
    return 0; /* memory goes back with the process */
}
