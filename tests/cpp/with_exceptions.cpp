// The half of test_hostile that has exceptions.
#include <string>

#include "support.hpp"

std::string encoded_with_exceptions(const std::vector<float> &x, bool throws);

std::string encoded_with_exceptions(const std::vector<float> &x, bool throws) {
    qsgd::EncodeOptions options;
    qsgd::Params params = seeded(9);
    if (throws) {
        params.chunk_log2 = 10;
        options.runner = [](std::uint64_t, const qsgd::Task &) { throw 1; };
    }
    try {
        const auto frame = qsgd::encode(params, x, options);
        return {frame.begin(), frame.end()};
    } catch (int) {
        return "thrown";
    }
}
