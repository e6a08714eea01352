// Decoding: frame -> tensor, sum or indices, and a look at the header.
#include <algorithm>

#include "core.hpp"

namespace binding {

namespace {

// A parsed frame, held for the call.
struct Frame {
    Tensor bytes;
    struct qsgd_frame_info info{};

    explicit Frame(py::handle object, const char *name = "frame")
        : bytes(load_bytes(object, name)) {
        info.struct_size = sizeof info;
        Detail detail;
        check(qsgd_frame_info(data(), size(), &info, &detail), detail);
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
                  {}, size());
        if (info.chunks > size() / 4)
            raise(QSGD_ERR_CHUNK_INDEX, "the frame is too short for its chunks", {},
                  info.header_bytes);
    }
};

uint64_t element_limit(py::handle max_elements) {
    return max_elements.is_none() ? UINT64_MAX : to_u64(max_elements, "max_elements");
}

// Options of one decode call.
struct Options {
    qsgd_decode_options c{};
    RunnerContext runner;
    std::vector<Tensor> tables; // shared ones
    std::vector<const void *> table_data;
    std::vector<uint64_t> table_bytes;

    Options(bool atomic, uint32_t dtype, uint32_t workers, const py::list &blobs) {
        qsgd_decode_options_init(&c);
        for (const py::handle blob : blobs) {
            tables.push_back(load_bytes(blob, "tables"));
            table_data.push_back(tables.back().data);
            table_bytes.push_back(tables.back().nbytes());
        }
        c.tables = table_data.data();
        c.tables_bytes = table_bytes.data();
        c.tables_count = static_cast<uint32_t>(blobs.size());
        c.flags = atomic ? uint32_t{QSGD_DECODE_ATOMIC} : 0;
        c.dtype = dtype;
        set_runner(c, runner, workers);
    }
    Options(const Options &) = delete;
    Options &operator=(const Options &) = delete;

    uint64_t workspace(const Frame &frame) const {
        Detail detail;
        uint64_t bytes = 0;
        check(qsgd_decode_workspace(frame.data(), frame.size(), &c, &bytes, &detail), detail);
        return bytes;
    }
};

// Where a result goes: the caller's `out` (its dtype decides, and must be `dtype` if both are
// given), or a new array of `dtype`, by default the frame's, float32 for bfloat16.
struct Target {
    Tensor tensor;
    py::object result;

    Target(py::object out, py::object dtype, const Frame &frame, const uint64_t *shape,
           uint32_t ndim, uint64_t n) {
        const uint32_t asked = dtype.is_none() ? kUnknownDtype : dtype_number(dtype);
        if (out.is_none()) {
            const uint32_t own =
                frame.info.dtype == QSGD_BFLOAT16 ? uint32_t{QSGD_FLOAT32} : frame.info.dtype;
            result = new_array(asked == kUnknownDtype ? own : asked, shape, ndim);
            tensor = load(result, "out", Access::write);
            return;
        }
        tensor = load(out, "out", Access::write);
        result = std::move(out);
        if (asked != kUnknownDtype && tensor.dtype != asked)
            raise(QSGD_ERR_DTYPE,
                  std::string("is ") + dtype_name(asked) + ", but out is " +
                      dtype_name(tensor.dtype),
                  "dtype");
        if (tensor.n != n)
            raise(QSGD_ERR_LENGTH,
                  "must have " + std::to_string(n) + " elements, has " + std::to_string(tensor.n),
                  "out");
    }
};

py::object decode(py::object frame_object, py::object out, py::object dtype,
                  py::object max_elements, bool atomic, py::object threads, py::list tables) {
    const Frame frame(frame_object);
    frame.check_size(element_limit(max_elements));
    Target target(std::move(out), dtype, frame, frame.info.shape, frame.info.ndim,
                  frame.info.elements);
    const Options options(atomic, target.tensor.dtype, thread_count(threads, frame.info.chunks),
                          tables);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(options.workspace(frame));
        const Unlocked unlocked(target.tensor.nbytes());
        status = qsgd_decode(frame.data(), frame.size(), &options.c, target.tensor.data,
                             target.tensor.n, workspace.data(), workspace.size(), &detail);
    }
    check_frame(status, detail, frame.info);
    return target.result;
}

py::object decode_range(py::object frame_object, py::object start_object, py::object stop_object,
                        py::object out, py::object dtype, bool atomic, py::object threads,
                        py::list tables) {
    const Frame frame(frame_object);
    frame.check_size(UINT64_MAX);
    const uint64_t start = to_u64(start_object, "start");
    const uint64_t stop = to_u64(stop_object, "stop");
    if (start > stop || stop > frame.info.elements)
        raise(QSGD_ERR_RANGE,
              "the range [" + std::to_string(start) + ", " + std::to_string(stop) +
                  ") is not within the tensor's " + std::to_string(frame.info.elements) +
                  " elements",
              start > stop ? "start" : "stop");
    const uint64_t length = stop - start;
    Target target(std::move(out), dtype, frame, &length, 1, length);
    const uint64_t chunks = length / std::max<uint64_t>(frame.info.chunk_elements, 1) + 1;
    const Options options(atomic, target.tensor.dtype, thread_count(threads, chunks), tables);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(options.workspace(frame));
        const Unlocked unlocked(target.tensor.nbytes());
        status = qsgd_decode_range(frame.data(), frame.size(), &options.c, start, stop,
                                   target.tensor.data, workspace.data(), workspace.size(), &detail);
    }
    check_frame(status, detail, frame.info);
    return target.result;
}

void decode_add(py::object frame_object, py::object acc_object, float alpha, bool atomic,
                py::object threads, py::list tables) {
    const Frame frame(frame_object);
    frame.check_size(UINT64_MAX);
    const Tensor acc = load_as(acc_object, "acc", Access::write, QSGD_FLOAT32, frame.info.elements);
    const Options options(atomic, QSGD_FLOAT32, thread_count(threads, frame.info.chunks), tables);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(options.workspace(frame));
        const Unlocked unlocked(acc.nbytes());
        status = qsgd_decode_add(frame.data(), frame.size(), &options.c, alpha,
                                 static_cast<float *>(acc.data), acc.n, workspace.data(),
                                 workspace.size(), &detail);
    }
    check_frame(status, detail, frame.info);
}

// Frames of a sum; an error starts with the number of the frame at fault.
std::vector<Frame> open_frames(const py::list &objects, uint64_t max_elements) {
    std::vector<Frame> frames;
    for (size_t number = 0; number < objects.size(); number++) {
        try {
            frames.emplace_back(objects[number], "frames");
            frames.back().check_size(max_elements);
        } catch (py::error_already_set &error) {
            const std::string text = py::str(error.value());
            error.value().attr("args") =
                py::make_tuple("frame " + std::to_string(number) + ": " + text);
            throw;
        }
    }
    if (frames.empty()) raise(QSGD_ERR_PARAM, "must hold at least one frame", "frames");
    return frames;
}

py::object decode_sum(py::list frame_objects, py::object out, py::object alphas_object,
                      py::object max_elements, bool atomic, py::object threads, py::list tables) {
    const std::vector<Frame> frames = open_frames(frame_objects, element_limit(max_elements));
    const Frame &first = frames.front();
    const Tensor alphas = alphas_object.is_none() ? Tensor{}
                                                  : load_as(alphas_object, "alphas", Access::read,
                                                            QSGD_FLOAT32, frames.size());
    Target target(std::move(out), py::str("float32"), first, first.info.shape, first.info.ndim,
                  first.info.elements);
    const Options options(atomic, QSGD_FLOAT32, thread_count(threads, first.info.chunks), tables);
    std::vector<const void *> data;
    std::vector<uint64_t> sizes;
    uint64_t scratch = 0;
    for (const Frame &frame : frames) {
        data.push_back(frame.data());
        sizes.push_back(frame.size());
        scratch = std::max(scratch, options.workspace(frame));
    }
    Detail detail;
    uint32_t bad = 0;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(scratch);
        const Unlocked unlocked(target.tensor.nbytes());
        status = qsgd_decode_sum(
            data.data(), sizes.data(), static_cast<uint32_t>(frames.size()),
            alphas_object.is_none() ? nullptr : static_cast<const float *>(alphas.data), &options.c,
            static_cast<float *>(target.tensor.data), target.tensor.n, workspace.data(),
            workspace.size(), &bad, &detail);
    }
    if (status != QSGD_OK)
        raise(status, "frame " + std::to_string(bad) + ": " + detail.reason,
              python_name(detail.parameter), detail.offset, detail.element, detail.bucket,
              status == QSGD_ERR_TABLES ? named_tables(frames[bad].info) : std::string());
    return target.result;
}

py::tuple decode_indices(py::object frame_object, py::object max_elements, py::object threads,
                         py::list tables) {
    const Frame frame(frame_object);
    frame.check_size(element_limit(max_elements));
    py::array indices = new_array(QSGD_INT16, frame.info.shape, frame.info.ndim);
    py::array scales = new_array(QSGD_FLOAT32, &frame.info.buckets, 1);
    py::array alphas = new_array(QSGD_UINT8, &frame.info.chunks, 1);
    const Options options(true, kUnknownDtype, thread_count(threads, frame.info.chunks), tables);
    auto *to_indices = static_cast<int16_t *>(indices.mutable_data());
    auto *to_scales = static_cast<float *>(scales.mutable_data());
    auto *to_alphas = static_cast<uint8_t *>(alphas.mutable_data());
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(options.workspace(frame));
        const Unlocked unlocked(frame.info.elements * 2);
        status = qsgd_decode_indices(frame.data(), frame.size(), &options.c, to_indices, to_scales,
                                     to_alphas, frame.info.elements, workspace.data(),
                                     workspace.size(), &detail);
    }
    check_frame(status, detail, frame.info);
    return py::make_tuple(indices, scales, alphas);
}

py::dict frame_info(py::object frame_object) {
    const Frame frame(frame_object);
    const struct qsgd_frame_info &info = frame.info;
    const qsgd_params &params = info.params;
    py::dict result;
    py::tuple shape(info.ndim);
    for (uint32_t i = 0; i < info.ndim; i++) shape[i] = info.shape[i];
    result["version"] = info.version;
    result["dtype"] = dtype_name(info.dtype);
    result["shape"] = shape;
    result["elements"] = info.elements;
    result["nbytes"] = info.frame_bytes;
    result["header_bytes"] = info.header_bytes;
    result["buckets"] = info.buckets;
    result["chunks"] = info.chunks;
    result["chunk_elements"] = info.chunk_elements;
    result["summands"] = info.summands;
    result["has_noise_key"] = info.has_noise_key != 0;
    result["rotation"] = info.params.rotation != 0;
    result["nonce"] = info.nonce;
    result["tag"] = py::bytes(static_cast<const char *>(info.tag), info.tag_bytes);
    result["table"] = py::bytes(static_cast<const char *>(info.table),
                                info.table == nullptr ? 0 : size_t{4} * params.table_len);
    result["norm"] = params.norm;
    result["levels"] = params.levels;
    result["s"] = params.s;
    result["step"] = params.step;
    result["zero"] = params.zero != 0;
    result["bucket"] = params.bucket;
    result["rounding"] = params.rounding;
    result["code"] = params.code;
    result["scale"] = params.scale;
    result["checksum"] = params.checksum != 0;
    result["chunk_log2"] = params.chunk_log2;
    result["seed"] = params.seed;
    const std::string tables = named_tables(info);
    result["tables"] = tables.empty() ? py::object(py::none()) : py::object(py::str(tables));
    return result;
}

// Bytes of the frame at `start` of a buffer, checked to be there; offsets count from the buffer.
uint64_t frame_size(py::object buffer, uint64_t start) {
    const Tensor bytes = load_bytes(buffer, "buffer");
    const uint64_t left = bytes.nbytes() - std::min(start, bytes.nbytes());
    Detail detail;
    uint64_t size = 0;
    const qsgd_status status =
        qsgd_frame_size(static_cast<const char *>(bytes.data) + start, left, &size, &detail);
    if (status != QSGD_OK)
        raise(status, detail.reason, {}, detail.offset == kNone ? start : start + detail.offset);
    if (size > left)
        raise(QSGD_ERR_NEED_MORE,
              "the last frame has " + std::to_string(size) + " bytes, " + std::to_string(left) +
                  " are left",
              {}, start);
    return size;
}

} // namespace

void define_decode(py::module_ &module) {
    module.def("decode", &decode);
    module.def("decode_range", &decode_range);
    module.def("decode_add", &decode_add);
    module.def("decode_sum", &decode_sum);
    module.def("decode_indices", &decode_indices);
    module.def("frame_info", &frame_info);
    module.def("frame_size", &frame_size);
}

} // namespace binding
