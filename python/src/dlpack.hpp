// The part of the DLPack ABI (versions 0.8 and 1.x, github.com/dmlc/dlpack) that reading a CPU
// tensor needs, and an owner of a received capsule. Used by tensors.cpp alone.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <utility>

namespace dlpack {

namespace py = pybind11;

enum Device : int32_t { kCPU = 1, kCUDA = 2, kCUDAHost = 3, kROCM = 10, kCUDAManaged = 13 };
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };

struct Tensor {
    void *data;
    int32_t device_type;
    int32_t device_id;
    int32_t ndim;
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
    int64_t *shape;
    int64_t *strides; // in elements; null: C-contiguous
    uint64_t byte_offset;
};

struct Managed { // capsule "dltensor"
    Tensor tensor;
    void *context;
    void (*deleter)(Managed *);
};

struct ManagedVersioned { // capsule "dltensor_versioned"
    uint32_t major;
    uint32_t minor;
    void *context;
    void (*deleter)(ManagedVersioned *);
    uint64_t flags;
    Tensor tensor;
};

constexpr uint64_t kReadOnly = 1; // bit of ManagedVersioned::flags

// Owns a consumed capsule's tensor until destroyed (under the GIL: the deleter may run Python).
class Owner {
  public:
    Owner() = default;
    Owner(const Owner &) = delete;
    Owner &operator=(const Owner &) = delete;
    Owner(Owner &&other) noexcept { swap(other); }
    Owner &operator=(Owner &&other) noexcept {
        swap(other);
        return *this;
    }
    ~Owner() {
        if (plain_ != nullptr && plain_->deleter != nullptr) plain_->deleter(plain_);
        if (versioned_ != nullptr && versioned_->deleter != nullptr)
            versioned_->deleter(versioned_);
    }

    // Takes the tensor out of a capsule; false if it is none, was used, or is of a later ABI.
    bool take(PyObject *capsule) {
        if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
            auto *managed = static_cast<ManagedVersioned *>(
                PyCapsule_GetPointer(capsule, "dltensor_versioned"));
            if (managed->major != 1) return false; // the capsule's own destructor frees it
            PyCapsule_SetName(capsule, "used_dltensor_versioned");
            versioned_ = managed;
            return true;
        }
        if (PyCapsule_IsValid(capsule, "dltensor")) {
            plain_ = static_cast<Managed *>(PyCapsule_GetPointer(capsule, "dltensor"));
            PyCapsule_SetName(capsule, "used_dltensor");
            return true;
        }
        return false;
    }

    const Tensor &tensor() const { return versioned_ ? versioned_->tensor : plain_->tensor; }

    // Unversioned producers refuse to export read-only memory, so theirs is writable.
    bool writable() const { return !versioned_ || (versioned_->flags & kReadOnly) == 0; }

  private:
    void swap(Owner &other) {
        std::swap(plain_, other.plain_);
        std::swap(versioned_, other.versioned_);
    }

    Managed *plain_ = nullptr;
    ManagedVersioned *versioned_ = nullptr;
};

} // namespace dlpack
