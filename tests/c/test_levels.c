/* Sets of levels: ranges, gaps, values and ranks (FORMAT.md sections 7.1 and 8.3). */
#include "check.h"
#include "level_sets.h"

static void test_level_ranges_ranks_and_gaps_follow_the_table_in_section_5(void) {
    struct levels levels;
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 7, 1);
    CHECK(levels.kmin == -7 && levels.kmax == 7 && levels.largest == 7 && levels.idle == 0);
    CHECK(levels_ranks(&levels) == 15 && levels.gap == 1.0F / 7.0F);
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 7, 0);
    CHECK(levels_ranks(&levels) == 14 && levels.gap == 2.0F / 13.0F && levels.idle == 1);
    CHECK(!levels_has(&levels, 0) && levels_has(&levels, -7) && !levels_has(&levels, 8));
    build_levels(&levels, QSGD_LEVELS_EXPONENTIAL, 127, 1);
    CHECK(levels.value[0] == 0 && levels.value[1] == 0x1p-126F && levels.value[127] == 1);
    CHECK(levels.gap == 1.0F / 127.0F && levels.kmax == 127);
    build_levels(&levels, QSGD_LEVELS_SIGNED, 8, 0);
    CHECK(levels.kmin == -4 && levels.kmax == 3 && levels.largest == 4 && levels.zero);
    CHECK(levels.value[0] == -1 && levels.value[7] == 1 && levels.gap == 2.0F / 7.0F);
    CHECK(levels_ranks(&levels) == 8);
    build_levels(&levels, QSGD_LEVELS_TABLE, 4, 1);
    CHECK(levels.value[0] == 0 && levels.value[1] == 0.25F && levels.value[4] == 1);
    build_levels(&levels, QSGD_LEVELS_OPEN, 0, 1);
    CHECK(levels.kmin == -32767 && levels.kmax == 32767 && levels.gap == 0.25F);
    CHECK(levels_ranks(&levels) == 65535);
}

static void test_ranks_of_all_levels_are_distinct_and_invertible(void) {
    for (size_t set = 0; set < LEVEL_SETS; set++) {
        struct levels levels;
        build_levels(&levels, level_sets[set].kind, level_sets[set].count, level_sets[set].zero);
        bool good = true;
        for (uint32_t rank = 0; rank < levels_ranks(&levels); rank++) {
            int32_t k = levels_unrank(&levels, rank);
            good &= levels_has(&levels, k) && levels_rank(&levels, k) == rank;
        }
        CHECK(good);
    }
}

int main(void) {
    test_level_ranges_ranks_and_gaps_follow_the_table_in_section_5();
    test_ranks_of_all_levels_are_distinct_and_invertible();
    return check_result();
}
