/* qsgd.h: the public interface of libqsgd, a codec for gradients and other float tensors.
 *
 * A tensor is cut into buckets that share a scale; each element is rounded at random, without bias,
 * to one of a few levels; the level indices are entropy coded; one self-describing frame results
 * (QSGD: Alistarh et al., NeurIPS 2017). The bytes and the arithmetic are defined in FORMAT.md.
 *
 * Contract of every function here
 *   - The library starts no threads, allocates no memory, reads no environment, prints nothing and
 *     never aborts. Its only state is one atomic that holds the chosen backend (qsgd_set_backend),
 *     which never changes a byte or a float of any result.
 *   - The caller provides every buffer; sizes come from the queries beside each function.
 *   - Functions may run on any number of threads at once if their writable buffers are distinct.
 *   - Buffers may have any alignment unless stated. Input and output must not overlap, and nobody
 *     else may change a frame or an output during a call (src may change: the result is then some
 *     mixture, and nothing is written out of bounds).
 *   - A status other than QSGD_OK is an error; `struct qsgd_error`, where given, says where.
 *   - Frames are untrusted: any bytes may be decoded. See qsgd_decode for what is promised.
 *
 * Words: n elements; bucket (elements that share a scale); level (a value in units of the scale);
 * index k (signed name of a level); s (number of positive levels); chunk (elements coded together).
 */
#ifndef QSGD_H
#define QSGD_H

#include <stddef.h>
#include <stdint.h>

#define QSGD_VERSION_MAJOR 0
#define QSGD_VERSION_MINOR 1
#define QSGD_VERSION_PATCH 0

#if defined(QSGD_STATIC)
#define QSGD_API
#elif defined(_WIN32) && defined(QSGD_BUILD)
#define QSGD_API __declspec(dllexport)
#elif defined(_WIN32)
#define QSGD_API __declspec(dllimport)
#elif defined(__GNUC__)
#define QSGD_API __attribute__((visibility("default")))
#else
#define QSGD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * Status
 * ------------------------------------------------------------------------------------------- */

typedef int32_t qsgd_status;

/* Numbers are pinned: they are never reused or renumbered. One number per distinguishable cause. */
enum {
    QSGD_OK = 0,

    /* -10..: the caller's parameters; `struct qsgd_error.parameter` names the one at fault. */
    QSGD_ERR_PARAM = -10,       /* a parameter is outside its range */
    QSGD_ERR_COMBINATION = -11, /* parameters that are legal alone make no sense together */
    QSGD_ERR_UNSUPPORTED = -12, /* a legal request that this version does not implement */
    QSGD_ERR_BACKEND = -13,     /* no such backend, or this CPU lacks it */
    QSGD_ERR_DTYPE = -14,       /* dtype unknown, or not usable here */
    QSGD_ERR_SHAPE = -15,       /* too many dimensions, or too many elements */
    QSGD_ERR_TABLE = -16,       /* a level table is not increasing, or does not end at 1 */

    /* -20..: the caller's buffers. */
    QSGD_ERR_NULL = -20,          /* a pointer that is needed is NULL */
    QSGD_ERR_DST_TOO_SMALL = -21, /* the output buffer is smaller than its query says */
    QSGD_ERR_WORKSPACE = -22,     /* the workspace is too small or not 64-byte aligned */
    QSGD_ERR_OVERLAP = -23,       /* input and output overlap */
    QSGD_ERR_LENGTH = -24,        /* the output's element count differs from the frame's */
    QSGD_ERR_RANGE = -25,         /* a range [start, stop) outside the tensor */
    QSGD_ERR_STRUCT_SIZE = -26,   /* struct_size unknown to this version */

    /* -30..: the caller's data. */
    QSGD_ERR_NONFINITE = -30, /* NaN or Inf (or a scale that overflows) under nonfinite=raise */
    QSGD_ERR_INDEX = -31,     /* an index, scale or alpha that the codec could not have made */

    /* -40..: a frame. `struct qsgd_error.offset` is the byte offset of the trouble. */
    QSGD_ERR_NEED_MORE = -40,   /* the bytes so far are the start of a frame; more are needed */
    QSGD_ERR_MAGIC = -41,       /* not a frame */
    QSGD_ERR_VERSION = -42,     /* a frame of a version that this library does not know */
    QSGD_ERR_FLAGS = -43,       /* reserved flag bits are set */
    QSGD_ERR_HEADER = -44,      /* a header field is malformed or out of range */
    QSGD_ERR_HEADER_CRC = -45,  /* the header's checksum does not match */
    QSGD_ERR_FIELD = -46,       /* an extension field that must be understood is unknown */
    QSGD_ERR_LIMIT = -47,       /* more elements than the caller allows */
    QSGD_ERR_SCHEME = -48,      /* a scheme that the caller does not allow */
    QSGD_ERR_INDEX_CRC = -49,   /* the checksum of chunk index and scales does not match */
    QSGD_ERR_CHUNK_INDEX = -50, /* chunk lengths do not add up to the frame's length */
    QSGD_ERR_SCALE = -51,       /* a scale is negative, infinite or a non-canonical NaN */
    QSGD_ERR_CHUNK_CRC = -52,   /* a chunk's checksum does not match */
    QSGD_ERR_CHUNK = -53,       /* a chunk's own header is malformed */
    QSGD_ERR_CODE_TABLE = -54,  /* a probability, code-length or class table is malformed */
    QSGD_ERR_STREAM = -55,      /* code symbols are malformed, run out, or name no level */
    QSGD_ERR_PADDING = -56,     /* padding bits are not zero, or bytes are left over */
    QSGD_ERR_TRAILING = -57,    /* bytes follow the frame */
    QSGD_ERR_TABLES = -58       /* the frame names shared tables that the caller did not give */
};

/* Details of an error: `struct qsgd_error e = {.struct_size = sizeof e};`. They are filled on
 * errors alone, and only if struct_size is right. Fields that do not apply hold UINT64_MAX, or NULL
 * for `parameter`. */
struct qsgd_error {
    uint32_t struct_size;  /* sizeof(struct qsgd_error), set by the caller */
    qsgd_status status;    /* the status that the function returned */
    uint64_t offset;       /* bytes from the frame's first byte */
    uint64_t element;      /* index in the flattened tensor */
    uint64_t bucket;       /* bucket number */
    const char *parameter; /* static string: the parameter at fault, as named in this header */
    const char *reason;    /* static string: one sentence, with the legal range; never NULL */
};

/* Static, upper-case name of a status, as "QSGD_ERR_MAGIC"; "QSGD_ERR_UNKNOWN" for any other. */
QSGD_API const char *qsgd_status_name(qsgd_status status);

/* Version of the library in use: major * 10000 + minor * 100 + patch. */
QSGD_API uint32_t qsgd_version(void);

/* ---------------------------------------------------------------------------------------------
 * Parameters
 * ------------------------------------------------------------------------------------------- */

/* Element types. Quantisers take the first four; raw frames take all. Numbers as in the frame. */
enum {
    QSGD_FLOAT32 = 0,
    QSGD_FLOAT64 = 1,
    QSGD_FLOAT16 = 2,
    QSGD_BFLOAT16 = 3,
    QSGD_INT8 = 4,
    QSGD_UINT8 = 5,
    QSGD_INT16 = 6,
    QSGD_UINT16 = 7,
    QSGD_INT32 = 8,
    QSGD_UINT32 = 9,
    QSGD_INT64 = 10,
    QSGD_UINT64 = 11,
    QSGD_BOOL = 12,
    QSGD_COMPLEX64 = 13,
    QSGD_COMPLEX128 = 14
};

/* The scale of a bucket (FORMAT.md section 4). */
enum {
    QSGD_NORM_MAX = 0,     /* largest magnitude */
    QSGD_NORM_L2 = 1,      /* Euclidean norm, as in the paper */
    QSGD_NORM_RMS = 2,     /* l2 / sqrt(length); for open-ended levels */
    QSGD_NORM_MEAN = 3,    /* mean magnitude; for sign */
    QSGD_NORM_BALANCED = 4 /* geometric mean of the rms of bucket and tensor; for open levels */
};

/* The set of levels (FORMAT.md section 5). */
enum {
    QSGD_LEVELS_UNIFORM = 0,     /* 0, 1/s .. 1; without zero: (2j-1)/(2s-1) */
    QSGD_LEVELS_EXPONENTIAL = 1, /* 0, 2^-(s-1) .. 1/2, 1 */
    QSGD_LEVELS_TABLE = 2,       /* `table`: s increasing magnitudes that end at 1, mirrored */
    QSGD_LEVELS_SIGNED = 3,      /* `table`: increasing from -1 to 1 */
    QSGD_LEVELS_OPEN = 4         /* k * step for |k| <= 32767; with QSGD_NORM_RMS */
};

/* How an element goes to a level (FORMAT.md section 6). */
enum {
    QSGD_ROUND_STOCHASTIC = 0, /* at random between neighbours, unbiased */
    QSGD_ROUND_DITHERED = 1,   /* the same indices; the decoder subtracts part of the noise */
    QSGD_ROUND_NEAREST = 2,    /* deterministic, biased */
    QSGD_ROUND_TOPK = 3        /* fewest largest elements whose magnitudes sum to the l2 norm */
};

/* Integer codes (FORMAT.md section 8), numbered as in the frame. AUTO exists in parameters only. */
enum {
    QSGD_CODE_RAW = 0,
    QSGD_CODE_FIXED = 1,
    QSGD_CODE_ELIAS_GAMMA = 2,
    QSGD_CODE_ELIAS_DELTA = 3,
    QSGD_CODE_ELIAS_OMEGA = 4,
    QSGD_CODE_ELIAS_GAMMA_SPARSE = 5,
    QSGD_CODE_ELIAS_DELTA_SPARSE = 6,
    QSGD_CODE_ELIAS_OMEGA_SPARSE = 7,
    QSGD_CODE_RICE_SPARSE = 8,
    QSGD_CODE_HUFFMAN = 9,
    QSGD_CODE_RANS = 10,
    QSGD_CODE_AUTO = 255
};

enum { QSGD_SCALE_FLOAT32 = 0, QSGD_SCALE_BFLOAT16 = 1 /* rounded up */ };
enum { QSGD_NONFINITE_RAISE = 0, QSGD_NONFINITE_PROPAGATE = 1 };
enum { QSGD_CLASSES_AUTO = 0, QSGD_CLASSES_OFF = 1, QSGD_CLASSES_ON = 2 };
enum { QSGD_ELIAS_GAMMA = 0, QSGD_ELIAS_DELTA = 1, QSGD_ELIAS_OMEGA = 2 };

#define QSGD_MAX_DIMS 8
#define QSGD_MAX_S 32767
#define QSGD_MAX_TABLE 255
#define QSGD_MAX_TAG 16384
#define QSGD_MAX_ELEMENTS ((uint64_t)1 << 47)

/* What a codec does. Fill with qsgd_params_init, then change fields. */
struct qsgd_params {
    uint32_t struct_size; /* set by qsgd_params_init */
    int32_t norm;         /* QSGD_NORM_*; default MAX */
    int32_t levels;       /* QSGD_LEVELS_*; default UNIFORM */
    uint32_t s;           /* positive levels, 1..32767 (EXPONENTIAL: 1..127); default 7; unused by
                             TABLE, SIGNED and OPEN */
    float step;           /* OPEN: gap in units of the scale, 2^-20..2^20; else 0 */
    int32_t zero;        /* 1 (default): 0 is a level. 0: it is not (UNIFORM, EXPONENTIAL, TABLE) */
    uint64_t bucket;     /* elements per scale, 0..2^47; 0 is the whole tensor; default 512 */
    int32_t rounding;    /* QSGD_ROUND_*; default STOCHASTIC */
    int32_t code;        /* QSGD_CODE_*; default RANS */
    int32_t classes;     /* QSGD_CLASSES_*, for RANS; default AUTO */
    int32_t rotation;    /* 1: buckets are rotated at random, which spreads their outliers; the
                            frame then holds seed and nonce. Needs 1 <= bucket <= 2^chunk_log2, not
                            with RAW and TOPK. 0 (default): no */
    int32_t rescale;     /* NEAREST with UNIFORM or OPEN levels, buckets within chunks: 1 stores, in
                            place of the norm, the scale by which the decoded bucket projects on
                            the given one as that does on itself; with rotation, unbiased over its
                            signs (as EDEN, Vargaftik et al. 2022). Default 0 */
    float clip;          /* MAX: clip at this many root mean squares (TernGrad); 0 (default): no */
    int32_t scale;       /* QSGD_SCALE_*; default BFLOAT16 */
    int32_t nonfinite;   /* QSGD_NONFINITE_*; default RAISE */
    int32_t checksum;    /* 1 (default): CRC-32C of index, scales and every chunk. 0: header only */
    uint32_t chunk_log2; /* log2 of the elements of a chunk, 10..25; default 16 */
    uint32_t table_len;  /* entries of `table`: TABLE 1..127, SIGNED 2..255 */
    const float *table;  /* TABLE, SIGNED; else NULL. Read during calls only */
    uint64_t seed;       /* key of the noise; default 0: choose one, see `nonce` below */
    const void *tables;  /* RANS, HUFFMAN: shared tables (see qsgd_tables_build) of tables_bytes
                             bytes, which frames then name and chunks use where that is shorter;
                             decoders need them. Read during calls only. NULL (default): none */
    uint64_t tables_bytes;
};

/* Fills *params with the defaults above. Returns QSGD_OK or QSGD_ERR_NULL. */
QSGD_API qsgd_status qsgd_params_init(struct qsgd_params *params);

/* Checks *params as qsgd_encode would. `error` may be NULL. */
QSGD_API qsgd_status qsgd_params_check(const struct qsgd_params *params, struct qsgd_error *error);

/* Parallel work is offered to the caller: call task(job, index, worker) once for every index below
 * `count`, in any order, on any threads, then return. `worker` < `workers` (of the options) and no
 * two calls that run at the same time may share one. Tasks never block and never call back. */
typedef void (*qsgd_task)(void *job, uint64_t index, uint32_t worker);
typedef void (*qsgd_runner)(void *context, qsgd_task task, void *job, uint64_t count);

/* ---------------------------------------------------------------------------------------------
 * Encode
 * ------------------------------------------------------------------------------------------- */

/* One call's own choices. Fill with qsgd_encode_options_init. */
struct qsgd_encode_options {
    uint32_t struct_size;
    uint32_t dtype;        /* of src; default QSGD_FLOAT32 */
    uint32_t ndim;         /* 0..8 dimensions in `shape`; default UINT32_MAX: one, of n elements */
    uint32_t workers;      /* most concurrent tasks of the runner, 1..256; default 1 */
    const uint64_t *shape; /* its product must be n (ndim 0: n is 1) */
    uint64_t nonce;  /* with the seed it names the noise, so never the same twice: count tensors
                        and mix in the worker's rank; default 0 (as with options NULL) */
    const void *tag; /* tag_bytes bytes, at most 16384, kept in the header; may be NULL */
    uint64_t tag_bytes;
    const float *scales; /* one per bucket, finite and >= 0, used in place of the norm; or NULL.
                            Magnitudes past the last level are clamped to it */
    float *residual;     /* n float32 of error feedback: src + residual is encoded, and what the
                            decoder will lack is left in residual; or NULL. float32 src only */
    qsgd_runner runner;  /* NULL: tasks run one after another on this thread */
    void *runner_context;
};

QSGD_API qsgd_status qsgd_encode_options_init(struct qsgd_encode_options *options);

/* Bytes that suffice for the frame of n elements, whatever their values; 0 if a parameter is
 * invalid or the sum overflows. `options` may be NULL; its dtype, ndim and tag_bytes count. */
QSGD_API uint64_t qsgd_encode_bound(const struct qsgd_params *params,
                                    const struct qsgd_encode_options *options, uint64_t n);

/* Bytes of scratch that qsgd_encode needs; 0 as above. options->workers and whether there is a
 * residual count too. */
QSGD_API uint64_t qsgd_encode_workspace(const struct qsgd_params *params,
                                        const struct qsgd_encode_options *options, uint64_t n);

/* Encodes n elements into one frame.
 *
 * src         n elements of options->dtype; may be NULL only if n is 0. Not written.
 * options     may be NULL: the defaults.
 * dst         receives the frame; dst_bytes >= qsgd_encode_bound(params, options, n).
 * workspace   64-byte aligned scratch of qsgd_encode_workspace(params, options, n) bytes.
 * frame_bytes on success, bytes of the frame; untouched on error. dst may hold more scratch.
 * error       details; may be NULL.
 *
 * Returns QSGD_OK; QSGD_ERR_PARAM, _COMBINATION, _UNSUPPORTED, _TABLE, _CODE_TABLE
 * (params->tables), _DTYPE, _SHAPE (nothing written); QSGD_ERR_NULL, _DST_TOO_SMALL, _WORKSPACE,
 * _OVERLAP, _STRUCT_SIZE (nothing written); QSGD_ERR_NONFINITE (dst and residual unspecified;
 * error->element is the first such element). One (src, params, nonce) gives the same bytes on every
 * backend, thread count and machine. */
QSGD_API qsgd_status qsgd_encode(const struct qsgd_params *params,
                                 const struct qsgd_encode_options *options, const void *src,
                                 uint64_t n, void *dst, uint64_t dst_bytes, void *workspace,
                                 uint64_t workspace_bytes, uint64_t *frame_bytes,
                                 struct qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Look at a frame
 * ------------------------------------------------------------------------------------------- */

/* What a header says. Pointers point into the frame. */
struct qsgd_frame_info {
    uint32_t struct_size; /* sizeof(struct qsgd_frame_info), set by the caller */
    uint32_t version;
    uint32_t dtype;
    uint32_t ndim;
    uint64_t shape[QSGD_MAX_DIMS];
    uint64_t elements;
    uint64_t frame_bytes;
    uint64_t header_bytes; /* prefix and header with its checksum */
    uint64_t buckets;      /* scales in the frame; 0 for raw */
    uint64_t chunks;
    uint64_t chunk_elements; /* elements of every chunk that no bucket or tensor end cuts short */
    int32_t has_noise_key;   /* 1: seed and nonce are in the frame (dithered or rotated) */
    int32_t summands;
    uint64_t nonce;
    const void *tag;
    uint64_t tag_bytes;
    const void *table;  /* level table as little-endian float32, for TABLE and SIGNED; else NULL */
    int32_t has_tables; /* 1: the frame names shared tables, which a decoder needs */
    uint8_t tables_digest[8]; /* by this digest (qsgd_tables_digest) */
    /* The codec, as far as a decoder knows it: clip, nonfinite and classes hold their defaults,
     * table (see above) and tables are NULL, seed is 0 unless has_noise_key. */
    struct qsgd_params params;
};

/* Size of the frame that starts at `bytes`, from its first 16 bytes, without trust in the rest.
 * Returns QSGD_OK, QSGD_ERR_NEED_MORE (fewer than 16 bytes, right so far), QSGD_ERR_MAGIC,
 * QSGD_ERR_VERSION, QSGD_ERR_FLAGS or QSGD_ERR_HEADER. */
QSGD_API qsgd_status qsgd_frame_size(const void *bytes, uint64_t size, uint64_t *frame_bytes,
                                     struct qsgd_error *error);

/* Parses and checks prefix and header, O(1) in the tensor's size. `size` may be less than the
 * frame's bytes as long as the header is there. info->struct_size must be set. */
QSGD_API qsgd_status qsgd_frame_info(const void *frame, uint64_t size, struct qsgd_frame_info *info,
                                     struct qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Decode
 * ------------------------------------------------------------------------------------------- */

enum {
    QSGD_DECODE_ATOMIC = 1 /* a validating pass before the first write: on error dst is untouched */
};

struct qsgd_decode_options {
    uint32_t struct_size;
    uint32_t dtype;             /* of dst: a float type; default UINT32_MAX: the frame's. Raw frames
                                   convert between float types only */
    uint32_t flags;             /* QSGD_DECODE_* */
    uint32_t workers;           /* as in encode; default 1 */
    uint64_t max_elements;      /* refuse larger frames (QSGD_ERR_LIMIT); default UINT64_MAX */
    uint64_t allowed_codes;     /* bit c allows code c; default all. Else QSGD_ERR_SCHEME */
    uint64_t allowed_norms;     /* bit m allows norm m */
    uint64_t allowed_levels;    /* bit l allows level set l */
    uint64_t allowed_roundings; /* bit r allows rounding r */
    qsgd_runner runner;
    void *runner_context;
    /* Shared tables, from which a frame that names some takes its own by their digest: tables[i]
     * has tables_bytes[i] bytes, i < tables_count. All are checked if the frame names any:
     * QSGD_ERR_CODE_TABLE with parameter "tables", and the offset is within them. */
    const void *const *tables;
    const uint64_t *tables_bytes;
    uint32_t tables_count; /* default 0 */
};

QSGD_API qsgd_status qsgd_decode_options_init(struct qsgd_decode_options *options);

/* Bytes of scratch for any decode function, from the frame's header and options->workers: about 8
 * bytes per element of the longest chunk and worker, 12 if buckets of that length are rotated, so a
 * hostile frame of one long chunk may ask for some 400 MB; options->max_elements bounds that too.
 */
QSGD_API qsgd_status qsgd_decode_workspace(const void *frame, uint64_t size,
                                           const struct qsgd_decode_options *options,
                                           uint64_t *workspace_bytes, struct qsgd_error *error);

/* Decodes exactly one frame.
 *
 * frame, size  any bytes whatever; a frame of exactly `size` bytes decodes. If it names shared
 *              tables that options do not hold: QSGD_ERR_TABLES, and nothing is written.
 * dst          n elements of options->dtype, where n must equal the frame's elements.
 * workspace    64-byte aligned, qsgd_decode_workspace bytes.
 *
 * Prefix, header, index, scales, tables and checksums are verified before the first write. What
 * remains (symbols that a right checksum covers, yet no encoder writes) is reported as
 * QSGD_ERR_STREAM or _PADDING and then dst is unspecified, unless QSGD_DECODE_ATOMIC is set or the
 * frame has no checksums: then dst is untouched on any error. No byte outside frame, dst and
 * workspace is touched. Time is linear in size + n. */
QSGD_API qsgd_status qsgd_decode(const void *frame, uint64_t size,
                                 const struct qsgd_decode_options *options, void *dst, uint64_t n,
                                 void *workspace, uint64_t workspace_bytes,
                                 struct qsgd_error *error);

/* acc[i] += alpha * decoded[i] in float32 (product rounded, then sum), whatever the frame's dtype.
 * options->dtype is not used. Raw frames must hold a float type. Otherwise as qsgd_decode. */
QSGD_API qsgd_status qsgd_decode_add(const void *frame, uint64_t size,
                                     const struct qsgd_decode_options *options, float alpha,
                                     float *acc, uint64_t n, void *workspace,
                                     uint64_t workspace_bytes, struct qsgd_error *error);

/* out[i] = sum over f of alphas[f] * decoded_f[i], in the order of f, starting from +0.
 * alphas may be NULL: all 1. The workspace must suffice for every frame (take the largest).
 * error->element is not set; on error `*bad_frame` (may be NULL) is the frame at fault. */
QSGD_API qsgd_status qsgd_decode_sum(const void *const *frames, const uint64_t *sizes,
                                     uint32_t count, const float *alphas,
                                     const struct qsgd_decode_options *options, float *out,
                                     uint64_t n, void *workspace, uint64_t workspace_bytes,
                                     uint32_t *bad_frame, struct qsgd_error *error);

/* Decodes elements [start, stop) of the flattened tensor into stop - start elements of dst; only
 * the chunks that hold them are read. Same values as qsgd_decode gives. Rotated frames decode whole
 * buckets to that end, and write the part asked for. */
QSGD_API qsgd_status qsgd_decode_range(const void *frame, uint64_t size,
                                       const struct qsgd_decode_options *options, uint64_t start,
                                       uint64_t stop, void *dst, void *workspace,
                                       uint64_t workspace_bytes, struct qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * The stages apart: quantise, and code indices
 * ------------------------------------------------------------------------------------------- */

/* Number of buckets (scales) and of chunks that n elements make; 0 if params are invalid. */
QSGD_API uint64_t qsgd_bucket_count(const struct qsgd_params *params, uint64_t n);
QSGD_API uint64_t qsgd_chunk_count(const struct qsgd_params *params, uint64_t n);

/* Quantises without coding: indices[n], scales[qsgd_bucket_count] and, if not NULL,
 * alphas[qsgd_chunk_count] (damping of the dither in 1/128, zeros unless DITHERED).
 * Buffers and errors as qsgd_encode; code, checksum and tag are not used. */
QSGD_API qsgd_status qsgd_quantize(const struct qsgd_params *params,
                                   const struct qsgd_encode_options *options, const void *src,
                                   uint64_t n, int16_t *indices, float *scales, uint8_t *alphas,
                                   void *workspace, uint64_t workspace_bytes,
                                   struct qsgd_error *error);

/* The inverse, as a decoder computes it. alphas may be NULL (no dither is subtracted). nonce as
 * given to qsgd_quantize (used where dither is subtracted or buckets are rotated). Workspace:
 * qsgd_encode_workspace. QSGD_ERR_INDEX names a bad element. */
QSGD_API qsgd_status qsgd_dequantize(const struct qsgd_params *params, uint64_t nonce,
                                     const int16_t *indices, const float *scales,
                                     const uint8_t *alphas, uint64_t n, uint32_t dst_dtype,
                                     void *dst, void *workspace, uint64_t workspace_bytes,
                                     struct qsgd_error *error);

/* Codes given indices and scales (and alphas, if DITHERED) into a frame. The scales must be exact
 * in params->scale. If `like` is not NULL it is a frame whose header, modes and tables are taken
 * over in place of options and params (NULL, or used for params->tables alone, if `like` names
 * shared tables): then a frame's own indices, scales and alphas give back that
 * frame, byte for byte (FORMAT.md section 10). dst: qsgd_encode_bound, or the size of `like`.
 * Workspace: qsgd_encode_workspace, or qsgd_decode_workspace of `like`. */
QSGD_API qsgd_status qsgd_encode_indices(
    const struct qsgd_params *params, const struct qsgd_encode_options *options, const void *like,
    uint64_t like_bytes, const int16_t *indices, const float *scales, const uint8_t *alphas,
    uint64_t n, void *dst, uint64_t dst_bytes, void *workspace, uint64_t workspace_bytes,
    uint64_t *frame_bytes, struct qsgd_error *error);

/* Decodes a frame to indices[n], scales[buckets] and, if not NULL, alphas[chunks] (the last two as
 * counted by qsgd_frame_info). Always as if QSGD_DECODE_ATOMIC were set. Raw frames:
 * QSGD_ERR_SCHEME. */
QSGD_API qsgd_status qsgd_decode_indices(const void *frame, uint64_t size,
                                         const struct qsgd_decode_options *options,
                                         int16_t *indices, float *scales, uint8_t *alphas,
                                         uint64_t n, void *workspace, uint64_t workspace_bytes,
                                         struct qsgd_error *error);

/* Turns indices in place into what dithered frames code, or back (FORMAT.md section 6.6): those of
 * buckets whose scale is above 0 change sign where the noise of params->seed and nonce says so. For
 * entropy codes of one's own, and the weights of shared tables. Without DITHERED, and for SIGNED
 * levels, indices stay as they are. QSGD_ERR_INDEX names an element, or a bucket whose scale a
 * frame cannot store. */
QSGD_API qsgd_status qsgd_turn_indices(const struct qsgd_params *params, uint64_t nonce,
                                       int16_t *indices, const float *scales, uint64_t n,
                                       struct qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Shared tables (FORMAT.md section 8.6)
 *
 * Where encoder and decoder know the probabilities of the levels beforehand, a table can travel
 * once, or be made on both sides, in place of a table in every chunk. It is a short byte string
 * without pointers, the same on every machine. Frames name it by its digest, which tells tables
 * apart but protects nothing: anyone can make two tables of one digest.
 * ------------------------------------------------------------------------------------------- */

/* Bytes that suffice for any tables. */
QSGD_API uint64_t qsgd_tables_bound(void);

/* Makes tables for a codec.
 *
 * params   code RANS or HUFFMAN, and the levels; the rest does not matter.
 * weights  one per level, in ascending order of the index k (index 0 is left out where it is no
 *          level): probabilities or counts, finite, at least 0, not all 0; for DITHERED, of turned
 *          indices (qsgd_turn_indices). Every level can be coded with the tables, also one of
 *          weight 0.
 * count    number of weights: the levels of params (2 s + 1; without zero 2 s; SIGNED table_len;
 *          OPEN 65535).
 * dst      receives the tables; dst_bytes >= qsgd_tables_bound().
 * bytes    on success, their length.
 *
 * Returns QSGD_OK; QSGD_ERR_PARAM, _COMBINATION, _NULL, _DST_TOO_SMALL and what qsgd_params_check
 * returns. Equal arguments give equal bytes on every machine. */
QSGD_API qsgd_status qsgd_tables_build(const struct qsgd_params *params, const double *weights,
                                       uint64_t count, void *dst, uint64_t dst_bytes,
                                       uint64_t *bytes, struct qsgd_error *error);

/* Checks tables from anywhere, as every use of them does: QSGD_ERR_CODE_TABLE, and error->offset is
 * the byte of the tables. */
QSGD_API qsgd_status qsgd_tables_check(const void *tables, uint64_t bytes,
                                       struct qsgd_error *error);

/* Checks tables and computes the 8 bytes by which frames name them. */
QSGD_API qsgd_status qsgd_tables_digest(const void *tables, uint64_t bytes, uint8_t digest[8],
                                        struct qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Elias codes of positive integers, on their own (Elias, IEEE Trans. Inf. Theory 21(2), 1975)
 * ------------------------------------------------------------------------------------------- */

/* Codes `count` integers in 1 .. 2^64-1 (QSGD_ERR_INDEX names a zero), most significant bit first,
 * zero bits to the end of the last byte. *bits receives the length before padding. dst may be NULL
 * to ask for *bits alone. Returns QSGD_ERR_DST_TOO_SMALL if it does not fit. */
QSGD_API qsgd_status qsgd_elias_encode(int32_t elias, const uint64_t *values, uint64_t count,
                                       void *dst, uint64_t dst_bytes, uint64_t *bits,
                                       struct qsgd_error *error);

/* Decodes `count` integers from the first `bits` bits of src (size >= bits / 8, rounded up).
 * *used receives the bits consumed. QSGD_ERR_STREAM: the bits run out, or a value passes 2^64-1;
 * error->offset is then the byte where that codeword starts. values is unspecified on error. */
QSGD_API qsgd_status qsgd_elias_decode(int32_t elias, const void *src, uint64_t bits,
                                       uint64_t count, uint64_t *values, uint64_t *used,
                                       struct qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Backends
 * ------------------------------------------------------------------------------------------- */

/* Name of backend `index`, best first, as "avx2"; NULL past the last. *available (may be NULL) is 1
 * if this CPU and operating system can run it. */
QSGD_API const char *qsgd_backends(uint32_t index, int32_t *available);

/* Forces a backend by name, for every thread, from the next call on; "auto" returns to the best.
 * Results never change. Returns QSGD_OK, QSGD_ERR_NULL or QSGD_ERR_BACKEND. */
QSGD_API qsgd_status qsgd_set_backend(const char *name);

/* Name of the backend in use. */
QSGD_API const char *qsgd_backend(void);

#ifdef __cplusplus
}
#endif

#endif /* QSGD_H */
