// Decoding: frame -> tensor, part, sum or indices.
#include <algorithm>
#include <memory>

#include "frames.hpp"

namespace binding {

namespace {

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
                  py::object max_elements, bool atomic, py::object threads,
                  py::list shared_tables) {
    const Frame frame(frame_object);
    frame.check_size(element_limit(max_elements));
    Target target(std::move(out), dtype, frame, frame.info.shape, frame.info.ndim,
                  frame.info.elements);
    DecodeCall call(atomic, shared_tables);
    call.options.dtype = target.tensor.dtype;
    call.ask(frame, threads, frame.info.chunks);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(target.tensor.nbytes());
        status = qsgd_decode(frame.data(), frame.size(), &call.options, target.tensor.data,
                             target.tensor.n, workspace.memory(), &detail);
    }
    check_frame(status, detail, frame.info);
    return target.result;
}

py::object decode_range(py::object frame_object, py::object start_object, py::object stop_object,
                        py::object out, py::object dtype, bool atomic, py::object threads,
                        py::list shared_tables) {
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
    DecodeCall call(atomic, shared_tables);
    call.options.dtype = target.tensor.dtype;
    call.ask(frame, threads, length / std::max<uint64_t>(frame.info.chunk_elements, 1) + 1);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(target.tensor.nbytes());
        status = qsgd_decode_range(frame.data(), frame.size(), &call.options, start, stop,
                                   target.tensor.data, workspace.memory(), &detail);
    }
    check_frame(status, detail, frame.info);
    return target.result;
}

void decode_add(py::object frame_object, py::object acc_object, float alpha, bool atomic,
                py::object threads, py::list shared_tables) {
    const Frame frame(frame_object);
    frame.check_size(UINT64_MAX);
    const Tensor acc = load_as(acc_object, "acc", Access::write, QSGD_FLOAT32, frame.info.elements);
    DecodeCall call(atomic, shared_tables);
    call.ask(frame, threads, frame.info.chunks);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(acc.nbytes());
        status =
            qsgd_decode_add(frame.data(), frame.size(), &call.options, alpha,
                            static_cast<float *>(acc.data), acc.n, workspace.memory(), &detail);
    }
    check_frame(status, detail, frame.info);
}

// A mean has a divisor, which is the number of frames, and no alphas.
py::object decode_sum(py::list frame_objects, py::object out, py::object dtype,
                      py::object alphas_object, bool mean, py::object max_elements, bool atomic,
                      py::object threads, py::list shared_tables) {
    const uint64_t limit = element_limit(max_elements);
    std::vector<Frame> frames;
    for (size_t i = 0; i < frame_objects.size(); i++)
        numbered(i, "frame " + std::to_string(i), [&] {
            frames.emplace_back(frame_objects[i], "frames");
            frames.back().check_size(limit);
            const uint64_t own = frames.back().info.elements, wanted = frames[0].info.elements;
            if (own != wanted)
                raise(QSGD_ERR_LENGTH,
                      "has " + std::to_string(own) + " elements, the first one " +
                          std::to_string(wanted),
                      "frames");
        });
    if (frames.empty()) raise(QSGD_ERR_PARAM, "must hold at least one frame", "frames");
    const Frame &first = frames.front();
    const Tensor alphas =
        load_optional(alphas_object, "alphas", Access::read, QSGD_FLOAT32, frames.size());
    if (out.is_none() && dtype.is_none()) dtype = py::str("float32");
    Target target(std::move(out), dtype, first, first.info.shape, first.info.ndim,
                  first.info.elements);
    DecodeCall call(atomic, shared_tables);
    call.options.dtype = target.tensor.dtype;
    set_runner(call.options, call.runner, thread_count(threads, first.info.chunks));
    const auto *alpha = static_cast<const float *>(alphas.data);
    std::vector<qsgd_weighted_frame> weighted;
    for (size_t i = 0; i < frames.size(); i++) {
        const Frame &frame = frames[i];
        weighted.push_back({frame.data(), frame.size(), alpha == nullptr ? 1.0F : alpha[i], 0});
    }
    const auto count = static_cast<uint32_t>(weighted.size());
    const uint64_t n = target.tensor.n;
    Detail detail;
    const auto checked = [&](qsgd_status status) {
        const bool known = detail.frame < frames.size();
        check_frame(status, detail, known ? frames[detail.frame].info : first.info);
    };
    checked(qsgd_decode_sum_sizes(weighted.data(), count, &call.options, n, &call.sizes, &detail));
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(target.tensor.nbytes());
        status = qsgd_decode_sum_to(weighted.data(), count, &call.options,
                                    mean ? static_cast<float>(count) : 1.0F, target.tensor.data, n,
                                    workspace.memory(), &detail);
    }
    checked(status);
    return target.result;
}

// A frame of many, and where it goes. Few chunks are decoded on one thread, others at the same
// time; many on several threads of their own.
struct FrameOfMany {
    Frame frame;
    Target target;
    DecodeCall call;
    qsgd_status status = QSGD_OK;
    Detail detail;

    FrameOfMany(Frame given, py::object out, const py::object &dtype, bool atomic,
                const py::list &tables, py::handle threads)
        : frame(std::move(given)), target(std::move(out), dtype, frame, frame.info.shape,
                                          frame.info.ndim, frame.info.elements),
          call(atomic, tables) {
        call.options.dtype = target.tensor.dtype;
        call.ask(frame, threads, frame.info.chunks);
    }
    bool alone() const { return call.options.workers > 1; }
    void run() {
        const Workspace workspace(call.sizes.workspace_bytes);
        status = qsgd_decode(frame.data(), frame.size(), &call.options, target.tensor.data,
                             target.tensor.n, workspace.memory(), &detail);
    }
};

// tags: what the frames' must be, or None each. All headers are checked before memory is taken, and
// all elements together are at most max_elements.
py::list decode_many(py::list frame_objects, py::list names, py::list tags, py::list outs,
                     py::object dtype, py::object max_elements, bool atomic, py::object threads,
                     py::list shared_tables) {
    std::vector<Frame> frames;
    uint64_t left = element_limit(max_elements);
    for (size_t i = 0; i < frame_objects.size(); i++)
        numbered(i, py::str(names[i]), [&] {
            frames.emplace_back(frame_objects[i], "frame");
            const qsgd_frame_info &info = frames.back().info;
            frames.back().check_size(left);
            left -= info.elements;
            const py::bytes own(static_cast<const char *>(info.tag), info.tag_bytes);
            if (!tags[i].is_none() && !own.equal(tags[i]))
                raise(QSGD_ERR_HEADER, "the frame has another tag than the index says");
        });
    std::vector<std::unique_ptr<FrameOfMany>> all;
    std::vector<FrameOfMany *> small;
    uint64_t bytes = 0;
    for (size_t i = 0; i < frames.size(); i++)
        numbered(i, py::str(names[i]), [&] {
            all.push_back(std::make_unique<FrameOfMany>(std::move(frames[i]), outs[i], dtype,
                                                        atomic, shared_tables, threads));
            bytes += all.back()->target.tensor.nbytes();
            if (!all.back()->alone()) small.push_back(all.back().get());
        });
    Pool &pool = Pool::instance();
    const uint32_t workers = thread_count_of_many(threads, small.size());
    {
        const Unlocked unlocked(bytes);
        auto one = [&](uint64_t i) { small[i]->run(); };
        run_each(pool, small.size(), workers, one);
        for (const auto &item : all)
            if (item->alone()) item->run();
    }
    py::list results;
    for (size_t i = 0; i < all.size(); i++) {
        numbered(i, py::str(names[i]),
                 [&] { check_frame(all[i]->status, all[i]->detail, all[i]->frame.info); });
        results.append(all[i]->target.result);
    }
    return results;
}

py::tuple decode_indices(py::object frame_object, py::object max_elements, py::object threads,
                         py::list shared_tables) {
    const Frame frame(frame_object);
    frame.check_size(element_limit(max_elements));
    py::array indices = new_array(QSGD_INT16, frame.info.shape, frame.info.ndim);
    py::array scales = new_vector(QSGD_FLOAT32, frame.info.buckets);
    py::array damping = new_vector(QSGD_UINT8, frame.info.chunks);
    const qsgd_quantized quantized{
        static_cast<int16_t *>(indices.mutable_data()), static_cast<float *>(scales.mutable_data()),
        static_cast<uint8_t *>(damping.mutable_data()), frame.info.elements};
    DecodeCall call(true, shared_tables);
    call.ask(frame, threads, frame.info.chunks);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(frame.info.elements * 2);
        status = qsgd_decode_indices(frame.data(), frame.size(), &call.options, &quantized,
                                     workspace.memory(), &detail);
    }
    check_frame(status, detail, frame.info);
    return py::make_tuple(indices, scales, damping);
}

} // namespace

void define_decode(py::module_ &module) {
    module.def("decode", &decode);
    module.def("decode_range", &decode_range);
    module.def("decode_add", &decode_add);
    module.def("decode_sum", &decode_sum);
    module.def("decode_many", &decode_many);
    module.def("decode_indices", &decode_indices);
}

} // namespace binding
