// Indices and scales to a frame: the second half of encode.
#include <algorithm>
#include <cstring>

#include "core.hpp"

namespace binding {

namespace {

// What decides a frame's bytes beside its indices: this codec and call, or an existing frame.
struct Recipe {
    qsgd_params params{};
    std::vector<float> table;
    Tensor like;
    struct qsgd_frame_info info{};
    const Params &own;

    Recipe(const Params &codec, py::handle like_object) : params(codec.c), own(codec) {
        if (like_object.is_none()) return;
        like = load_bytes(like_object, "like");
        info.struct_size = sizeof info;
        Detail detail;
        check(qsgd_frame_info(like.data, like.nbytes(), &info, &detail), detail);
        params = info.params;
        if (info.table == nullptr) return;
        table.resize(params.table_len);
        const auto *bytes = static_cast<const unsigned char *>(info.table);
        for (size_t i = 0; i < table.size(); i++) {
            const uint32_t bits = static_cast<uint32_t>(bytes[4 * i]) |
                                  static_cast<uint32_t>(bytes[4 * i + 1]) << 8 |
                                  static_cast<uint32_t>(bytes[4 * i + 2]) << 16 |
                                  static_cast<uint32_t>(bytes[4 * i + 3]) << 24;
            std::memcpy(&table[i], &bits, sizeof bits);
        }
        params.table = table.data();
    }

    bool has_like() const { return like.data != nullptr; }

    // The parameters with this codec's tables, which `like` may name, or be of another code.
    qsgd_params with_tables() const {
        qsgd_params result = params;
        result.tables = own.c.tables;
        result.tables_bytes = own.c.tables_bytes;
        return result;
    }

    // `like` is parsed as a decoder does, with a decoder's scratch.
    uint64_t workspace() const {
        Detail detail;
        uint64_t bytes = 0;
        check(qsgd_decode_workspace(like.data, like.nbytes(), nullptr, &bytes, &detail), detail);
        return bytes;
    }
};

// Indices, scales and alphas of a tensor of n elements (kNone: any number).
struct Parts {
    Tensor indices;
    Tensor scales;
    Tensor alphas;

    Parts(const qsgd_params &params, const py::tuple &objects, uint64_t n)
        : indices(load_as(objects[0], "idx", Access::read, QSGD_INT16, n)),
          scales(load_as(objects[1], "scales", Access::read, QSGD_FLOAT32,
                         qsgd_bucket_count(&params, indices.n))),
          alphas(load_optional(objects[2], "alphas", Access::read, QSGD_UINT8,
                               qsgd_chunk_count(&params, indices.n))) {}
};

// Runs qsgd_encode_indices with the thread's scratch; returns the frame's bytes.
uint64_t run_encode_indices(const Recipe &recipe, const qsgd_encode_options &options,
                            const Parts &parts, NewBytes &frame, uint64_t bound) {
    const qsgd_params params = recipe.with_tables();
    const uint64_t n = parts.indices.n;
    uint64_t scratch = qsgd_encode_workspace(&recipe.params, &options, n);
    if (recipe.has_like()) scratch = std::max(scratch, recipe.workspace());
    uint64_t size = 0;
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(scratch);
        const Unlocked unlocked(parts.indices.nbytes());
        status = qsgd_encode_indices(
            &params, &options, recipe.like.data, recipe.has_like() ? recipe.like.nbytes() : 0,
            static_cast<const int16_t *>(parts.indices.data),
            static_cast<const float *>(parts.scales.data),
            static_cast<const uint8_t *>(parts.alphas.data), n, frame.data(), bound,
            workspace.data(), workspace.size(), &size, &detail);
    }
    check_frame(status, detail, recipe.info);
    return size;
}

// `objects` are indices, scales and alphas or None, as decode_indices gives them.
py::bytes encode_indices(const Params &own, py::tuple objects, py::object nonce, py::object dtype,
                         py::object tag_object, py::object like, py::object threads) {
    const Recipe recipe(own, like);
    const Parts parts(recipe.params, objects, recipe.has_like() ? recipe.info.elements : kNone);
    const Tensor tag = load_bytes(tag_object, "tag");

    qsgd_encode_options options;
    qsgd_encode_options_init(&options);
    RunnerContext runner;
    options.dtype = recipe.has_like() ? recipe.info.dtype : dtype_number(dtype);
    options.ndim = recipe.has_like() ? recipe.info.ndim : parts.indices.ndim;
    options.shape = recipe.has_like() ? recipe.info.shape : parts.indices.shape.data();
    options.nonce = nonce.is_none() ? 0 : to_u64(nonce, "nonce");
    options.tag = tag.nbytes() != 0 ? tag.data : nullptr;
    options.tag_bytes = tag.nbytes();
    const uint64_t chunks = qsgd_chunk_count(&recipe.params, parts.indices.n);
    set_runner(options, runner, thread_count(threads, chunks));
    const uint64_t bound = recipe.has_like()
                               ? recipe.like.nbytes()
                               : qsgd_encode_bound(&recipe.params, &options, parts.indices.n);
    NewBytes frame(bound);
    return frame.cut(run_encode_indices(recipe, options, parts, frame, bound));
}

} // namespace

void define_indices(py::class_<Params> &params) { params.def("encode_indices", &encode_indices); }

} // namespace binding
