// qsgd.hpp: encode and decode in all their forms, options, errors, ownership.
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#if __cplusplus >= 202002L
#include <span>
#endif

#include "support.hpp"

using qsgd::Array;
using qsgd::Bytes;
using qsgd::Input;
using qsgd::Output;
using qsgd::Span;

// What converts, and what must not.
static_assert(std::is_convertible_v<std::vector<float> &, Output>);
static_assert(std::is_convertible_v<const std::vector<float> &, Input>);
static_assert(!std::is_convertible_v<const std::vector<float> &, Output>);
static_assert(!std::is_convertible_v<const std::string &, qsgd::MutableBytes>);
static_assert(std::is_convertible_v<std::string_view, Bytes>);
static_assert(!std::is_convertible_v<std::vector<float> &, Bytes>);
static_assert(std::is_convertible_v<Span<float>, Span<const float>>);
static_assert(!std::is_convertible_v<Span<const float>, Span<float>>);
static_assert(!std::is_convertible_v<std::vector<double> &, Span<float>>);
static_assert(qsgd::dtype_of<long>::value == (sizeof(long) == 8 ? QSGD_INT64 : QSGD_INT32));
static_assert(qsgd::dtype_of<unsigned short>::value == QSGD_UINT16);
static_assert(qsgd::dtype_of<unsigned char>::value == QSGD_UINT8);
static_assert(qsgd::dtype_of<bool>::value == QSGD_BOOL);

// Owners move and are never copied.
static_assert(std::is_nothrow_move_constructible_v<qsgd::Frame>);
static_assert(std::is_nothrow_move_assignable_v<qsgd::Frame>);
static_assert(!std::is_copy_constructible_v<qsgd::Frame>);
static_assert(!std::is_copy_assignable_v<qsgd::Frame>);
static_assert(std::is_move_constructible_v<qsgd::Tensor>);
static_assert(std::is_move_constructible_v<qsgd::Result<qsgd::Frame>>);

static void test_defaults_are_those_of_c() {
    qsgd_params c;
    qsgd_params_init(&c);
    const qsgd_params ours = qsgd::Params().c();
    CHECK(std::memcmp(&c, &ours, sizeof c) == 0);

    qsgd_decode_options options;
    qsgd_decode_options_init(&options);
    const qsgd::DecodeOptions defaults;
    const qsgd::detail::DecodeCall call(defaults);
    CHECK(std::memcmp(&options, &call.options, sizeof options) == 0);
    qsgd_encode_options encode;
    qsgd_encode_options_init(&encode);
    const qsgd::EncodeOptions encode_defaults;
    const qsgd::detail::EncodeCall encode_call(qsgd::Params(), encode_defaults, QSGD_FLOAT32);
    CHECK(std::memcmp(&encode, &encode_call.options, sizeof encode) == 0);
}

static void test_params_come_back_from_a_frame() {
    qsgd::Params p;
    p.norm = QSGD_NORM_L2;
    p.levels = QSGD_LEVELS_TABLE;
    p.level_table = {0.25F, 0.5F, 1};
    p.bucket = 64;
    p.rounding = QSGD_ROUND_DITHERED;
    p.code = QSGD_CODE_HUFFMAN;
    p.scale_dtype = QSGD_FLOAT32;
    p.chunk_log2 = 10;
    p.seed = 5;
    const auto frame = qsgd::encode(p, tensor(3000));
    const qsgd::Params known = qsgd::inspect_params(frame);
    CHECK(known.level_table == p.level_table);
    CHECK(known.norm == p.norm && known.levels == p.levels && known.bucket == p.bucket);
    CHECK(known.rounding == p.rounding && known.code == p.code && known.seed == p.seed);
    CHECK(equal(qsgd::encode(known, tensor(3000)), frame));
}

static void test_every_container_is_encoded_alike() {
    const auto x = tensor(64);
    float c_array[64];
    std::array<float, 64> std_array;
    for (std::size_t i = 0; i < 64; i++) c_array[i] = std_array[i] = x[i];
    const auto params = seeded(3);
    const auto frame = qsgd::encode(params, x);
    CHECK(equal(qsgd::encode(params, c_array), frame));
    CHECK(equal(qsgd::encode(params, std_array), frame));
    CHECK(equal(qsgd::encode(params, Span<const float>(x)), frame));
    CHECK(equal(qsgd::encode(params, Input(QSGD_FLOAT32, x.data(), x.size())), frame));
#if __cplusplus >= 202002L
    CHECK(equal(qsgd::encode(params, std::span(x)), frame));
    CHECK(!equal(qsgd::encode(params, x, {.nonce = 1}), frame));
    CHECK(equal(qsgd::encode(qsgd::Params{.seed = 3}, x), frame));
#endif
    const std::vector<float> none;
    CHECK(qsgd::decode<float>(qsgd::encode(params, none)).empty());
}

static void test_decodes_straight_into_memory() {
    const auto x = tensor(200);
    const auto frame = qsgd::encode(seeded(3), x);
    const auto y = qsgd::decode<float>(frame);
    std::vector<float> vector(200, 9);
    float c_array[200] = {};
    std::vector<double> doubles(200);
    qsgd::decode_into(frame, vector);
    qsgd::decode_into(frame, c_array);
    qsgd::decode_into(frame, doubles);
    CHECK(equal(vector, y) && equal(Span<float>(c_array), y) && equal(doubles, y));
    const std::string as_string(frame.begin(), frame.end());
    qsgd::decode_into(as_string, vector);
    CHECK(equal(vector, y));

    std::vector<float> half(100);
    CHECK(thrown_by([&] { qsgd::decode_into(frame, half); }) == QSGD_ERR_LENGTH);
    qsgd::decode_range(frame, 50, half);
    CHECK(equal(half, std::vector<float>(y.begin() + 50, y.begin() + 150)));
    CHECK(thrown_by([&] { qsgd::decode_range(frame, 101, half); }) == QSGD_ERR_RANGE);
    CHECK(thrown_by([&] { qsgd::decode_range(frame, UINT64_MAX, half); }) == QSGD_ERR_RANGE);
}

static void test_types_without_a_name_in_cpp() {
    std::vector<qsgd::bfloat16> x(64);
    for (std::size_t i = 0; i < 64; i++) x[i] = static_cast<qsgd::bfloat16>(0x3F80 + i);
    const auto frame = qsgd::encode(seeded(1), x);
    CHECK(qsgd::inspect(frame).dtype == QSGD_BFLOAT16);
    CHECK(qsgd::decode<qsgd::bfloat16>(frame).size() == 64);

    qsgd::Params raw;
    raw.code = QSGD_CODE_RAW;
    const std::vector<std::uint16_t> words{1, 2, 65535};
    const qsgd::Tensor tensor = qsgd::decode(qsgd::encode(raw, words));
    CHECK(tensor.dtype == QSGD_UINT16 && equal(tensor.as<std::uint16_t>(), words));
    CHECK(tensor.as<float>().empty() && tensor.as<std::int16_t>().empty());
}

static void test_tensors_keep_shape_and_tag() {
    const std::vector<std::uint64_t> shape{4, 5, 6};
    qsgd::EncodeOptions options;
    options.shape = shape;
    options.tag = std::string_view("layer.0");
    options.nonce = 9;
    const auto frame = qsgd::encode(seeded(1), tensor(120), options);
    const qsgd::FrameInfo info = qsgd::inspect(frame);
    CHECK(equal(info.dims(), shape) && info.elements == 120);
    CHECK(info.tag_bytes == 7 && std::memcmp(info.tag, "layer.0", 7) == 0);
    const qsgd::Tensor decoded = qsgd::decode(frame);
    CHECK(decoded.shape == shape);
    CHECK(equal(decoded.as<float>(), qsgd::decode<float>(frame)));

    options.shape = Span<const std::uint64_t>(); // a scalar
    CHECK(qsgd::decode(qsgd::encode(seeded(1), tensor(1), options)).shape.empty());
    CHECK(thrown_by([&] { qsgd::encode(seeded(1), tensor(2), options); }) == QSGD_ERR_SHAPE);
}

static void test_fixed_slots() {
    const auto x = tensor(1000);
    const auto params = seeded(4);
    const auto frame = qsgd::encode(params, x);
    CHECK(qsgd::encode_sizes(params, 1000).dst_bytes > frame.size());
    std::vector<unsigned char> slot(frame.size());
    CHECK(qsgd::encode_into(params, x, slot) == frame.size() && equal(slot, frame));
    char chars[4096];
    CHECK(qsgd::encode_into(params, x, chars) == frame.size());
    const auto less =
        qsgd::try_encode_into(params, x, qsgd::MutableBytes(slot.data(), frame.size() - 1));
    CHECK(!less && less.failure().status() == QSGD_ERR_DST_TOO_SMALL);
}

static void test_sums() {
    const auto x = tensor(500);
    const auto a = qsgd::encode(seeded(1), x), b = qsgd::encode(seeded(2), x);
    const auto ya = qsgd::decode<float>(a), yb = qsgd::decode<float>(b);
    std::vector<float> sum(500, 0), expected(500);
    qsgd::decode_add(a, 0.5F, sum);
    qsgd::decode_add(b, 2, sum);
    for (std::size_t i = 0; i < 500; i++) expected[i] = 0.5F * ya[i] + 2 * yb[i];
    CHECK(equal(sum, expected));
    const qsgd_weighted_frame frames[] = {qsgd::weighted(a, 0.5F), qsgd::weighted(b, 2)};
    std::vector<float> at_once(500, 9);
    qsgd::decode_sum(frames, at_once);
    CHECK(equal(at_once, expected));
    std::vector<double> means(500);
    qsgd::decode_sum(frames, means, {}, 3);
    for (std::size_t i = 0; i < 500; i++) CHECK(means[i] == expected[i] / 3.0F);
    const qsgd_weighted_frame broken[] = {qsgd::weighted(a, 1), qsgd::weighted(Bytes(), 1)};
    const auto status = qsgd::try_decode_sum(broken, at_once);
    CHECK(!status && status.failure().frame() == 1U);
}

static void test_targets_slots_and_reports() {
    const auto x = tensor(20000);
    qsgd::Params params = seeded(1);
    params.target_bits = 2;
    params.slot = true;
    qsgd_encode_report report, next;
    qsgd_encode_report_init(&report);
    qsgd_encode_report_init(&next);
    qsgd::EncodeOptions options;
    options.report = &report;
    const auto frame = qsgd::encode(params, x, options);
    CHECK(report.frame_bytes == frame.size() && report.trials > 0);
    const std::uint64_t slot = qsgd::slot_bytes(params, x.size());
    CHECK(frame.size() <= slot && slot < x.size() / 3);
    std::vector<std::uint8_t> padded(frame.begin(), frame.end());
    padded.resize(slot);
    CHECK(thrown_by([&] { qsgd::decode<float>(padded); }) != QSGD_OK);
    qsgd::DecodeOptions zeros_follow;
    zeros_follow.padded = true;
    CHECK(equal(qsgd::decode<float>(padded, zeros_follow), qsgd::decode<float>(frame)));
    params.slot = false;
    options.report = &next;
    options.last = &report;
    qsgd::encode(params, x, options);
    CHECK(next.trials == 0);
    CHECK(thrown_by([&] { qsgd::slot_bytes(params, 5); }) == QSGD_ERR_COMBINATION);
}

static void test_lengths_of_arrays_are_checked() {
    const auto x = tensor(1024);
    std::vector<float> residual(1024, 0), short_one(1023, 0);
    const std::vector<float> scales{1, 1}, one_scale{1};
    qsgd::EncodeOptions options;
    options.residual = short_one;
    CHECK(thrown_by([&] { qsgd::encode(seeded(1), x, options); }) == QSGD_ERR_LENGTH);
    options.residual = {};
    options.scales = one_scale;
    CHECK(thrown_by([&] { qsgd::encode(seeded(1), x, options); }) == QSGD_ERR_LENGTH);
    options.scales = scales;
    CHECK(!qsgd::encode(seeded(1), x, options).empty());
    options.residual = residual;
    CHECK(thrown_by([&] { qsgd::encode(seeded(1), x, options); }) == QSGD_ERR_COMBINATION);
    options.scales = {};
    const auto frame = qsgd::encode(seeded(1), x, options);
    const auto y = qsgd::decode<float>(frame);
    for (std::size_t i = 0; i < 1024; i++) CHECK(residual[i] == x[i] - y[i]);
}

static void test_decode_options() {
    const auto frame = qsgd::encode(seeded(1), tensor(100));
    qsgd::DecodeOptions options;
    options.max_elements = 99;
    CHECK(thrown_by([&] { qsgd::decode<float>(frame, options); }) == QSGD_ERR_LIMIT);
    options.max_elements = 100;
    options.atomic = true;
    CHECK(thrown_by([&] { qsgd::decode<float>(frame, options); }) == QSGD_OK);
    options.allowed_codes = 1U << QSGD_CODE_HUFFMAN;
    CHECK(thrown_by([&] { qsgd::decode<float>(frame, options); }) == QSGD_ERR_SCHEME);
}

static void test_streams_are_cut_into_frames() {
    const auto frame = qsgd::encode(seeded(1), tensor(100));
    CHECK(qsgd::frame_size(frame, 4096) == frame.size());
    CHECK(qsgd::frame_size(Bytes(frame.data(), 16), 4096) == frame.size());
    const auto status = [&](std::uint64_t bytes, std::uint64_t most) {
        return qsgd::try_frame_size(Bytes(frame.data(), bytes), most).failure().status();
    };
    CHECK(status(15, 4096) == QSGD_ERR_NEED_MORE);
    CHECK(status(16, frame.size() - 1) == QSGD_ERR_LIMIT);
    CHECK(qsgd::decode_sizes(frame).dst_bytes == 400);
    CHECK(qsgd::decode_sizes(frame, QSGD_FLOAT64).dst_bytes == 800);
}

static void test_errors_say_where_and_why() {
    qsgd::Params params;
    params.norm = QSGD_NORM_MAX;
    params.s = 0;
    try {
        qsgd::check(params);
        CHECK(false);
    } catch (const std::runtime_error &error) {
        const auto *ours = dynamic_cast<const qsgd::Error *>(&error);
        CHECK(ours != nullptr && ours->status() == QSGD_ERR_PARAM);
        CHECK(ours != nullptr && std::string_view(ours->parameter()) == "s");
        CHECK(ours != nullptr && !ours->offset() && !ours->element() && !ours->needed());
        CHECK(std::string_view(error.what()) == ours->message());
        CHECK(std::string_view(error.what()).find("32767") != std::string_view::npos);
    }
    std::vector<float> x(1000, 1);
    x[700] = std::numeric_limits<float>::infinity();
    const auto refused = qsgd::try_encode(seeded(1), x);
    CHECK(!refused && refused.failure().element() == 700U && refused.failure().bucket() == 1U);
    CHECK(refused.failure().message().find("(at element 700, bucket 1)") != std::string::npos);
    CHECK(std::string_view(refused.failure().name()) == "QSGD_ERR_NONFINITE");
    CHECK(!refused.failure().thrown());
    CHECK(thrown_by([&] { qsgd::inspect(Bytes()); }) == QSGD_ERR_NEED_MORE);
}

static void test_ownership() {
    const auto x = tensor(2000);
    qsgd::Frame a = qsgd::encode(seeded(1), x);
    const auto *data = a.data();
    const auto size = a.size();
    qsgd::Frame b = std::move(a);
    CHECK(b.data() == data && b.size() == size);
    CHECK(a.data() == nullptr && a.empty()); // NOLINT: moved from, and empty
    a = std::move(b);
    CHECK(a.data() == data && b.empty());
    std::uint8_t *owned = a.release();
    CHECK(owned == data && a.empty());
    std::free(owned);
    CHECK(!Array<double>::make(UINT64_MAX / 2));
    CHECK(Array<float>::make(0)->empty());

    auto result = qsgd::try_decode<float>(qsgd::encode(seeded(1), x));
    CHECK(result && result->size() == 2000);
    const Array<float> taken = *std::move(result);
    CHECK(taken.size() == 2000);
}

static void test_workspaces_are_reused() {
    qsgd::Workspace workspace;
    qsgd::EncodeOptions encode;
    qsgd::DecodeOptions decode;
    encode.workspace = decode.workspace = &workspace;
    const auto x = tensor(5000);
    const auto expected = qsgd::encode(seeded(1), x);
    CHECK(equal(qsgd::encode(seeded(1), x, encode), expected));
    const qsgd_memory first = workspace.c();
    CHECK(first.bytes > 0);
    CHECK(equal(qsgd::encode(seeded(1), x, encode), expected));
    CHECK(workspace.c().data == first.data && workspace.c().bytes == first.bytes);
    CHECK(equal(qsgd::decode<float>(expected, decode), qsgd::decode<float>(expected)));
}

static void test_backends() {
    bool scalar = false;
    for (const auto &backend : qsgd::backends()) {
        if (!backend.available) continue;
        qsgd::set_backend(backend.name);
        CHECK(std::string_view(qsgd::backend()) == backend.name);
        qsgd::selftest();
        scalar = scalar || std::string_view(backend.name) == "scalar";
    }
    CHECK(scalar);
    CHECK(thrown_by([] { qsgd::set_backend("abacus"); }) == QSGD_ERR_BACKEND);
    qsgd::set_backend("auto");
    CHECK(qsgd::version() == qsgd_version());
}

int main() {
    test_defaults_are_those_of_c();
    test_params_come_back_from_a_frame();
    test_every_container_is_encoded_alike();
    test_decodes_straight_into_memory();
    test_types_without_a_name_in_cpp();
    test_tensors_keep_shape_and_tag();
    test_fixed_slots();
    test_sums();
    test_targets_slots_and_reports();
    test_lengths_of_arrays_are_checked();
    test_decode_options();
    test_streams_are_cut_into_frames();
    test_errors_say_where_and_why();
    test_ownership();
    test_workspaces_are_reused();
    test_backends();
    return check_result();
}
