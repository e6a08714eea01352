// C++17: encodes a tensor on threads of its own, decodes it, and decodes a damaged frame.
#include <atomic>
#include <cstdio>
#include <qsgd.hpp>
#include <thread>
#include <vector>

// A runner: any callable. A thread pool's would hand out the same work.
static void on_threads(std::uint64_t count, const qsgd::Task &task) {
    std::atomic<std::uint64_t> next{0};
    const auto work = [&](std::uint32_t worker) {
        for (std::uint64_t i = next++; i < count; i = next++) task(i, worker);
    };
    std::thread helper(work, 1);
    work(0);
    helper.join();
}

int main() {
    std::vector<float> x(64);
    for (int i = 0; i < 64; i++) x[static_cast<std::size_t>(i)] = float(i * 37 % 101 - 50) / 64;

    qsgd::Params params; // what the codec does: one for many tensors
    params.seed = 42;
    qsgd::EncodeOptions options;
    options.nonce = 7; // never twice with one seed: count tensors, mix in the worker's rank
    options.workers = 2;
    options.runner = on_threads;

    qsgd::Frame frame = qsgd::encode(params, x, options);
    std::printf("frame ");
    for (const unsigned byte : frame) std::printf("%02x", byte);

    qsgd::decode_into(frame, x); // or qsgd::Array<float> y = qsgd::decode<float>(frame)
    std::printf("\ndecoded %.6f %.6f %.6f %.6f\n", x[0], x[1], x[2], x[3]);

    frame[frame.size() - 1] ^= 1;
    try {
        qsgd::decode_into(frame, x);
    } catch (const qsgd::Error &error) {
        std::printf("%s at byte %u: %s\n", error.name(), unsigned(*error.offset()), error.reason());
    }
    return 0;
}
