// qsgd_types.hpp: what the calls of qsgd.hpp take and give: element types, views, owned arrays,
// errors and results. Included by qsgd.hpp.
#ifndef QSGD_TYPES_HPP
#define QSGD_TYPES_HPP

#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "qsgd.h"

// Files with and without exceptions may be linked into one program: their inline functions differ,
// and so do the names.
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define QSGD_EXCEPTIONS 1
#define QSGD_INLINE_NAMESPACE with_exceptions
#else
#define QSGD_EXCEPTIONS 0
#define QSGD_INLINE_NAMESPACE without_exceptions
#endif

namespace qsgd {
inline namespace QSGD_INLINE_NAMESPACE {

// ---- element types ------------------------------------------------------------------------------

// 16-bit floats as they lie in memory. Types of one's own join by a dtype_of: at::BFloat16, say.
enum class float16 : std::uint16_t {};
enum class bfloat16 : std::uint16_t {};

template <qsgd_dtype number> using dtype_constant = std::integral_constant<qsgd_dtype, number>;

template <typename T, typename = void> struct dtype_of {};
template <> struct dtype_of<float> : dtype_constant<QSGD_FLOAT32> {};
template <> struct dtype_of<double> : dtype_constant<QSGD_FLOAT64> {};
template <> struct dtype_of<float16> : dtype_constant<QSGD_FLOAT16> {};
template <> struct dtype_of<bfloat16> : dtype_constant<QSGD_BFLOAT16> {};
template <> struct dtype_of<bool> : dtype_constant<QSGD_BOOL> {};
template <> struct dtype_of<std::complex<float>> : dtype_constant<QSGD_COMPLEX64> {};
template <> struct dtype_of<std::complex<double>> : dtype_constant<QSGD_COMPLEX128> {};
template <typename T>
struct dtype_of<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>>
    : dtype_constant<sizeof(T) == 1   ? (std::is_signed_v<T> ? QSGD_INT8 : QSGD_UINT8)
                     : sizeof(T) == 2 ? (std::is_signed_v<T> ? QSGD_INT16 : QSGD_UINT16)
                     : sizeof(T) == 4 ? (std::is_signed_v<T> ? QSGD_INT32 : QSGD_UINT32)
                                      : (std::is_signed_v<T> ? QSGD_INT64 : QSGD_UINT64)> {};

// ---- views: never owners; what they show must outlive the call
// -----------------------------------

namespace detail {
template <typename C>
using element_of = std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;
template <typename C> using size_of = decltype(std::size(std::declval<C &>()));

template <typename View, typename C>
constexpr bool is_other = !std::is_same_v<View, std::remove_cv_t<std::remove_reference_t<C>>>;
// As std::span: no conversion but to const.
template <typename From, typename To>
constexpr bool converts = std::is_convertible_v<From (*)[], To (*)[]>;
template <typename From, typename Void>
constexpr bool is_writable = std::is_const_v<Void> || !std::is_const_v<From>;
} // namespace detail

// Elements of one type: any contiguous container, C array, std::span.
template <typename T> class Span {
  public:
    constexpr Span() = default;
    constexpr Span(T *data, std::size_t size) : data_(data), size_(size) {}
    template <typename C, typename = detail::size_of<C>,
              typename = std::enable_if_t<detail::is_other<Span, C> &&
                                          detail::converts<detail::element_of<C>, T>>>
    constexpr Span(C &&container) : data_(std::data(container)), size_(std::size(container)) {}

    constexpr T *data() const { return data_; }
    constexpr std::size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    constexpr T *begin() const { return data_; }
    constexpr T *end() const { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const { return data_[i]; }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// Bytes, from containers whose elements take one. String literals, which end with a byte that
// nobody means, have to be std::string_views.
template <typename Void> class BasicBytes {
  public:
    constexpr BasicBytes() = default;
    constexpr BasicBytes(Void *data, std::uint64_t size) : data_(data), size_(size) {}
    template <typename C, typename E = detail::element_of<C>, typename = detail::size_of<C>,
              typename = std::enable_if_t<detail::is_other<BasicBytes, C> && sizeof(E) == 1 &&
                                          detail::is_writable<E, Void>>>
    constexpr BasicBytes(C &&container) : data_(std::data(container)), size_(std::size(container)) {
        static_assert(
            !(std::is_array_v<std::remove_reference_t<C>> && std::is_same_v<E, const char>),
            "a string literal: make it a std::string_view");
    }

    constexpr Void *data() const { return data_; }
    constexpr std::uint64_t size() const { return size_; }
    constexpr operator std::conditional_t<std::is_const_v<Void>, qsgd_bytes, qsgd_memory>() const {
        return {data_, size_};
    }

  private:
    Void *data_ = nullptr;
    std::uint64_t size_ = 0;
};
using Bytes = BasicBytes<const void>;
using MutableBytes = BasicBytes<void>;

// A tensor's elements and their type.
template <typename Void> class BasicElements {
  public:
    constexpr BasicElements(qsgd_dtype dtype, Void *data, std::uint64_t size)
        : dtype_(dtype), data_(data), size_(size) {}
    template <typename C, typename E = detail::element_of<C>, typename = detail::size_of<C>,
              typename = std::enable_if_t<detail::is_other<BasicElements, C> &&
                                          detail::is_writable<E, Void>>>
    constexpr BasicElements(C &&container)
        : dtype_(dtype_of<std::remove_cv_t<E>>::value), data_(std::data(container)),
          size_(std::size(container)) {}

    constexpr qsgd_dtype dtype() const { return dtype_; }
    constexpr Void *data() const { return data_; }
    constexpr std::uint64_t size() const { return size_; }

  private:
    qsgd_dtype dtype_;
    Void *data_;
    std::uint64_t size_;
};
using Input = BasicElements<const void>;
using Output = BasicElements<void>;

// ---- memory -------------------------------------------------------------------------------------

// Elements on the heap that nobody has to write twice: unlike std::vector's they start as whatever
// is there.
template <typename T> class Array {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= alignof(std::max_align_t));

  public:
    Array() = default;
    // nullopt if there is no memory.
    static std::optional<Array> make(std::uint64_t size) {
        Array array;
        if (size > PTRDIFF_MAX / sizeof(T)) return std::nullopt;
        array.size_ = static_cast<std::size_t>(size);
        array.data_.reset(static_cast<T *>(std::malloc(size == 0 ? 1 : array.size_ * sizeof(T))));
        if (!array.data_) return std::nullopt;
        return array;
    }
    Array(Array &&other) noexcept
        : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    Array &operator=(Array &&other) noexcept {
        data_ = std::move(other.data_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    // Gives back what is past `size` elements, if there are more.
    void shrink(std::uint64_t size) {
        if (size >= size_) return;
        size_ = static_cast<std::size_t>(size);
        if (void *less = std::realloc(data_.get(), size_ == 0 ? 1 : size_ * sizeof(T))) {
            static_cast<void>(data_.release());
            data_.reset(static_cast<T *>(less));
        }
    }
    // The memory, which std::free takes.
    T *release() {
        size_ = 0;
        return data_.release();
    }

    T *data() { return data_.get(); }
    const T *data() const { return data_.get(); }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T *begin() { return data(); }
    T *end() { return data() + size_; }
    const T *begin() const { return data(); }
    const T *end() const { return data() + size_; }
    T &operator[](std::size_t i) { return data()[i]; }
    const T &operator[](std::size_t i) const { return data()[i]; }

  private:
    struct Free {
        void operator()(T *data) const { std::free(data); }
    };
    std::unique_ptr<T, Free> data_;
    std::size_t size_ = 0;
};

// ---- errors -------------------------------------------------------------------------------------

namespace detail {
struct NewError : qsgd_error {
    NewError() { qsgd_error_init(static_cast<qsgd_error *>(this)); }
};
} // namespace detail

// Why a call failed: qsgd_error, with what does not apply left out.
class Failure {
  public:
    Failure() = default;
    explicit Failure(const detail::NewError &error, std::exception_ptr thrown = nullptr)
        : error_(error), thrown_(std::move(thrown)) {}
    // One that is found before the C library is asked.
    Failure(qsgd_status status, const char *parameter, const char *reason) : Failure() {
        error_.status = status;
        error_.parameter = parameter;
        error_.reason = reason;
    }

    qsgd_status status() const { return error_.status; }
    const char *name() const { return qsgd_status_name(error_.status); }
    const char *reason() const { return error_.reason; }
    const char *parameter() const { return error_.parameter; } // nullptr: none
    std::optional<std::uint64_t> offset() const { return known(error_.offset); }
    std::optional<std::uint64_t> element() const { return known(error_.element); }
    std::optional<std::uint64_t> bucket() const { return known(error_.bucket); }
    std::optional<std::uint64_t> frame() const { return known(error_.frame); }
    std::optional<std::uint64_t> needed() const { return known(error_.needed); }
    // What the caller's runner threw, if that is why.
    std::exception_ptr thrown() const { return thrown_; }

    // One line: parameter, reason, place.
    std::string message() const {
        std::string text = error_.reason;
        if (error_.parameter != nullptr && text.find(error_.parameter) == std::string::npos)
            text = std::string(error_.parameter) + ": " + text;
        const char *mark = " (at ";
        const auto place = [&](const char *label, std::uint64_t value) {
            if (value == UINT64_MAX) return;
            text += mark + (label + std::to_string(value));
            mark = ", ";
        };
        place("byte ", error_.offset);
        place("element ", error_.element);
        place("bucket ", error_.bucket);
        place("frame ", error_.frame);
        return *mark == ',' ? text + ")" : text;
    }

  private:
    static std::optional<std::uint64_t> known(std::uint64_t value) {
        return value == UINT64_MAX ? std::nullopt : std::optional<std::uint64_t>(value);
    }
    detail::NewError error_;
    std::exception_ptr thrown_;
};

#if QSGD_EXCEPTIONS
class Error : public std::runtime_error, public Failure {
  public:
    explicit Error(Failure failure)
        : std::runtime_error(failure.message()), Failure(std::move(failure)) {}
};
#endif

struct Nothing {};

// A value, or why there is none.
template <typename T = Nothing> class [[nodiscard]] Result {
  public:
    Result(T value) : value_(std::move(value)) {}
    Result(Failure failure) : failure_(std::move(failure)) {}

    explicit operator bool() const { return value_.has_value(); }
    // Only if there is one.
    T &operator*() & { return *value_; }
    const T &operator*() const & { return *value_; }
    T &&operator*() && { return *std::move(value_); }
    T *operator->() { return &*value_; }
    const T *operator->() const { return &*value_; }
    // Only if there is no value.
    const Failure &failure() const { return failure_; }

#if QSGD_EXCEPTIONS
    // The value; throws Error, or again what a runner threw.
    T value() && {
        if (value_) return *std::move(value_);
        if (failure_.thrown()) std::rethrow_exception(failure_.thrown());
        throw Error(std::move(failure_));
    }
#endif

  private:
    std::optional<T> value_;
    Failure failure_;
};
using Status = Result<>;

} // namespace QSGD_INLINE_NAMESPACE
} // namespace qsgd

#endif // QSGD_TYPES_HPP
