// Runners from any callable: results do not change, and whatever a runner does wrong or throws ends
// the call, never the program.
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "support.hpp"

static qsgd::Params many_chunks() {
    qsgd::Params params = seeded(7);
    params.chunk_log2 = 10;
    return params;
}

static const std::vector<float> x = tensor(40 * 1024);

static qsgd::Result<qsgd::Frame> encode_with(const qsgd::Runner &runner,
                                             std::uint32_t workers = 4) {
    qsgd::EncodeOptions options;
    options.runner = runner;
    options.workers = workers;
    return qsgd::try_encode(many_chunks(), x, options);
}

static void on_threads(std::uint64_t count, const qsgd::Task &task) {
    std::atomic<std::uint64_t> next{0};
    std::vector<std::thread> threads;
    for (std::uint32_t worker = 0; worker < 4; worker++) {
        threads.emplace_back([&, worker] {
            for (std::uint64_t i = next++; i < count; i = next++) task(i, worker);
        });
    }
    for (auto &thread : threads) thread.join();
}

static void test_threads_change_nothing() {
    const auto frame = qsgd::encode(many_chunks(), x);
    CHECK(equal(*encode_with(on_threads), frame));
    qsgd::DecodeOptions options;
    options.runner = on_threads;
    options.workers = 4;
    const auto y = qsgd::decode<float>(frame);
    CHECK(equal(qsgd::decode<float>(frame, options), y));
    std::vector<float> sum(x.size(), 0);
    qsgd::decode_add(frame, 1, sum, options);
    CHECK(equal(sum, y));
}

struct Custom {
    int code;
};

// What is thrown arrives as what it is, from every call that takes a runner.
static void test_exceptions_arrive() {
    const auto frame = qsgd::encode(many_chunks(), x);
    qsgd::DecodeOptions decode;
    qsgd::EncodeOptions encode;
    decode.workers = encode.workers = 4;
    decode.runner = encode.runner = [](std::uint64_t count, const qsgd::Task &task) {
        for (std::uint64_t i = 0; i < count / 2; i++) task(i);
        throw Custom{77};
    };
    std::vector<float> y(x.size());
    int caught = 0;
    const auto expect = [&](auto call) {
        try {
            call();
        } catch (const Custom &custom) {
            caught += custom.code == 77;
        }
    };
    expect([&] { qsgd::encode(many_chunks(), x, encode); });
    expect([&] { qsgd::decode<float>(frame, decode); });
    expect([&] { qsgd::decode(frame, decode); });
    expect([&] { qsgd::decode_into(frame, y, decode); });
    expect([&] { qsgd::decode_add(frame, 1, y, decode); });
    expect([&] { qsgd::decode_range(frame, 0, y, decode); });
    CHECK(caught == 6);

    const auto result = encode_with(
        [](std::uint64_t, const qsgd::Task &) { throw std::runtime_error("the pool is closed"); });
    CHECK(!result && result.failure().status() == QSGD_ERR_RUNNER);
    try {
        std::rethrow_exception(result.failure().thrown());
    } catch (const std::runtime_error &error) {
        CHECK(std::string(error.what()) == "the pool is closed");
    }
    CHECK(equal(*encode_with(on_threads), frame)); // and nothing of it stays
}

// A runner that throws while its threads still run tasks: the call waits for those that are inside,
// and later ones find nothing to do, though buffers are long gone (AddressSanitizer looks on).
static void test_tasks_in_flight_finish() {
    for (int round = 0; round < 20; round++) {
        std::vector<std::thread> threads;
        std::atomic<int> started{0};
        const auto result = encode_with([&](std::uint64_t count, const qsgd::Task &task) {
            for (std::uint32_t worker = 0; worker < 4; worker++) {
                threads.emplace_back([&started, count, task, worker] {
                    for (std::uint64_t i = worker; i < count; i += 4) {
                        task(i, worker);
                        started++;
                    }
                });
            }
            while (started.load() == 0) std::this_thread::yield();
            throw Custom{1};
        });
        CHECK(!result && result.failure().status() == QSGD_ERR_RUNNER);
        for (auto &thread : threads) thread.join();
    }
}

static void test_copies_of_tasks_outlive_the_run() {
    std::vector<qsgd::Task> kept;
    const auto result = encode_with([&](std::uint64_t count, const qsgd::Task &task) {
        for (std::uint64_t i = 0; i < count; i++) task(i);
        kept.push_back(task);
    });
    CHECK(static_cast<bool>(result));
    CHECK(!kept.empty());
    for (const auto &task : kept) task(0);
}

static void test_wrong_runners_are_found_out() {
    using Wrong = void (*)(std::uint64_t, const qsgd::Task &);
    const Wrong all[] = {
        [](std::uint64_t, const qsgd::Task &) {},
        [](std::uint64_t count, const qsgd::Task &task) {
            for (std::uint64_t i = 0; i + 1 < count; i++) task(i);
        },
        [](std::uint64_t count, const qsgd::Task &task) {
            for (std::uint64_t i = 0; i < count; i++) task(i == 1 ? 0 : i);
        },
        [](std::uint64_t count, const qsgd::Task &task) {
            for (std::uint64_t i = 0; i < count; i++) task(i + 1);
        },
        [](std::uint64_t count, const qsgd::Task &task) {
            for (std::uint64_t i = 0; i < count; i++) task(i, 4);
        },
    };
    for (const Wrong wrong : all) {
        const auto result = encode_with(wrong);
        CHECK(!result && result.failure().status() == QSGD_ERR_RUNNER);
        CHECK(!result.failure().thrown());
    }
}

int main() {
    test_threads_change_nothing();
    test_exceptions_arrive();
    test_tasks_in_flight_finish();
    test_copies_of_tasks_outlive_the_run();
    test_wrong_runners_are_found_out();
    return check_result();
}
