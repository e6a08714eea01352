/* qsgd_fit.h: statistics of normalised tensors, and levels fitted to them.
 *
 * Workers gather statistics of their gradients, exchange and merge them, and fit levels: sums are
 * integers and every later operation is exactly rounded, so that equal statistics, in whatever
 * order they were merged, give equal levels on every machine. The contract of qsgd.h holds here
 * too.
 *
 * Words: r = x / scale, an element in units of its bucket's scale, so -1 <= r <= 1.
 */
#ifndef QSGD_FIT_H
#define QSGD_FIT_H

#include "qsgd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * Statistics
 *
 * Two models at once (STATISTICS.md): an empirical one, the histogram of r in bins of 1/16
 * octave, by half octave of the bucket's scale; and the parametric one of Faghri et al. (ALQ/AMQ,
 * NeurIPS 2020), mean and variance of r by bucket, gathered in cells of similar buckets.
 * ------------------------------------------------------------------------------------------- */

/* Sums of so many fit the integers of their bytes. */
#define QSGD_STATS_MAX_ELEMENTS ((uint64_t)1 << 41)

/* Statistics live in memory of the caller: qsgd_stats_bytes() bytes (some 160 KB), aligned to 8. */
typedef struct qsgd_stats qsgd_stats;

QSGD_API uint64_t qsgd_stats_bytes(void);

/* Empties *stats, for tensors quantised with params: norm (MAX or L2), bucket, scale_dtype and
 * clip count; the rest is not used. Returns QSGD_OK, what qsgd_params_check returns, QSGD_ERR_NULL,
 * or QSGD_ERR_COMBINATION for other norms, whose r is not bounded, and for rotation. */
QSGD_API qsgd_status qsgd_stats_init(qsgd_stats *stats, const qsgd_params *params,
                                     qsgd_error *error);

/* What statistics hold. */
typedef struct qsgd_stats_info {
    uint32_t struct_size; /* set by qsgd_stats_info_init */
    int32_t norm;         /* qsgd_norm */
    uint32_t scale_dtype; /* qsgd_dtype */
    float clip;
    uint64_t bucket;
    uint64_t elements; /* all that were added */
    uint64_t buckets;
    uint64_t idle;  /* elements of buckets that are all zero: they count in no histogram */
    uint64_t zeros; /* of other buckets: elements in groups of 32 that are all zero, from a bucket's
                       start on, which frames leave out */
} qsgd_stats_info;

#define qsgd_stats_info_init(info) qsgd_stats_info_init_sized(info, sizeof *(info))
QSGD_API qsgd_status qsgd_stats_info_init_sized(qsgd_stats_info *info, size_t struct_size);

QSGD_API qsgd_status qsgd_stats_inspect(const qsgd_stats *stats, qsgd_stats_info *info,
                                        qsgd_error *error);

/* What qsgd_stats_add needs for n elements of a dtype: workspace_bytes; and what qsgd_stats_save
 * needs at most: dst_bytes, of which typically a tenth is used. Refuses what qsgd_stats_add would
 * refuse. */
QSGD_API qsgd_status qsgd_stats_sizes(const qsgd_stats *stats, uint32_t dtype, uint64_t n,
                                      qsgd_sizes *sizes, qsgd_error *error);

/* Adds n elements at src, of a float type: one tensor, cut into buckets from its start.
 *
 * workspace  sizes.workspace_bytes of scratch (qsgd_stats_sizes).
 *
 * Returns QSGD_OK; QSGD_ERR_NULL, _DTYPE, _WORKSPACE; QSGD_ERR_SHAPE if the total would pass
 * QSGD_STATS_MAX_ELEMENTS; QSGD_ERR_NONFINITE with error->element and ->bucket. *stats is untouched
 * unless QSGD_OK is returned. */
QSGD_API qsgd_status qsgd_stats_add(qsgd_stats *stats, uint32_t dtype, const void *src, uint64_t n,
                                    qsgd_memory workspace, qsgd_error *error);

/* Adds what `other` holds. Associative and commutative, bit for bit. QSGD_ERR_COMBINATION if the
 * two were made for different norms, buckets, scale_dtypes or clips (`parameter` names it);
 * QSGD_ERR_SHAPE as above. */
QSGD_API qsgd_status qsgd_stats_merge(qsgd_stats *stats, const qsgd_stats *other,
                                      qsgd_error *error);

/* Writes *stats as bytes (STATISTICS.md): equal statistics, equal bytes. *bytes: how many.
 * QSGD_ERR_DST_TOO_SMALL if they do not fit; dst is then untouched. */
QSGD_API qsgd_status qsgd_stats_save(const qsgd_stats *stats, qsgd_memory dst, uint64_t *bytes,
                                     qsgd_error *error);

/* Reads what qsgd_stats_save wrote. Any bytes may be given: QSGD_ERR_NEED_MORE, _MAGIC, _VERSION,
 * _HEADER, _HEADER_CRC, _TRAILING with error->offset; *stats is then unspecified. */
QSGD_API qsgd_status qsgd_stats_load(qsgd_stats *stats, const void *data, uint64_t bytes,
                                     qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Fitting levels
 * ------------------------------------------------------------------------------------------- */

/* How levels are fitted: always so as to minimise the expected squared error of stochastic
 * rounding, the integral of (d - r)(r - c) for neighbouring levels c <= r <= d. */
typedef enum qsgd_fit_method {
    QSGD_FIT_ALQ = 0,          /* every level free, by coordinate descent in closed form */
    QSGD_FIT_ALQ_GRADIENT = 1, /* the same by gradient descent, for comparison with the paper's */
    QSGD_FIT_AMQ = 2,          /* levels p^j, by descent of the gradient in p */
    QSGD_FIT_NONE = 3          /* only evaluates the start (qsgd_fit_start) */
} qsgd_fit_method;

/* How buckets count. */
typedef enum qsgd_fit_weight {
    QSGD_WEIGHT_NORM2 = 0, /* by squared scale: the error of the tensor. The papers' theory */
    QSGD_WEIGHT_NORM = 1,  /* by scale: the papers' published code */
    QSGD_WEIGHT_NONE = 2   /* alike: the papers' ALQ-N and AMQ-N */
} qsgd_fit_weight;

typedef enum qsgd_fit_model {
    QSGD_MODEL_EMPIRICAL = 0, /* the histogram */
    QSGD_MODEL_PARAMETRIC =
        1,                /* a mixture of truncated normals; a single one with QSGD_WEIGHT_NONE */
    QSGD_MODEL_NORMAL = 2 /* one given normal, truncated to [-1, 1]; stats may be NULL */
} qsgd_fit_model;

/* Where descent starts. BEST tries the others, and some more, and keeps the best result; a target
 * in bits always does. */
typedef enum qsgd_fit_start {
    QSGD_START_BEST = 0,
    QSGD_START_UNIFORM = 1,     /* for AMQ: as BEST, which tries p = 0.1, 0.2, .. 0.9 */
    QSGD_START_EXPONENTIAL = 2, /* powers of 1/2; for AMQ: p = 1/2 */
    QSGD_START_QUANTILE = 3     /* levels of equal probability; not for AMQ */
} qsgd_fit_start;

typedef struct qsgd_fit_options {
    uint32_t struct_size; /* set by qsgd_fit_options_init */
    int32_t method;       /* qsgd_fit_method; default ALQ */
    int32_t weight;       /* qsgd_fit_weight; default NORM2 */
    int32_t model;        /* qsgd_fit_model; default EMPIRICAL */
    int32_t start;        /* qsgd_fit_start; default BEST */
    uint32_t s;           /* positive levels, 1..127; default 7 */
    int32_t symmetric;  /* 1 (default): mirrored. 0: a signed table (ALQ only) with as many levels,
                           2 s + zero */
    int32_t zero;       /* 1 (default): 0 is a level. 0: it need not be, and in a mirrored table is
                           not */
    uint32_t sweeps;    /* most sweeps of descent; default 0: until it stands */
    double bits;        /* target entropy of the indices in bits per element: levels minimise the
                           error among those of that entropy. Default 0: no such target. ALQ only */
    double mean, sigma; /* of QSGD_MODEL_NORMAL, in units of the scale */
} qsgd_fit_options;

#define qsgd_fit_options_init(options) qsgd_fit_options_init_sized(options, sizeof *(options))
QSGD_API qsgd_status qsgd_fit_options_init_sized(qsgd_fit_options *options, size_t struct_size);

typedef struct qsgd_fit {
    uint32_t struct_size; /* set by qsgd_fit_init */
    int32_t levels;       /* QSGD_LEVELS_TABLE, or QSGD_LEVELS_SIGNED if not symmetric */
    int32_t zero;         /* as in qsgd_params (1 for SIGNED) */
    uint32_t level_table_len;
    float level_table[QSGD_MAX_LEVEL_TABLE]; /* as in qsgd_params */
    uint32_t indices;                        /* entries of `probability` */
    uint32_t sweeps;                         /* that the best start took */
    double variance; /* mean of (d - r)(r - c) under the model: E|Q(r) - r|^2 per element */
    double error;    /* the same over the mean of r^2: normalised squared error of the tensor */
    double entropy;  /* bits per element of the indices, buckets alike, idle ones left out */
    double p;        /* AMQ: the base; else 0 */
    /* of each index, ascending (without 0 where there is no zero level), buckets alike */
    double probability[QSGD_MAX_LEVEL_TABLE];
} qsgd_fit;

#define qsgd_fit_init(fit) qsgd_fit_init_sized(fit, sizeof *(fit))
QSGD_API qsgd_status qsgd_fit_init_sized(qsgd_fit *fit, size_t struct_size);

/* Bytes of scratch that fitting needs, whatever is fitted. */
QSGD_API uint64_t qsgd_fit_workspace_bytes(void);

/* Fits levels to statistics.
 *
 * stats      not empty; may be NULL for QSGD_MODEL_NORMAL.
 * options    may be NULL: the defaults.
 * workspace  qsgd_fit_workspace_bytes() of scratch.
 *
 * Returns QSGD_OK; QSGD_ERR_NULL, _WORKSPACE, _STRUCT_SIZE; QSGD_ERR_PARAM, _COMBINATION with
 * error->parameter; QSGD_ERR_PARAM for "stats" if they hold no element that is not zero, and for
 * "bits" if no table of s levels has that entropy. *fit is written on success alone. */
QSGD_API qsgd_status qsgd_fit_levels(const qsgd_stats *stats, const qsgd_fit_options *options,
                                     qsgd_fit *fit, qsgd_memory workspace, qsgd_error *error);

/* The same evaluation for a table that is given in params (levels, s, zero, level_table), as *fit.
 */
QSGD_API qsgd_status qsgd_fit_evaluate(const qsgd_stats *stats, const qsgd_fit_options *options,
                                       const qsgd_params *params, qsgd_fit *fit,
                                       qsgd_memory workspace, qsgd_error *error);

#ifdef __cplusplus
}
#endif

#endif /* QSGD_FIT_H */
