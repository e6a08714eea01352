// Frames that are given: their headers, and the options of a call that decodes one. Included where
// frames come in: decode.cpp, frames.cpp, indices.cpp.
#pragma once

#include <vector>

#include "core.hpp"

namespace binding {

// A parsed frame, held for the call.
struct Frame {
    Tensor bytes;
    qsgd_frame_info info{};

    explicit Frame(py::handle object, const char *name = "frame")
        : bytes(load_bytes(object, name)) {
        qsgd_frame_info_init(&info);
        Detail detail;
        check(qsgd_inspect(data(), size(), &info, &detail), detail);
    }
    const void *data() const { return bytes.data; }
    uint64_t size() const { return bytes.nbytes(); }

    // Refuses a frame before memory is allocated for it: too many elements for the caller, or more
    // chunks than its bytes can hold (every chunk has 4 bytes of index).
    void check_size(uint64_t max_elements) const {
        if (info.elements > max_elements)
            raise(QSGD_ERR_LIMIT,
                  "the frame has " + std::to_string(info.elements) + " elements; at most " +
                      std::to_string(max_elements) + " are allowed",
                  "max_elements");
        if (info.frame_bytes > size())
            raise(QSGD_ERR_NEED_MORE,
                  "the frame has " + std::to_string(info.frame_bytes) + " bytes, the buffer " +
                      std::to_string(size()),
                  {}, {size()});
        if (info.chunks > size() / 4)
            raise(QSGD_ERR_CHUNK_INDEX, "the frame is too short for its chunks", {},
                  {info.header_bytes});
    }
};

inline uint64_t element_limit(py::handle max_elements) {
    return max_elements.is_none() ? UINT64_MAX : to_u64(max_elements, "max_elements");
}

// The options of one call that decodes, and what it needs.
struct DecodeCall {
    qsgd_decode_options options{};
    qsgd_sizes sizes{};
    RunnerContext runner;
    std::vector<Tensor> blobs; // shared tables
    std::vector<qsgd_bytes> shared_tables;

    DecodeCall() {
        qsgd_decode_options_init(&options);
        qsgd_sizes_init(&sizes);
    }
    DecodeCall(bool atomic, const py::list &given) : DecodeCall() {
        options.flags = atomic ? uint32_t{QSGD_DECODE_ATOMIC} : 0;
        for (const py::handle blob : given) {
            blobs.push_back(load_bytes(blob, "shared_tables"));
            shared_tables.push_back({blobs.back().data, blobs.back().nbytes()});
        }
        options.shared_tables = shared_tables.data();
        options.shared_tables_count = static_cast<uint32_t>(shared_tables.size());
    }
    DecodeCall(const DecodeCall &) = delete;
    DecodeCall &operator=(const DecodeCall &) = delete;

    void ask(const Frame &frame) {
        Detail detail;
        check_frame(qsgd_decode_sizes(frame.data(), frame.size(), &options, &sizes, &detail),
                    detail, frame.info);
    }

    // With as many threads as `chunks`, which the call will decode, are worth.
    void ask(const Frame &frame, py::handle threads, uint64_t chunks) {
        set_runner(options, runner, thread_count(threads, chunks));
        ask(frame);
    }
};

} // namespace binding
