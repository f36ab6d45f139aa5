// Addresses and words on their way into a job.
#pragma once

#include <algorithm>
#include <vector>

#include "arena.h"
#include "device/geometry.h"
#include "device/launcher.h"

namespace aegis {
namespace device {

inline const u64* words(const i64* x) { return reinterpret_cast<const u64*>(x); }
inline u64* words(i64* x) { return reinterpret_cast<u64*>(x); }

// `step` words apart. What is only read is not written to: jobs have one kind of place.
inline Places places(const u64* first, std::size_t step) { return {const_cast<u64*>(first), step, 0, {}}; }

// `count` of them from `begin` on, each by itself; kMaxOuts at most.
template <class T>
Places places(const std::vector<T*>& pointers, std::size_t begin, std::size_t count) {
    Places result{nullptr, 0, static_cast<unsigned>(count), {}};
    for (std::size_t i = 0; i < count; ++i) result.own[i] = const_cast<u64*>(words(pointers[begin + i]));
    return result;
}

template <class T>
void append(std::vector<u64>& to, const std::vector<T*>& pointers) {
    for (T* pointer : pointers) to.push_back(reinterpret_cast<u64>(pointer));
}

// Words that a job has no room for: in scratch, written by launches. Must live until the job is launched.
class DeviceTable {
  public:
    DeviceTable(Launcher& launcher, Memory& memory, const std::vector<u64>& values) {
        if (values.empty()) return;
        scratch_ = std::make_unique<Scratch>(memory, values.size());
        for (std::size_t at = 0; at < values.size(); at += kMaxPointers) {
            TableJob job{};
            job.to = scratch_->data() + at;
            job.count = std::min(values.size() - at, kMaxPointers);
            std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(at), job.count, job.words);
            launcher.run(Kernel::table, {1, 1, kThreads, 0}, job);
        }
    }
    const u64* data() const { return scratch_ ? scratch_->data() : nullptr; }

  private:
    std::unique_ptr<Scratch> scratch_;
};

// Pointers in the job where they fit, else in a table.
struct JobPointers {
    Pointers pointers{};
    std::unique_ptr<DeviceTable> table;

    JobPointers(Launcher& launcher, Memory& memory, const std::vector<u64>& values) {
        if (values.size() <= kMaxPointers) {
            std::copy(values.begin(), values.end(), pointers.near);
        } else {
            table = std::make_unique<DeviceTable>(launcher, memory, values);
            pointers.far = table->data();
        }
    }
};

}  // namespace device
}  // namespace aegis
