/* qsgd.h: the public interface of libqsgd, a codec for gradients and other float tensors.
 *
 * A tensor is cut into buckets that share a scale; each element is rounded at random, without bias,
 * to one of a few levels; the level indices are entropy coded; one self-describing frame results
 * (QSGD: Alistarh et al., NeurIPS 2017). Bytes and arithmetic: FORMAT.md and ENCODER.md.
 *
 *     qsgd_params params;
 *     qsgd_memory frame;
 *     qsgd_params_init(&params);
 *     if (qsgd_encode_alloc(&params, NULL, gradient, n, NULL, &frame, NULL) == QSGD_OK) {
 *         send(frame.data, frame.bytes);
 *         qsgd_free(NULL, frame.data);
 *     }
 *
 * Most programs need no more than sections 1 to 3. Further headers: qsgd_stages.h (quantising
 * without coding, indices, shared tables, Elias codes) and qsgd_fit.h (levels fitted to tensors).
 *
 *   1 Status   2 Parameters   3 One call for one frame   4 Buffers of one's own
 *   5 Look at a frame   6 Backends
 *
 * Contract of every function in these headers
 *   - The library starts no threads, reads no environment, prints nothing and never aborts. Its
 * only state is one atomic that holds the chosen backend (qsgd_set_backend), which never changes a
 *     byte or a float of any result.
 *   - It allocates nothing, but for the two calls of section 3. Elsewhere the caller provides every
 *     buffer, and qsgd_encode_sizes and qsgd_decode_sizes say how much.
 *   - At most 40 KB of stack are used, beside what the caller's runner takes.
 *   - Functions may run on any number of threads at once if their writable buffers are distinct.
 *   - Buffers may have any alignment. Input and output must not overlap, and nobody else may change
 *     a frame or an output during a call (src may change: the result is then some mixture, and
 *     nothing is written out of bounds).
 *   - A status other than QSGD_OK is an error; a qsgd_error, where given, says where and why.
 *   - Frames are untrusted: any bytes may be decoded. See qsgd_decode for what is promised.
 *
 * Structs that start with struct_size may gain fields at their end in later versions. Their _init
 * functions are macros that tell the library how long the caller's struct is. Shorter ones of
 * earlier versions are taken, with defaults for what they lack; longer ones are taken if what this
 * version does not know is zero; anything else is QSGD_ERR_STRUCT_SIZE. Other structs never change.
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
 * 1 Status
 * ------------------------------------------------------------------------------------------- */

typedef int32_t qsgd_status;

/* Numbers are pinned: they are never reused or renumbered. One number per distinguishable cause. */
enum qsgd_status_code {
    QSGD_OK = 0,

    /* -10..: the caller's parameters; `parameter` of qsgd_error names the one at fault. */
    QSGD_ERR_PARAM = -10,       /* a parameter is outside its range */
    QSGD_ERR_COMBINATION = -11, /* parameters that are legal alone make no sense together */
    QSGD_ERR_UNSUPPORTED = -12, /* a legal request that this version does not implement */
    QSGD_ERR_BACKEND = -13,     /* no such backend, or this CPU lacks it */
    QSGD_ERR_DTYPE = -14,       /* dtype unknown, or not usable here */
    QSGD_ERR_SHAPE = -15,       /* too many dimensions, or too many elements */
    QSGD_ERR_LEVEL_TABLE = -16, /* a level table is not increasing, or does not end at 1 */

    /* -20..: the caller's buffers. */
    QSGD_ERR_NULL = -20,          /* a pointer that is needed is NULL */
    QSGD_ERR_DST_TOO_SMALL = -21, /* the result does not fit dst */
    QSGD_ERR_WORKSPACE = -22,     /* the workspace is too small */
    QSGD_ERR_OVERLAP = -23,       /* input and output overlap */
    QSGD_ERR_LENGTH = -24,        /* the output's element count differs from the frame's */
    QSGD_ERR_RANGE = -25,         /* a range [start, stop) outside the tensor */
    QSGD_ERR_STRUCT_SIZE = -26, /* struct_size unknown to this version, or its init was left out */

    /* -30..: the caller's data. */
    QSGD_ERR_NONFINITE = -30, /* NaN or Inf (or a scale that overflows) under nonfinite=raise */
    QSGD_ERR_INDEX = -31,     /* an index, scale or damping that the codec could not have made */
    QSGD_ERR_TARGET = -32,    /* strict: no step gives this tensor the bits or error asked for */

    /* -40..: a frame. `offset` of qsgd_error is the byte offset of the trouble. */
    QSGD_ERR_NEED_MORE = -40,   /* the bytes so far are the start of a frame; more are needed */
    QSGD_ERR_MAGIC = -41,       /* not a frame */
    QSGD_ERR_VERSION = -42,     /* a frame of a version that this library does not know */
    QSGD_ERR_FLAGS = -43,       /* reserved flag bits are set */
    QSGD_ERR_HEADER = -44,      /* a header field is malformed or out of range */
    QSGD_ERR_HEADER_CRC = -45,  /* the header's checksum does not match */
    QSGD_ERR_FIELD = -46,       /* an extension field that must be understood is unknown */
    QSGD_ERR_LIMIT = -47,       /* more elements or bytes than the caller allows */
    QSGD_ERR_SCHEME = -48,      /* a scheme that the caller does not allow */
    QSGD_ERR_INDEX_CRC = -49,   /* the index's checksum does not match */
    QSGD_ERR_CHUNK_INDEX = -50, /* chunk lengths do not add up to the frame's length */
    QSGD_ERR_SCALE = -51,       /* a scale is negative, infinite or a non-canonical NaN */
    QSGD_ERR_CHUNK_CRC = -52,   /* a chunk's checksum does not match */
    QSGD_ERR_CHUNK = -53,       /* a chunk's own header is malformed */
    QSGD_ERR_CODE_TABLE = -54,  /* a probability, code-length or class table is malformed */
    QSGD_ERR_STREAM = -55,      /* code symbols are malformed, run out, or name no level */
    QSGD_ERR_PADDING = -56,     /* padding bits are not zero, or bytes are left over */
    QSGD_ERR_TRAILING = -57,    /* bytes follow the frame */
    QSGD_ERR_SHARED_TABLES = -58 /* the frame names shared tables that the caller did not give */,

    /* -60..: what the caller lends, and the build. */
    QSGD_ERR_RUNNER = -60,  /* the runner failed, or did not run every task exactly once */
    QSGD_ERR_MEMORY = -61,  /* the allocator returned NULL */
    QSGD_ERR_SELFTEST = -62 /* this build computes other bytes than FORMAT.md says */
};

/* Details of an error. Fill with qsgd_error_init; functions then write it on errors alone. Fields
 * that do not apply hold UINT64_MAX, or NULL for `parameter`. */
typedef struct qsgd_error {
    uint32_t struct_size;  /* set by qsgd_error_init */
    qsgd_status status;    /* the status that the function returned */
    uint64_t offset;       /* bytes from the frame's first byte */
    uint64_t element;      /* index in the flattened tensor */
    uint64_t bucket;       /* bucket number */
    uint64_t frame;        /* qsgd_decode_sum: index of the frame at fault */
    uint64_t needed;       /* bytes that suffice for the buffer that is too small */
    const char *parameter; /* static string: the parameter at fault, as named in these headers */
    const char *reason;    /* static string: one sentence, with the legal range; never NULL */
} qsgd_error;

/* Returns QSGD_OK, QSGD_ERR_NULL or QSGD_ERR_STRUCT_SIZE, as every _init does. */
#define qsgd_error_init(error) qsgd_error_init_sized(error, sizeof *(error))
QSGD_API qsgd_status qsgd_error_init_sized(qsgd_error *error, size_t struct_size);

/* Static, upper-case name of a status, as "QSGD_ERR_MAGIC"; "QSGD_ERR_UNKNOWN" for any other. */
QSGD_API const char *qsgd_status_name(qsgd_status status);

/* Static sentence that says what a status means, as "not a frame"; for those who have no
 * qsgd_error, whose `reason` says more. */
QSGD_API const char *qsgd_status_message(qsgd_status status);

/* Version of the library in use: major * 10000 + minor * 100 + patch. */
QSGD_API uint32_t qsgd_version(void);

/* ---------------------------------------------------------------------------------------------
 * 2 Parameters
 * ------------------------------------------------------------------------------------------- */

/* Element types. Quantisers and lossless frames take the first four; raw frames take all. Numbers
 * as in the frame. */
typedef enum qsgd_dtype {
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
} qsgd_dtype;

/* The scale of a bucket (ENCODER.md section 5). */
typedef enum qsgd_norm {
    QSGD_NORM_MAX = 0,     /* largest magnitude */
    QSGD_NORM_L2 = 1,      /* Euclidean norm, as in the paper */
    QSGD_NORM_RMS = 2,     /* l2 / sqrt(length); for open-ended levels */
    QSGD_NORM_MEAN = 3,    /* mean magnitude; for sign */
    QSGD_NORM_BALANCED = 4 /* geometric mean of the rms of bucket and tensor; for open levels */
} qsgd_norm;

/* The set of levels (FORMAT.md section 8.3). */
typedef enum qsgd_levels {
    QSGD_LEVELS_UNIFORM = 0,     /* 0, 1/s .. 1; without zero: (2j-1)/(2s-1) */
    QSGD_LEVELS_EXPONENTIAL = 1, /* 0, 2^-(s-1) .. 1/2, 1 */
    QSGD_LEVELS_TABLE = 2,       /* `level_table`: increasing magnitudes that end at 1, mirrored */
    QSGD_LEVELS_SIGNED = 3,      /* `level_table`: increasing from -1 to 1 */
    QSGD_LEVELS_OPEN = 4,        /* k * step for |k| <= 32767; with QSGD_NORM_RMS or _BALANCED */
    QSGD_LEVELS_AUTO = 255       /* in parameters only: OPEN with these norms, else UNIFORM */
} qsgd_levels;

/* How an element goes to a level (ENCODER.md section 6). */
typedef enum qsgd_rounding {
    QSGD_ROUND_STOCHASTIC = 0, /* at random between neighbours, unbiased */
    QSGD_ROUND_DITHERED = 1,   /* the same indices; the decoder subtracts part of the noise */
    QSGD_ROUND_NEAREST = 2,    /* deterministic, biased */
    QSGD_ROUND_TOPK = 3,       /* fewest largest elements whose magnitudes sum to the l2 norm */
    QSGD_ROUND_AUTO = 255      /* in parameters only: DITHERED with open levels, unless the code is
                                  sparse, which refuses it; else STOCHASTIC */
} qsgd_rounding;

/* Integer codes (FORMAT.md section 7), numbered as in the frame. AUTO exists in parameters only. */
typedef enum qsgd_code {
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
    QSGD_CODE_LOSSLESS = 11, /* every bit of float types, in fewer bytes; no quantizer, as RAW */
    QSGD_CODE_AUTO = 255
} qsgd_code;

typedef enum qsgd_nonfinite {
    QSGD_NONFINITE_RAISE = 0,
    QSGD_NONFINITE_PROPAGATE = 1
} qsgd_nonfinite;
typedef enum qsgd_classes {
    QSGD_CLASSES_AUTO = 0,
    QSGD_CLASSES_OFF = 1,
    QSGD_CLASSES_ON = 2
} qsgd_classes;

#define QSGD_MAX_DIMS 8
#define QSGD_PROFILE 1 /* the canonical encoder of this library (ENCODER.md) */
#define QSGD_MAX_S 32767
#define QSGD_MAX_LEVEL_TABLE 255
#define QSGD_MAX_TAG 16384
#define QSGD_MAX_ELEMENTS ((uint64_t)1 << 47)

/* What a codec does. Fill with qsgd_params_init, then change fields. */
typedef struct qsgd_params {
    uint32_t struct_size; /* set by qsgd_params_init */
    int32_t norm;         /* qsgd_norm; default BALANCED */
    int32_t levels;       /* qsgd_levels; default AUTO: OPEN or UNIFORM, by the norm */
    uint32_t s;           /* positive levels, 1..32767 (EXPONENTIAL: 1..127); default 7; unused by
                             TABLE, SIGNED and OPEN */
    float step;       /* OPEN: gap in units of the scale, 2^-20..2^20; 0 (default) is 0.5, or what a
                         target finds. Else 0 */
    int32_t zero;     /* 1 (default): 0 is a level. 0: it is not (UNIFORM, EXPONENTIAL, TABLE) */
    uint64_t bucket;  /* elements per scale, 0..2^47; 0 is the whole tensor; default 512 */
    int32_t rounding; /* qsgd_rounding; default AUTO: DITHERED or STOCHASTIC, by levels and code */
    int32_t code;     /* qsgd_code; default RANS */
    int32_t classes;  /* qsgd_classes, for RANS; default AUTO */
    int32_t rotation; /* 1: buckets of 128 elements or more are rotated at random, in parts of
                         powers of two; with OPEN levels those alone whose shape gains by it, and
                         with NEAREST others are dithered (FORMAT.md 7, 8.5; ENCODER.md 4, 6.5).
                         The frame then holds seed and nonce. Needs 1 <= bucket <= 2^chunk_log2,
                         not with RAW and TOPK. 0 (default): no */
    int32_t rescale;  /* NEAREST with UNIFORM or OPEN levels, buckets within chunks: 1 stores, in
                         place of the norm, the scale by which the decoded bucket projects on
                         the given one as that does on itself; with rotation, unbiased over its
                         signs (as EDEN, Vargaftik et al. 2022). Default 0 */
    float clip;       /* MAX: clip at this many root mean squares (TernGrad); 0 (default): no */
    uint32_t scale_dtype; /* of stored scales: QSGD_BFLOAT16 (default; rounded up, of open levels to
                             the nearest of eight steps an octave) or QSGD_FLOAT32 */
    int32_t nonfinite;    /* qsgd_nonfinite; default RAISE */
    int32_t checksum;     /* 1 (default): CRC-32C of index and every chunk. 0: header only */
    uint32_t chunk_log2;  /* log2 of the elements of a chunk, 10..18; default 16 */
    uint32_t level_table_len; /* entries of level_table: TABLE 1..127, SIGNED 2..255 */
    uint32_t exact_zeros;     /* 1: every element that is 0 (or -0) decodes to 0, not only groups of
                                 32 of them: where others are dithered, their chunk keeps all of
                                 its noise, and their bucket is not rotated (at equal bits up to
                                 twice the error there, that of stochastic rounding). Needs 0 among the
                                 levels. Default 0 */
    const float *level_table; /* TABLE, SIGNED; else NULL. Read during calls only */
    uint64_t seed;            /* key of the noise; default 0: choose one, see `nonce` below */
    const void *shared_tables; /* RANS, HUFFMAN: tables (see qsgd_shared_tables_build) of
                                  shared_tables_bytes bytes, which frames then name and chunks use
                                  where that is shorter; decoders need them. Read during calls only.
                                  NULL (default): none */
    uint64_t shared_tables_bytes;
    double feedback_decay; /* with a residual: the part of it that is forgotten before it is added,
                              0..1; default 0 */
    double reference; /* RMS: the scale of every bucket in place of its root mean square; BALANCED:
                         in place of the tensor's. So shards and workers agree on steps, and a
                         bucket longer than a chunk is read once, unless there is a residual:
                         a chunk whose largest element asks for more then has a larger scale.
                         2^-149..2^127; 0 (default): none */
    double target_bits;  /* OPEN, in place of `step`, which is 0 then: the step is found for each
                            tensor so that its frame takes so many bits an element, 0.25..12: from
                            4096 elements on of the whole frame but its tag, below of its payloads.
                            Decoders know nothing of it. Not with scales given. 0 (default): off */
    double target_error; /* the same so that the expected squared error is that part of the tensor's
                            energy, 1e-6..0.9. 0 (default): off */
    int32_t strict;   /* with a target. 1: QSGD_ERR_TARGET if it is missed, by more than 1/32 from
                         2^16 elements on, 1/16 from 4096 on, 1/4 below. 0 (default): the nearest
                         that there is */
    int32_t slot;     /* with target_bits. 1: the frame takes at most qsgd_slot_bytes, and its tag,
                         whatever the elements: the step is such that its size, on average, leaves room
                         for 8 standard deviations (should it be longer all the same, less than once
                         in 2^40, it is made again, with a longer step and other noise). RANS, and
                         bucket 0 or 256 and more. Default 0 */
    double dead_zone; /* NEAREST, mirrored levels with 0, no rotation: magnitudes round up from 1/2
                         plus this part of the way to the next level on, 0..0.5: at equal bits less
                         error where most indices are 0 (ENCODER.md 6.2). Default 0 */
} qsgd_params;

/* Fills *params with the defaults above: unbiased, no quiet bucket drowned, about 3 bits an
 * element. QSGD as the paper uses it is norm MAX, or L2, and s. (Programs built with the header of
 * 0.1, whose struct is shorter, get these, as they did.) */
#define qsgd_params_init(params) qsgd_params_init_sized(params, sizeof *(params))
QSGD_API qsgd_status qsgd_params_init_sized(qsgd_params *params, size_t struct_size);

/* Checks *params as qsgd_encode would. `error` may be NULL, here and everywhere. */
QSGD_API qsgd_status qsgd_params_check(const qsgd_params *params, qsgd_error *error);

/* Memory that the library writes, or gives. */
typedef struct qsgd_memory {
    void *data;
    uint64_t bytes;
} qsgd_memory;

/* Bytes that it only reads. */
typedef struct qsgd_bytes {
    const void *data;
    uint64_t bytes;
} qsgd_bytes;

/* Parallel work is offered to the caller: the runner calls task(job, index, worker) once for every
 * index below `count`, in any order, on any threads, waits for all of them, and returns QSGD_OK.
 * Where there is but one task, the library runs it itself.
 * `worker` < `workers` (of the options), and no two calls that run at the same time may share one.
 * Tasks never block and never call back. Whatever else a runner does (a task left out, run twice,
 * or out of range, a worker out of range or shared, another status) ends in QSGD_ERR_RUNNER, and no
 * task then runs out of bounds; but the tasks of a call must not run after the runner returned. A
 * C++ runner must not let exceptions pass: qsgd.hpp sees to that. */
typedef void (*qsgd_task)(void *job, uint64_t index, uint32_t worker);
typedef qsgd_status (*qsgd_runner)(void *context, qsgd_task task, void *job, uint64_t count);

#define QSGD_MAX_WORKERS 256

/* What an encode came to. Fill with qsgd_encode_report_init. */
typedef struct qsgd_encode_report {
    uint32_t struct_size; /* set by qsgd_encode_report_init */
    int32_t met;          /* 0: there was a target, and it was missed (see `strict`) */
    uint64_t elements;
    uint64_t frame_bytes;
    uint64_t payload_bytes; /* of these */
    double bits;            /* 8 frame_bytes / elements; 0 of none */
    double error; /* expected squared error over energy, given the step, or, of biased roundings and
                     levels that are not evenly spaced, that of the frame; 0 of raw frames and where
                     there is no energy. Blocks with NaN or Inf do not count */
    double step;  /* of open levels, else 0 */
    double target_bits, target_error; /* as wanted */
    uint32_t trials;                  /* how many steps were tried, on samples or whole */
    uint32_t again; /* with a slot: how often the frame was made again, as it did not fit */
} qsgd_encode_report;

#define qsgd_encode_report_init(report) qsgd_encode_report_init_sized(report, sizeof *(report))
QSGD_API qsgd_status qsgd_encode_report_init_sized(qsgd_encode_report *report, size_t struct_size);

/* One call's own choices. Fill with qsgd_encode_options_init. */
typedef struct qsgd_encode_options {
    uint32_t struct_size;  /* set by qsgd_encode_options_init */
    uint32_t dtype;        /* qsgd_dtype of src; default QSGD_FLOAT32 */
    uint32_t ndim;         /* 0..8 dimensions in `shape`; default QSGD_FLAT: one, of n elements */
    uint32_t workers;      /* most concurrent tasks of the runner, 1..256; default 1 */
    const uint64_t *shape; /* its product must be n (ndim 0: n is 1) */
    uint64_t nonce;        /* with the seed it names the noise, so never the same twice: count
                              tensors and mix in the worker's rank; default 0 (as with options NULL) */
    const void *tag;       /* tag_bytes bytes, at most 16384, kept in the header; may be NULL */
    uint64_t tag_bytes;
    const float *scales; /* one per bucket, finite and >= 0, used in place of the norm; or NULL.
                            Magnitudes past the last level are clamped to it */
    float *residual;     /* n float32 of error feedback: src + residual is encoded, and what the
                            decoder will lack is left in residual; or NULL. float32 src only, not
                            with `scales`: each scale becomes the one that leaves least, so that a
                            call never leaves more than it was given. Buckets that leave as NaN keep
                            what they had */
    qsgd_runner runner;  /* NULL: tasks run one after another on this thread */
    void *runner_context;
    uint64_t origin; /* of a slice or shard: the number of its first element in a larger tensor, by
                        which noise is counted, so that parts with one nonce do not repeat it;
                        origin + n at most 2^47. Parts that are cut where chunks begin
                        (chunk_elements of qsgd_frame_info), and buckets, if these are longer but
                        not the whole tensor, decode to the values of the whole if scales are equal:
                        those of buckets within chunks (but for BALANCED), by params->reference, or
                        given. Frames hold it where decoders need it. Default 0 */
    qsgd_encode_report *report; /* receives what came out, on success; errors are measured to that
                                   end. NULL (default): nothing is reported */
    const qsgd_encode_report *last; /* with a target: of the frame before, as of the step before in
                                       training. Its step is corrected by what it came to, and
                                       nothing is tried, unless it came out by half too long or too
                                       short; or once, with a slot. NULL (default): the step is
                                       searched */
} qsgd_encode_options;

#define QSGD_FLAT UINT32_MAX

#define qsgd_encode_options_init(options) qsgd_encode_options_init_sized(options, sizeof *(options))
QSGD_API qsgd_status qsgd_encode_options_init_sized(qsgd_encode_options *options,
                                                    size_t struct_size);

enum qsgd_decode_flags {
    QSGD_DECODE_PADDED = 2, /* zeros may follow the frame, as in a slot */
    QSGD_DECODE_ATOMIC = 1 /* a validating pass before the first write: on error dst is untouched */
};

/* Fill with qsgd_decode_options_init. */
typedef struct qsgd_decode_options {
    uint32_t struct_size;       /* set by qsgd_decode_options_init */
    uint32_t dtype;             /* qsgd_dtype of dst, a float type; default QSGD_DTYPE_OF_FRAME. Raw
                                   frames convert between float types only. Narrow types are rounded
                                   to nearest; what is finite stays so */
    uint32_t flags;             /* qsgd_decode_flags */
    uint32_t workers;           /* as in encode; default 1 */
    uint64_t max_elements;      /* refuse larger frames (QSGD_ERR_LIMIT). Default UINT64_MAX: none
                                   are, but for qsgd_decode_alloc, which then allows 2^28 */
    uint64_t allowed_codes;     /* bit c allows code c; default all. Else QSGD_ERR_SCHEME */
    uint64_t allowed_norms;     /* bit m allows norm m */
    uint64_t allowed_levels;    /* bit l allows level set l */
    uint64_t allowed_roundings; /* bit r allows rounding r */
    qsgd_runner runner;
    void *runner_context;
    /* Shared tables, from which a frame that names some takes its own by their digest. All are
     * checked if the frame names any: QSGD_ERR_CODE_TABLE with parameter "shared_tables", and the
     * offset is within them. */
    const qsgd_bytes *shared_tables;
    uint32_t shared_tables_count; /* default 0 */
    uint32_t reserved;            /* 0 */
} qsgd_decode_options;

#define QSGD_DTYPE_OF_FRAME UINT32_MAX

#define qsgd_decode_options_init(options) qsgd_decode_options_init_sized(options, sizeof *(options))
QSGD_API qsgd_status qsgd_decode_options_init_sized(qsgd_decode_options *options,
                                                    size_t struct_size);

/* What a frame says of itself, from its header alone. Pointers point into the frame. */
typedef struct qsgd_frame_info {
    uint32_t struct_size; /* set by qsgd_frame_info_init */
    uint32_t version;
    uint32_t dtype; /* qsgd_dtype of the tensor that was encoded */
    uint32_t ndim;
    uint64_t shape[QSGD_MAX_DIMS];
    uint64_t elements;
    uint64_t frame_bytes;
    uint64_t header_bytes; /* prefix and header with its checksum */
    uint64_t buckets;      /* scales of the tensor, one per bucket, or part of one that may be
                              rotated; 0 for raw */
    uint64_t chunks;
    uint64_t chunk_elements;         /* of every chunk that no bucket or tensor end cuts short */
    int32_t has_noise_key;           /* 1: seed and nonce are in the frame (dithered or rotated) */
    int32_t has_shared_tables;       /* 1: the frame names shared tables, which a decoder needs, */
    uint8_t shared_tables_digest[8]; /* by this digest (qsgd_shared_tables_digest) */
    uint64_t nonce;
    const void *tag;
    uint64_t tag_bytes;
    const void *level_table; /* little-endian float32, for TABLE and SIGNED; else NULL */
    uint64_t level_table_len;
    /* Where the frame comes from: no decoder needs it, and any number is allowed. */
    uint32_t norm;     /* qsgd_norm, or one that is not known here, at most 15; 0 for raw */
    uint32_t rounding; /* qsgd_rounding, or as above */
    uint32_t profile;  /* of the encoder: QSGD_PROFILE, or another one's, at most 255 */
    uint32_t dithered; /* 1: decoders subtract part of the noise */
    uint64_t origin;   /* of qsgd_encode_options; 0 unless the frame has a noise key */
} qsgd_frame_info;

#define qsgd_frame_info_init(info) qsgd_frame_info_init_sized(info, sizeof *(info))
QSGD_API qsgd_status qsgd_frame_info_init_sized(qsgd_frame_info *info, size_t struct_size);

/* ---------------------------------------------------------------------------------------------
 * 3 One call for one frame
 * ------------------------------------------------------------------------------------------- */

/* Where memory comes from. `allocate` returns `bytes` bytes of any alignment, or NULL; bytes > 0.
 * `release` takes what it returned. */
typedef struct qsgd_allocator {
    void *(*allocate)(void *context, size_t bytes);
    void (*release)(void *context, void *data);
    void *context;
} qsgd_allocator;

/* qsgd_encode into memory of the right size.
 *
 * allocator  may be NULL: malloc and free.
 * frame      on success, the frame, which is the caller's to free (qsgd_free); on error {NULL, 0}.
 *
 * Returns what qsgd_encode returns; QSGD_ERR_MEMORY. All other memory is released again. */
QSGD_API qsgd_status qsgd_encode_alloc(const qsgd_params *params,
                                       const qsgd_encode_options *options, const void *src,
                                       uint64_t n, const qsgd_allocator *allocator,
                                       qsgd_memory *frame, qsgd_error *error);

/* qsgd_decode into memory of the right size. Frames of more than 2^28 elements are refused
 * (QSGD_ERR_LIMIT) before anything is allocated, unless options->max_elements says another limit.
 *
 * dst   on success, the elements, of options->dtype, which are the caller's to free (qsgd_free);
 *       {NULL, 0} on error, and for a tensor of no elements.
 * info  receives dtype, shape and the rest of the header, if there is a frame; may be NULL.
 *
 * Returns what qsgd_decode returns; QSGD_ERR_MEMORY. All other memory is released again. */
QSGD_API qsgd_status qsgd_decode_alloc(const void *frame, uint64_t bytes,
                                       const qsgd_decode_options *options,
                                       const qsgd_allocator *allocator, qsgd_memory *dst,
                                       qsgd_frame_info *info, qsgd_error *error);

/* Frees what one of the two above gave, by the same allocator. data may be NULL. */
QSGD_API void qsgd_free(const qsgd_allocator *allocator, void *data);

/* ---------------------------------------------------------------------------------------------
 * 4 Buffers of one's own
 * ------------------------------------------------------------------------------------------- */

/* What calls need. Fill with qsgd_sizes_init, then ask one of the queries below, or
 * qsgd_stats_sizes. */
typedef struct qsgd_sizes {
    uint32_t struct_size;     /* set by qsgd_sizes_init */
    uint32_t dtype;           /* qsgd_dtype of the elements in src (encode) or dst (decode) */
    uint64_t elements;        /* n */
    uint64_t buckets;         /* entries of scales; 0 for raw frames */
    uint64_t chunks;          /* entries of damping */
    uint64_t dst_bytes;       /* encode: suffice for the frame, whatever the tensor's values, though
                                 dst may be smaller if the frame fits. Decode: of all elements */
    uint64_t workspace_bytes; /* of scratch, at any alignment; 64 KB at most for n <= 4096, buckets
                                 of 4 at least and one worker (QSGD_SMALL_WORKSPACE); where a report
                                 or target_error needs frames decoded (nearest and top-k rounding,
                                 tables of levels), 4 bytes an element more */
} qsgd_sizes;

#define QSGD_SMALL_ELEMENTS 4096
#define QSGD_SMALL_WORKSPACE 65536

#define qsgd_sizes_init(sizes) qsgd_sizes_init_sized(sizes, sizeof *(sizes))
QSGD_API qsgd_status qsgd_sizes_init_sized(qsgd_sizes *sizes, size_t struct_size);

/* What qsgd_encode, qsgd_quantize, qsgd_dequantize and qsgd_encode_indices need for n elements. Of
 * the options, which may be NULL, dtype, ndim, shape, tag_bytes and workers count, and whether
 * there is a residual. Refuses what those calls would refuse, with the same statuses. */
QSGD_API qsgd_status qsgd_encode_sizes(const qsgd_params *params,
                                       const qsgd_encode_options *options, uint64_t n,
                                       qsgd_sizes *sizes, qsgd_error *error);

/* Bytes that a frame of n elements takes at most, beside its tag, with params->slot: target_bits an
 * element, 1 %, a term that grows as the root of n, and what heads take. Anyone who knows
 * parameters and n knows it: buffers of that size need no exchange of lengths (qsgd_frame_size cuts
 * the frame out; QSGD_DECODE_PADDED takes zeros behind it). QSGD_ERR_COMBINATION without slot. */
QSGD_API qsgd_status qsgd_slot_bytes(const qsgd_params *params, uint64_t n, uint64_t *bytes,
                                     qsgd_error *error);

/* Encodes n elements into one frame.
 *
 * src         n elements of options->dtype; may be NULL only if n is 0. Not written.
 * options     may be NULL: the defaults.
 * dst         receives the frame, if it fits: sizes.dst_bytes always suffice, and then it takes
 * least time. Bytes of dst past the frame may be used as scratch. workspace   sizes.workspace_bytes
 * of scratch. frame_bytes on success, bytes of the frame; untouched on error.
 *
 * Returns QSGD_OK; QSGD_ERR_PARAM, _COMBINATION, _UNSUPPORTED, _LEVEL_TABLE, _CODE_TABLE
 * (shared_tables), _DTYPE, _SHAPE (nothing written); QSGD_ERR_NULL, _WORKSPACE, _OVERLAP,
 * _STRUCT_SIZE (nothing written); QSGD_ERR_DST_TOO_SMALL (residual as it was, dst unspecified);
 * QSGD_ERR_NONFINITE (dst and residual unspecified; error->element is the first such element);
 * QSGD_ERR_RUNNER (dst and residual unspecified). One (src, params, nonce) gives the same bytes on
 * every backend, thread count and machine. */
QSGD_API qsgd_status qsgd_encode(const qsgd_params *params, const qsgd_encode_options *options,
                                 const void *src, uint64_t n, qsgd_memory dst,
                                 qsgd_memory workspace, uint64_t *frame_bytes, qsgd_error *error);

/* What the decode functions need, from the frame's header: `bytes` may be less than the frame's, as
 * long as the header is there. Scratch is about 8 bytes per element of the longest chunk and
 * worker, 12 if buckets of that length are rotated, and 8 more per bucket, so some 5 MB at most;
 * options->max_elements bounds that too. Statuses as of qsgd_decode. */
QSGD_API qsgd_status qsgd_decode_sizes(const void *frame, uint64_t bytes,
                                       const qsgd_decode_options *options, qsgd_sizes *sizes,
                                       qsgd_error *error);

/* Decodes exactly one frame.
 *
 * frame, bytes any bytes whatever; a frame of exactly `bytes` bytes decodes. If it names shared
 *              tables that options do not hold: QSGD_ERR_SHARED_TABLES, and nothing is written.
 * options      may be NULL: the defaults.
 * dst          n elements of options->dtype, where n must equal the frame's elements.
 * workspace    sizes.workspace_bytes of scratch.
 *
 * Prefix, header, index, scales, tables and checksums are verified before the first write. What
 * remains (symbols that a right checksum covers, yet no encoder writes) is reported as
 * QSGD_ERR_STREAM or _PADDING and then dst is unspecified, unless QSGD_DECODE_ATOMIC is set or the
 * frame has no checksums: then dst is untouched on any error of the frame. After QSGD_ERR_RUNNER
 * dst is unspecified. No byte outside frame, dst and workspace is touched. Time is linear in bytes
 * + n.
 */
QSGD_API qsgd_status qsgd_decode(const void *frame, uint64_t bytes,
                                 const qsgd_decode_options *options, void *dst, uint64_t n,
                                 qsgd_memory workspace, qsgd_error *error);

/* acc[i] += alpha * decoded[i] in float32 (product rounded, then sum), whatever the frame's dtype.
 * options->dtype is not used. Raw frames must hold a float type. Otherwise as qsgd_decode. */
QSGD_API qsgd_status qsgd_decode_add(const void *frame, uint64_t bytes,
                                     const qsgd_decode_options *options, float alpha, float *acc,
                                     uint64_t n, qsgd_memory workspace, qsgd_error *error);

/* A frame and what it counts for in a sum. */
typedef struct qsgd_weighted_frame {
    const void *frame;
    uint64_t bytes;
    float alpha;
    uint32_t reserved; /* 0 */
} qsgd_weighted_frame;

/* What the two functions below need for these frames and outputs of n elements: from their headers,
 * so that each frame must be there up to its end. options->dtype is that of the output of
 * qsgd_decode_sum_to, QSGD_DTYPE_OF_FRAME: float32. Statuses as of qsgd_decode, with
 * error->frame. */
QSGD_API qsgd_status qsgd_decode_sum_sizes(const qsgd_weighted_frame *frames, uint32_t count,
                                           const qsgd_decode_options *options, uint64_t n,
                                           qsgd_sizes *sizes, qsgd_error *error);

/* out[i] = sum over f of frames[f].alpha * decoded_f[i], in the order of f, starting from +0: the
 * floats that qsgd_decode_add for one frame after the other gives. Frames are verified once, before
 * the first write, and then added piece by piece, each piece of the output for all frames while it
 * is in the cache.
 *
 * options    may be NULL: the defaults. dtype is not used.
 * workspace  qsgd_decode_sum_sizes says what suffices. With less, as long as it suffices for every
 *            frame by itself (qsgd_decode_sizes; take the largest), frames are added one after
 *            the other, each verified twice: slower, the same floats.
 * error      frame is the number of the frame at fault; element is not set.
 *
 * Statuses as of qsgd_decode_add. */
QSGD_API qsgd_status qsgd_decode_sum(const qsgd_weighted_frame *frames, uint32_t count,
                                     const qsgd_decode_options *options, float *out, uint64_t n,
                                     qsgd_memory workspace, qsgd_error *error);

/* out[i] = fl(sum / divisor), the sum being that of qsgd_decode_sum, as an element of
 * options->dtype: float32 (also QSGD_DTYPE_OF_FRAME), float64, float16 or bfloat16, rounded from
 * the float32 quotient as FORMAT.md section 8.6 has it. So the mean of frames has alphas of 1 and
 * their number as divisor, which is finite or infinite and not 0. The workspace is that of
 * qsgd_decode_sum_sizes with these options. Otherwise as qsgd_decode_sum. */
QSGD_API qsgd_status qsgd_decode_sum_to(const qsgd_weighted_frame *frames, uint32_t count,
                                        const qsgd_decode_options *options, float divisor,
                                        void *out, uint64_t n, qsgd_memory workspace,
                                        qsgd_error *error);

/* Decodes elements [start, stop) of the flattened tensor into stop - start elements of dst; only
 * the chunks that hold them are read. Same values as qsgd_decode gives. Rotated frames decode whole
 * buckets to that end, and write the part asked for. */
QSGD_API qsgd_status qsgd_decode_range(const void *frame, uint64_t bytes,
                                       const qsgd_decode_options *options, uint64_t start,
                                       uint64_t stop, void *dst, qsgd_memory workspace,
                                       qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * 5 Look at a frame
 * ------------------------------------------------------------------------------------------- */

/* Size of the frame that starts at `data`, from its first 16 bytes: to cut a stream into frames.
 *
 * data, bytes  what has arrived so far.
 * max_bytes    refuse frames that claim to be longer (QSGD_ERR_LIMIT, error->offset 8): what the
 *              receiver is ready to buffer. UINT64_MAX: any.
 *
 * A prefix is unverified: no checksum covers it before the header is there, and any 16 bytes that
 * start as frames do may claim up to 2^56 bytes. Never allocate by *frame_bytes without a limit.
 * Returns QSGD_OK, QSGD_ERR_NEED_MORE (fewer than 16 bytes, right so far), _MAGIC, _VERSION,
 * _FLAGS, _HEADER or _LIMIT. */
QSGD_API qsgd_status qsgd_frame_size(const void *data, uint64_t bytes, uint64_t max_bytes,
                                     uint64_t *frame_bytes, qsgd_error *error);

/* Parses and checks prefix and header, O(1) in the tensor's size. `bytes` may be less than the
 * frame's as long as the header is there. */
QSGD_API qsgd_status qsgd_inspect(const void *frame, uint64_t bytes, qsgd_frame_info *info,
                                  qsgd_error *error);

/* A codec that decodes as the frame does, as far as a decoder knows it: clip, reference, nonfinite
 * and classes get their defaults, norm and rounding the frame's if they go with the rest
 * (qsgd_frame_info has what it says), shared_tables is NULL, seed is 0 unless the frame has a noise
 * key. *params must be initialised; level_table, which has room for QSGD_MAX_LEVEL_TABLE entries,
 * receives the levels of TABLE and SIGNED, and params->level_table then points to it (NULL:
 * QSGD_ERR_NULL if the frame has a table). */
QSGD_API qsgd_status qsgd_inspect_params(const void *frame, uint64_t bytes, qsgd_params *params,
                                         float *level_table, qsgd_error *error);

/* What a frame of open levels says of the encode that it comes from, to go on from (`last` of
 * qsgd_encode_options): elements, bytes and step. Its error is 0, as it is not known; bits count
 * the tag. QSGD_ERR_COMBINATION for frames of other levels. `bytes` may be less than the frame's as
 * long as the header is there. */
QSGD_API qsgd_status qsgd_inspect_report(const void *frame, uint64_t bytes,
                                         qsgd_encode_report *report, qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * 6 Backends
 * ------------------------------------------------------------------------------------------- */

/* Name of backend `index`, best first, as "avx2"; NULL past the last. *available (may be NULL) is 1
 * if this CPU and operating system can run it. */
QSGD_API const char *qsgd_backends(uint32_t index, int32_t *available);

/* Forces a backend by name, for every thread, from the next call on; "auto" returns to the best.
 * Results never change. Returns QSGD_OK, QSGD_ERR_NULL or QSGD_ERR_BACKEND. */
QSGD_API qsgd_status qsgd_set_backend(const char *name, qsgd_error *error);

/* Name of the backend in use. */
QSGD_API const char *qsgd_backend(void);

/* Encodes and decodes one built-in frame by the backend in use, in microseconds, and compares bytes
 * and floats with those that FORMAT.md asks for: a build whose compiler was told to be inexact is
 * found out before it sends anything. Returns QSGD_OK or QSGD_ERR_SELFTEST. */
QSGD_API qsgd_status qsgd_selftest(qsgd_error *error);

#ifdef __cplusplus
}
#endif

#endif /* QSGD_H */
