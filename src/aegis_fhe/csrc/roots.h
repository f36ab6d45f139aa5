// Roots of unity in double precision, each coordinate the nearest double of a value with over 95 correct bits.
#pragma once

#include <cstddef>
#include <vector>

namespace aegis {

// Two doubles whose sum is the number: |low| <= ulp(high) / 2.
struct DoubleDouble {
    double high, low;
};

struct Root {
    double re, im;
};

// exp(2 pi i k / 2^log_order) for every k, from the first octant. Made of IEEE operations alone, no library function
// but the square root and fma: the same bits on every machine.
class RootsOfUnity {
  public:
    explicit RootsOfUnity(int log_order);
    Root operator()(std::size_t k) const;

  private:
    std::size_t order_;
    std::vector<Root> octant_;  // k <= order / 8
};

}  // namespace aegis
