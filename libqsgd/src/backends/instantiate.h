/* Instantiates the kernel bodies for the vocabulary included before it. BACKEND_NAME is the suffix.
 */
#include <string.h>

#include "base/bits.h"
#include "base/crc32c.h"
#include "kernels/body.h"
#include "kernels/kernels.h"

/* Others are written with these. */
#include "kernels/tokens.h"

#include "kernels/crc32c.h"
#include "kernels/extra_bits.h"
#include "kernels/fixed.h"
#include "kernels/histogram.h"
#include "kernels/lossless.h"
#include "kernels/noise.h"
#include "kernels/nonzeros.h"
#include "kernels/norm.h"
#include "kernels/prefix_read.h"
#include "kernels/prefix_write.h"
#include "kernels/rans.h"
#include "kernels/rotation.h"
#include "kernels/round.h"
#include "kernels/shape.h"
#include "kernels/stats_count.h"
#include "kernels/values.h"

static void kernel_stream_end(void) {
#ifdef W_STREAM
    vf_stream_end();
#endif
}

#define BACKEND_GLUE(a, b) a##b
#define BACKEND_SYMBOL(name) BACKEND_GLUE(kernels_, name)
#define BACKEND_STRING(name) BACKEND_QUOTE(name)
#define BACKEND_QUOTE(name) #name

/* How a body that all lanes run together is entered. */
#ifndef BACKEND_ENTRY
#define BACKEND_ENTRY(kernel) kernel
#endif

/* Kernels that only encoders, or only fitting, call: libraries without those have none of them. */
#if QSGD_ENCODER
#define BACKEND_ENCODER(entry) entry
#else
#define BACKEND_ENCODER(entry) NULL
#endif
#if QSGD_FIT
#define BACKEND_FIT(entry) entry
#else
#define BACKEND_FIT(entry) NULL
#endif

const struct kernels BACKEND_SYMBOL(BACKEND_NAME) = {
    .name = BACKEND_STRING(BACKEND_NAME),
    .crc32c = BACKEND_ENTRY(kernel_crc32c),
    .max_bits = BACKEND_ENCODER(BACKEND_ENTRY(kernel_max_bits)),
    .sum_squares = BACKEND_ENCODER(BACKEND_ENTRY(kernel_sum_squares)),
    .sum_magnitudes = BACKEND_ENCODER(BACKEND_ENTRY(kernel_sum_magnitudes)),
    .sum_products = BACKEND_ENCODER(BACKEND_ENTRY(kernel_sum_products)),
    .shape_sums = BACKEND_ENCODER(BACKEND_ENTRY(kernel_shape_sums)),
    .equal_pairs = BACKEND_ENCODER(BACKEND_ENTRY(kernel_equal_pairs)),
    .stats_count = BACKEND_FIT(BACKEND_ENTRY(kernel_stats_count)),
    .noise = BACKEND_ENTRY(kernel_noise),
    .tie_noise = BACKEND_ENCODER(kernel_tie_noise),
    .flip = BACKEND_ENTRY(kernel_flip),
    .flip_add = BACKEND_ENTRY(kernel_flip_add),
    .hadamard = BACKEND_ENTRY(kernel_hadamard),
    .round_uniform = BACKEND_ENCODER(BACKEND_ENTRY(kernel_round_uniform)),
    .round_table = BACKEND_ENCODER(BACKEND_ENTRY(kernel_round_table)),
    .values = BACKEND_ENTRY(kernel_values),
    .values_add = BACKEND_ENTRY(kernel_values_add),
    .token_values = BACKEND_ENTRY(kernel_token_values),
    .token_values_add = BACKEND_ENTRY(kernel_token_values_add),
    .stream_end = kernel_stream_end,
    .tokens = BACKEND_ENCODER(BACKEND_ENTRY(kernel_tokens)),
    .whole_tokens = BACKEND_ENTRY(kernel_whole_tokens),
    .swap_signs = BACKEND_ENTRY(kernel_swap_signs),
    .extra_read = BACKEND_ENTRY(kernel_extra_read),
    .extra_count = BACKEND_ENCODER(BACKEND_ENTRY(kernel_extra_count)),
    .extra_write = BACKEND_ENCODER(BACKEND_ENTRY(kernel_extra_write)),
    .turn = BACKEND_ENTRY(kernel_turn),
    .turn_tokens = BACKEND_ENCODER(BACKEND_ENTRY(kernel_turn_tokens)),
    .halves = BACKEND_ENTRY(kernel_halves),
    .mark = BACKEND_ENCODER(BACKEND_ENTRY(kernel_mark)),
    .symbols = BACKEND_ENCODER(BACKEND_ENTRY(kernel_symbols)),
    .histogram = BACKEND_ENCODER(BACKEND_ENTRY(kernel_histogram)),
    .pack = BACKEND_ENCODER(BACKEND_ENTRY(kernel_pack)),
    .unpack = BACKEND_ENTRY(kernel_unpack),
    .lossless_split = BACKEND_ENCODER(BACKEND_ENTRY(kernel_lossless_split)),
    .lossless_merge = BACKEND_ENTRY(kernel_lossless_merge),
    .halves_of_words = BACKEND_ENCODER(BACKEND_ENTRY(kernel_halves_of_words)),
    .words_of_halves = BACKEND_ENTRY(kernel_words_of_halves),
    .largest_zigzag = BACKEND_ENCODER(BACKEND_ENTRY(kernel_largest_zigzag)),
    .nonzeros = BACKEND_ENCODER(BACKEND_ENTRY(kernel_nonzeros)),
    .count_nonzeros = BACKEND_ENCODER(BACKEND_ENTRY(kernel_count_nonzeros)),
    .zero_groups = BACKEND_ENCODER(BACKEND_ENTRY(kernel_zero_groups)),
    .keeps_with_zero = BACKEND_ENTRY(kernel_keeps_with_zero),
    .group_bins = BACKEND_ENCODER(BACKEND_ENTRY(kernel_group_bins)),
    .group_histograms = BACKEND_ENCODER(BACKEND_ENTRY(kernel_group_histograms)),
    .rans_symbols = BACKEND_ENCODER(BACKEND_ENTRY(kernel_rans_symbols)),
    .rans_encode = BACKEND_ENCODER(BACKEND_ENTRY(kernel_rans_encode)),
    .rans_decode_tables = BACKEND_ENTRY(kernel_rans_decode_tables),
    .rans_decode = BACKEND_ENTRY(kernel_rans_decode),
    .rans_decode_two = BACKEND_ENTRY(kernel_rans_decode_two),
    .prefix_bits = BACKEND_ENTRY(kernel_prefix_bits),
    .prefix_write = BACKEND_ENCODER(kernel_prefix_write),
    .prefix_read = kernel_prefix_read,
    .prefix_read_one = kernel_prefix_read_one,
};
