// Built with -fno-exceptions -fno-rtti: results alone. Frames that are wrong in any way, and those
// of tests/golden/bad, give a reason; and a program may have files with and without exceptions.
//
// test_hostile FILE..
#include <cstdio>
#include <qsgd_fit.hpp>
#include <qsgd_stages.hpp>
#include <string>

#include "support.hpp"

#if QSGD_EXCEPTIONS
#error "this is to be built without exceptions"
#endif

// with_exceptions.cpp: encodes, by a runner that throws if it is told to.
std::string encoded_with_exceptions(const std::vector<float> &x, bool throws);

// Refused, with a reason, by whatever reads it.
static void check_refused(qsgd::Bytes frame) {
    const auto decoded = qsgd::try_decode<float>(frame);
    CHECK(!decoded && decoded.failure().status() < 0);
    CHECK(!decoded.failure().message().empty());
    CHECK(!qsgd::try_decode(frame));
    CHECK(!qsgd::try_decode_indices(frame));
}

static void test_golden_bad_frames(int count, char **files) {
    CHECK(count > 0);
    for (int i = 0; i < count; i++) {
        std::vector<unsigned char> frame(1 << 20);
        std::FILE *file = std::fopen(files[i], "rb");
        CHECK(file != nullptr);
        if (file == nullptr) continue;
        frame.resize(std::fread(frame.data(), 1, frame.size(), file));
        std::fclose(file);
        check_refused(frame);
    }
}

static void test_damaged_frames() {
    const auto x = tensor(300);
    auto frame = qsgd::try_encode(seeded(2), x);
    CHECK(static_cast<bool>(frame));
    for (std::size_t i = 0; i < frame->size(); i++) {
        (*frame)[i] = static_cast<std::uint8_t>((*frame)[i] ^ (1U << i % 8));
        check_refused(*frame);
        (*frame)[i] = static_cast<std::uint8_t>((*frame)[i] ^ (1U << i % 8));
        check_refused(qsgd::Bytes(frame->data(), i));
    }
    check_refused(qsgd::Bytes());
    CHECK(static_cast<bool>(qsgd::try_decode<float>(*frame)));
}

static void test_results_alone() {
    const auto x = tensor(300);
    const auto frame = qsgd::try_encode(seeded(2), x);
    std::vector<float> y(300), wrong(299);
    CHECK(static_cast<bool>(qsgd::try_decode_into(*frame, y)));
    const qsgd::Status status = qsgd::try_decode_into(*frame, wrong);
    CHECK(!status && status.failure().status() == QSGD_ERR_LENGTH);
    CHECK(static_cast<bool>(qsgd::try_selftest()));
    qsgd::Params by_magnitude;
    by_magnitude.norm = QSGD_NORM_MAX;
    CHECK(static_cast<bool>(qsgd::Stats::try_make(by_magnitude)));
}

static void test_beside_files_with_exceptions() {
    const auto x = tensor(5000);
    const auto frame = qsgd::try_encode(seeded(9), x);
    const std::string other = encoded_with_exceptions(x, false);
    CHECK(equal(*frame, std::vector<std::uint8_t>(other.begin(), other.end())));
    CHECK(encoded_with_exceptions(x, true) == "thrown");
}

int main(int argc, char **argv) {
    test_golden_bad_frames(argc - 1, argv + 1);
    test_damaged_frames();
    test_results_alone();
    test_beside_files_with_exceptions();
    return check_result();
}
