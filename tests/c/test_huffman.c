/* The Huffman code of chunks: code lengths, and tables from another frame (FORMAT.md section 7.5).
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "codes_support.h"
#include "level_sets.h"

#define LONGEST 5000 /* elements of the largest chunk here */

static void test_huffman_weights_are_halved_until_lengths_stay_within_12_bits(void) {
    /* Fibonacci counts make the deepest tree: 16 tokens would need 15 bits, but once halved, 8. */
    enum { LEN = 2583 };
    static int16_t k[LEN];
    size_t len = 0, a = 1, b = 1;
    for (uint32_t t = 0; t < 16; t++) {
        for (size_t i = 0; i < a && len < LEN; i++) k[len++] = (int16_t)levels_unzigzag(t);
        size_t next = a + b;
        a = b;
        b = next;
    }
    struct levels levels;
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 15, 1);
    struct code_chunk chunk = make_chunk(&levels, QSGD_CODE_HUFFMAN, len, len);
    chunk.scratch = &(struct code_scratch){0};
    void *memory = new_scratch(chunk.scratch, len);
    struct code_plan plan;
    code_huffman.plan(&chunk, k, &plan);
    const uint8_t expected[16] = {8, 8, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2};
    CHECK(plan.prefix.token_count == 16 &&
          memcmp(plan.prefix.lengths, expected, sizeof expected) == 0);
    static uint8_t dst[8192];
    static int16_t back[LEN];
    size_t bytes = code_huffman.write(&chunk, k, &plan, dst, sizeof dst);
    CHECK(bytes != SIZE_MAX && decode(&chunk, dst, bytes, back) == QSGD_OK);
    CHECK(memcmp(k, back, len * sizeof *k) == 0);
    free(memory);
}

static void test_a_parsed_plan_that_lacks_a_token_is_not_written(void) {
    struct levels levels;
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 3, 1);
    const int16_t k[] = {0, 1, 0, 1}, other[] = {0, 1, 2, 1};
    struct code_chunk chunk = make_chunk(&levels, QSGD_CODE_HUFFMAN, 4, 4);
    struct code_plan plan;
    uint8_t payload[64], dst[64];
    size_t where;
    code_huffman.plan(&chunk, k, &plan);
    size_t bytes = code_huffman.write(&chunk, k, &plan, payload, sizeof payload);
    CHECK(code_huffman.parse(&chunk, payload, bytes, &plan, &where) == QSGD_OK);
    CHECK(code_huffman.write(&chunk, k, &plan, dst, sizeof dst) == bytes);
    CHECK(code_huffman.write(&chunk, other, &plan, dst, sizeof dst) == SIZE_MAX);
}

int main(void) {
    void *memory = new_scratch(&scratch, LONGEST);
    test_huffman_weights_are_halved_until_lengths_stay_within_12_bits();
    test_a_parsed_plan_that_lacks_a_token_is_not_written();
    free(memory);
    return check_result();
}
