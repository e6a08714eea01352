/* Chunks of rANS tokens straight to floats. */
#ifndef QSGD_PIPELINE_DECODE_STREAM_H
#define QSGD_PIPELINE_DECODE_STREAM_H

#include "codes/rans/reader.h"
#include "codes/tokens.h"
#include "pipeline/decode_call.h"

/* A chunk whose payload was parsed. */
struct decode_chunk {
    uint64_t index;
    struct chunk_span span;
    struct code_scratch scratch; /* the worker's, or what is left of it for a second chunk */
    struct quantize_scratch quantize;
    struct code_chunk chunk;
    struct payload_form form;
    bool gathered; /* some elements are not live */
    uint64_t at;   /* of the chunk, up to which values are there */
    struct rans_reader reader;
    struct tokens_reader indices;
};

/* Parses chunk `index`. second: it is to be read beside another. *where: offset of an error. */
qsgd_status decode_chunk_open(const struct decode_call *call, uint64_t index, struct worker *worker,
                              bool second, struct decode_chunk *c, uint64_t *where);

/* True if decode_stream can write it: coded by rans, without tokens that name no level, whole, to
 * float32. */
bool decode_chunk_streams(const struct decode_call *call, const struct decode_chunk *c);

/* True if two chunks that stream can be read at once. */
bool decode_chunks_pair(const struct decode_chunk *a, const struct decode_chunk *b);

/* Reads one chunk, or two in turn, and writes their values block by block. Each chunk's status goes
 * to status[]. */
void decode_stream(const struct decode_call *call, struct decode_chunk *const *c, int count,
                   struct worker *worker, qsgd_status *status);

#endif
