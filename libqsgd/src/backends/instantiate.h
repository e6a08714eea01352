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
#include "kernels/noise.h"
#include "kernels/nonzeros.h"
#include "kernels/norm.h"
#include "kernels/prefix_read.h"
#include "kernels/prefix_write.h"
#include "kernels/rans.h"
#include "kernels/rotation.h"
#include "kernels/round.h"
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

const struct kernels BACKEND_SYMBOL(BACKEND_NAME) = {
    .name = BACKEND_STRING(BACKEND_NAME),
    .crc32c = kernel_crc32c,
    .max_bits = kernel_max_bits,
    .sum_squares = kernel_sum_squares,
    .sum_magnitudes = kernel_sum_magnitudes,
    .sum_products = kernel_sum_products,
    .stats_count = kernel_stats_count,
    .noise = kernel_noise,
    .tie_noise = kernel_tie_noise,
    .flip = kernel_flip,
    .flip_add = kernel_flip_add,
    .hadamard = kernel_hadamard,
    .round_uniform = kernel_round_uniform,
    .round_table = kernel_round_table,
    .values = kernel_values,
    .values_add = kernel_values_add,
    .stream_end = kernel_stream_end,
    .token_values = kernel_token_values,
    .token_values_add = kernel_token_values_add,
    .tokens = kernel_tokens,
    .whole_tokens = kernel_whole_tokens,
    .halves = kernel_halves,
    .mark = kernel_mark,
    .symbols = kernel_symbols,
    .extra_read = kernel_extra_read,
    .extra_write = kernel_extra_write,
    .histogram = kernel_histogram,
    .group_bins = kernel_group_bins,
    .group_histograms = kernel_group_histograms,
    .rans_symbols = kernel_rans_symbols,
    .pack = kernel_pack,
    .unpack = kernel_unpack,
    .largest_zigzag = kernel_largest_zigzag,
    .nonzeros = kernel_nonzeros,
    .keeps_with_zero = kernel_keeps_with_zero,
    .rans_encode = kernel_rans_encode,
    .rans_decode_tables = kernel_rans_tables,
    .rans_decode = kernel_rans_decode,
    .rans_decode_two = kernel_rans_decode_two,
    .prefix_bits = kernel_prefix_bits,
    .prefix_write = kernel_prefix_write,
    .prefix_read = kernel_prefix_read,
    .prefix_read_one = kernel_prefix_read_one,
};
