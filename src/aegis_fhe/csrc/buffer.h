// Memory aligned to cache lines, for tables.
#pragma once

#include <memory>

#include "modular.h"

namespace aegis {

class Buffer {
  public:
    explicit Buffer(std::size_t words);
    u64* data() const { return aligned_; }

  private:
    std::unique_ptr<u64[]> memory_;
    u64* aligned_;
};

}  // namespace aegis
