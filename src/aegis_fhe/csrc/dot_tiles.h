// Products of two matrices of rows, entry by entry, over a policy S of sums: out[r][s] = sum_i x[r][i] y[i][s]. Sums of
// a tile stay in registers, so that a row is read once for all that it meets there. Included by the path files only.
//
// S: kLanes; kDotRows, of a tile of two columns; kTerms, the most products of a sum; Value; Sum with add_product;
// sum(terms); load, store and join (x + y, both reduced) of residues; reduce.
#pragma once

#include "kernels.h"

namespace aegis {
namespace {

template <class S>
class DotTiles {
    using Value = typename S::Value;
    using Sum = typename S::Sum;
    static constexpr std::size_t kLanes = S::kLanes, kColumns = 2;
    static constexpr std::size_t kAhead = 128;  // entries: rows lie far apart, each one's next lines are fetched in time

  public:
    static void run(const Limb& limb, const DotJob& job) {
        for (std::size_t first = 0; first < job.terms; first += S::kTerms) {
            std::size_t terms = job.terms - first < S::kTerms ? job.terms - first : S::kTerms;
            DotTiles(limb, job, first, terms).part();
        }
    }

  private:
    const DotJob& job_;
    const S sums_;
    const std::size_t first_, terms_;

    DotTiles(const Limb& limb, const DotJob& job, std::size_t first, std::size_t terms)
        : job_(job), sums_(limb.m, terms), first_(first), terms_(terms) {}

    void part() const {
        std::size_t r = 0;
        for (; r + S::kDotRows <= job_.rows; r += S::kDotRows) row_of_tiles<S::kDotRows>(r);
        if constexpr (S::kDotRows > 2)
            for (; r + 2 <= job_.rows; r += 2) row_of_tiles<2>(r);
        for (; r < job_.rows; ++r) row_of_tiles<1>(r);
    }

    template <std::size_t kRows>
    void row_of_tiles(std::size_t r) const {
        std::size_t s = 0;
        for (; s + kColumns <= job_.columns; s += kColumns) tile<kRows, kColumns>(r, s);
        for (; s < job_.columns; ++s) tile<kRows, 1>(r, s);
    }

    template <std::size_t kRows, std::size_t kWidth>
    void tile(std::size_t r, std::size_t s) const {
        const i64* const* x = job_.x + r * job_.terms + first_;
        const i64* const* y = job_.y + first_ * job_.columns + s;
        for (std::size_t j = 0; j < job_.count; j += kLanes) {
            Sum sums[kRows][kWidth];
            for (auto& row : sums)
                for (Sum& sum : row) sum = S::sum(terms_);
            for (std::size_t i = 0; i < terms_; ++i) {
                Value right[kWidth];
                for (std::size_t c = 0; c < kWidth; ++c) right[c] = next(y[i * job_.columns + c] + j);
                for (std::size_t k = 0; k < kRows; ++k) {
                    Value left = next(x[k * job_.terms + i] + j);
                    for (std::size_t c = 0; c < kWidth; ++c) sums[k][c].add_product(left, right[c]);
                }
            }
            for (std::size_t k = 0; k < kRows; ++k)
                for (std::size_t c = 0; c < kWidth; ++c) put(sums[k][c], job_.out[(r + k) * job_.columns + s + c] + j);
        }
    }

    AEGIS_INLINE static Value next(const i64* entry) {
        __builtin_prefetch(entry + kAhead);
        return S::load(entry);
    }

    void put(const Sum& sum, i64* to) const {
        Value value = sums_.reduce(sum);
        S::store(to, first_ == 0 ? value : sums_.join(value, S::load(to)));
    }
};

}  // namespace
}  // namespace aegis
