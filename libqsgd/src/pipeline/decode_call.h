/* A frame opened for decoding: parsed, checked, with offsets and scratch. */
#ifndef QSGD_PIPELINE_DECODE_CALL_H
#define QSGD_PIPELINE_DECODE_CALL_H

#include "codes/payload.h"
#include "frame/frame.h"
#include "pipeline/runner.h"
#include "pipeline/workers.h"
#include "quantize/values.h"

struct decode_call {
    qsgd_decode_options options;
    const qsgd_decode_options *given_options;
    struct frame frame;
    struct quantizer q;
    struct shared_tables shared; /* that the frame names; code QSGD_CODE_RAW: none */
    uint64_t size;               /* of the bytes given */
    qsgd_memory workspace;
    struct memory memory; /* the workspace, opened */
    struct runner runner;
    struct worker *workers;
    uint64_t *offsets;    /* of payloads; the last entry is the frame's end */
    uint8_t *shapes;      /* of chunks: rANS streams of one shape can be read two at once; or 0 */
    uint64_t first, last; /* chunks [first, last) are decoded */
    bool deep;            /* the checking pass reads all symbols */
    struct sink sink;
    uint64_t from, to; /* elements that go to the sink */
    qsgd_error *error;
};

/* Checks options, header, limits and workspace, and writes nothing: the caller's output is checked
 * between this and decode_begin. */
qsgd_status decode_open(struct decode_call *call, const void *frame, uint64_t bytes,
                        const qsgd_decode_options *options, qsgd_memory workspace,
                        qsgd_error *error);

/* Carves the workspace; checks the index and its checksum. */
qsgd_status decode_begin(struct decode_call *call);

/* The steps of these two, for who has many frames open, each with memory of its own for what it
 * knows of its chunks, but workers and a runner from elsewhere. call->error is set; bytes: given.
 */
qsgd_status decode_open_header(struct decode_call *call, const void *frame, uint64_t bytes,
                               const qsgd_decode_options *options);
qsgd_status decode_check_bytes(const struct decode_call *call, uint64_t bytes);
void decode_carve_chunks(struct decode_call *call, struct memory *memory);
qsgd_status decode_find_tables(struct decode_call *call);
qsgd_status decode_prepare(struct decode_call *call);

#define DECODE_OUTPUTS 5

/* Buffers, at most DECODE_OUTPUTS, share no byte with the frame, the workspace, each other, nor the
 * options, unless both are only read. */
qsgd_status decode_apart(const struct decode_call *call, const struct region *outputs, size_t count,
                         qsgd_error *error);

/* The type of the output, by the options. */
uint32_t decode_dtype(const struct decode_call *call);

/* The frame's elements convert to that type; add: as what is added to float32. */
qsgd_status decode_check_dtype(const struct decode_call *call, uint32_t dtype, bool add);

/* How a chunk of that form, whose scales are in the scratch, becomes values. */
static inline struct dequantizer decode_values(const struct decode_call *call,
                                               const struct chunk_span *span,
                                               struct quantize_scratch *scratch,
                                               const struct payload_form *form) {
    return (struct dequantizer){.q = &call->q,
                                .scales = scales_at(scratch->scales, span->bucket),
                                .scratch = scratch,
                                .sink = &call->sink,
                                .damping = form->damping,
                                .turned = call->q.turned && (form->signs & SIGNS_PLAIN) == 0,
                                .zeros = form->zeros,
                                .first = span->first};
}

/* The chunk's elements that are coded. */
static inline struct live decode_live(const struct decode_call *call, const struct chunk_span *span,
                                      const struct quantize_scratch *scratch,
                                      const struct payload_form *form) {
    struct live live = live_of(&call->q.layout, span, scales_at(scratch->scales, span->bucket));
    live.zeros = form->zeros;
    return live;
}

/* The payload of chunk `index`. */
const uint8_t *decode_payload(const struct decode_call *call, uint64_t index, size_t *bytes);

/* Checksums and tables of chunks [first, last), and their symbols if `deep`. Writes nothing. */
qsgd_status decode_verify(struct decode_call *call);

/* Parses (form) the payload of a chunk that is not raw, with the memory of both scratches. */
qsgd_status decode_parse_chunk(const struct decode_call *call, uint64_t index,
                               struct code_scratch *scratch,
                               const struct quantize_scratch *quantize, struct code_chunk *chunk,
                               struct payload_form *form, uint64_t *where);

/* Parses the payload of a chunk of a lossless frame. *where: offset of an error, or its end. */
qsgd_status decode_parse_lossless(const struct decode_call *call, uint64_t index,
                                  struct worker *worker, struct lossless_plan *plan,
                                  uint64_t *where);

/* Reads the indices of a parsed chunk to worker->quantize.indices: those of live elements, each in
 * its place. */
qsgd_status decode_read(const struct decode_call *call, const struct chunk_span *span,
                        struct worker *worker, const struct code_chunk *chunk,
                        const struct payload_form *form);

/* The first error of the workers, or QSGD_OK. */
qsgd_status decode_failure(const struct decode_call *call);

/* Runs a task over groups of `group` of chunks [first, last) and reports the first error. */
qsgd_status decode_run(struct decode_call *call, qsgd_task task, uint64_t group);

#endif
