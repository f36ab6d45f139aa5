// The product of matrices of ciphertexts over a policy S of sums: a modular matrix product whose entries are pairs of
// residues. Included by the path files only.
//
// Rows of operands lie a large power of two apart, where they would share cache sets, and hundreds of them are read side
// by side. So a span of entries of each is first packed, a run of cache lines at a time: as [vector][row][term][2], so
// that a tile reads two runs of memory from their beginning to their end.
//
// S: kLanes; kRows, kColumns of a tile, whose sums stay in registers; kTerms, the most products of a sum; Value; Sum with
// add_product; sum(terms); load, store and join (x + y, both reduced) of residues; pack and operand of packed ones;
// reduce.
#pragma once

#include "kernels.h"

namespace aegis {
namespace {

template <class S>
class TensorTiles {
    using Value = typename S::Value;
    using Sum = typename S::Sum;
    static constexpr std::size_t kLanes = S::kLanes, kPair = 2 * kLanes;
    static constexpr std::size_t kTerms = S::kTerms / 2;  // a middle component has two products for each
    static constexpr std::size_t kLine = 8;               // of a cache line
    static constexpr std::size_t kGap = kLanes;           // strides of packed vectors are no power of two

  public:
    static std::size_t scratch(const TensorJob& job) {
        std::size_t terms = job.terms < kTerms ? job.terms : kTerms;
        return job.count / kLanes * ((job.rows + job.columns) * terms * kPair + 2 * kGap);
    }

    static void run(const Limb& limb, const TensorJob& job, u64* scratch) {
        for (std::size_t first = 0; first < job.terms; first += kTerms) {
            std::size_t terms = job.terms - first < kTerms ? job.terms - first : kTerms;
            TensorTiles(limb, job, first, terms, scratch).part();
        }
    }

  private:
    const TensorJob& job_;
    const S sums_;
    const std::size_t first_, terms_, x_stride_, y_stride_;
    u64 *x_, *y_;

    TensorTiles(const Limb& limb, const TensorJob& job, std::size_t first, std::size_t terms, u64* scratch)
        : job_(job),
          sums_(limb.m, 2 * terms),
          first_(first),
          terms_(terms),
          x_stride_(job.rows * terms * kPair + kGap),
          y_stride_(job.columns * terms * kPair + kGap),
          x_(scratch),
          y_(scratch + job.count / kLanes * x_stride_) {}

    void part() const {
        pack_all(job_.rows, x_, x_stride_, [this](std::size_t r, std::size_t b) { return job_.x + 2 * (r * job_.terms + b); });
        pack_all(job_.columns, y_, y_stride_,
                 [this](std::size_t s, std::size_t b) { return job_.y + 2 * (b * job_.columns + s); });
        for (std::size_t v = 0; v < job_.count / kLanes; ++v) {
            std::size_t r = 0;
            for (; r + S::kRows <= job_.rows; r += S::kRows) row_of_tiles<S::kRows>(r, v);
            for (; r < job_.rows; ++r) row_of_tiles<1>(r, v);
        }
    }

    // While one operand is packed the next one is fetched: each is a short run of memory, over before a processor
    // foresees it.
    template <class Operand>
    void pack_all(std::size_t sides, u64* to, std::size_t stride, Operand operand) const {
        for (std::size_t i = 0; i < sides * terms_; ++i) {
            if (i + 1 < sides * terms_) fetch(operand((i + 1) / terms_, first_ + (i + 1) % terms_));
            pack(operand(i / terms_, first_ + i % terms_), to + i * kPair, stride);
        }
    }

    void fetch(const i64* const* components) const {
        for (std::size_t c = 0; c < 2; ++c)
            for (std::size_t at = 0; at < job_.count; at += kLine) __builtin_prefetch(components[c] + at);
    }

    void pack(const i64* const* components, u64* to, std::size_t stride) const {
        for (std::size_t c = 0; c < 2; ++c)
            for (std::size_t v = 0; v < job_.count / kLanes; ++v)
                S::pack(components[c] + v * kLanes, to + v * stride + c * kLanes);
    }

    template <std::size_t kRows>
    void row_of_tiles(std::size_t r, std::size_t v) const {
        std::size_t s = 0;
        for (; s + S::kColumns <= job_.columns; s += S::kColumns) tile<kRows, S::kColumns>(r, s, v);
        for (; s < job_.columns; ++s) tile<kRows, 1>(r, s, v);
    }

    template <std::size_t kRows, std::size_t kColumns>
    void tile(std::size_t r, std::size_t s, std::size_t v) const {
        const u64* x = x_ + v * x_stride_ + r * terms_ * kPair;
        const u64* y = y_ + v * y_stride_ + s * terms_ * kPair;
        Sum sums[kRows][kColumns][3];
        for (auto& row : sums)
            for (auto& entry : row) {
                entry[0] = entry[2] = S::sum(terms_);
                entry[1] = S::sum(2 * terms_);
            }
        for (std::size_t b = 0; b < terms_; ++b, x += kPair, y += kPair) {
            Value right[kColumns][2];
            for (std::size_t j = 0; j < kColumns; ++j)
                for (std::size_t c = 0; c < 2; ++c) right[j][c] = S::operand(y + j * terms_ * kPair + c * kLanes);
            for (std::size_t i = 0; i < kRows; ++i) {
                Value low = S::operand(x + i * terms_ * kPair), high = S::operand(x + i * terms_ * kPair + kLanes);
                for (std::size_t j = 0; j < kColumns; ++j) {
                    sums[i][j][0].add_product(low, right[j][0]);
                    sums[i][j][1].add_product(low, right[j][1]);
                    sums[i][j][1].add_product(high, right[j][0]);
                    sums[i][j][2].add_product(high, right[j][1]);
                }
            }
        }
        for (std::size_t i = 0; i < kRows; ++i)
            for (std::size_t j = 0; j < kColumns; ++j)
                for (std::size_t c = 0; c < 3; ++c)
                    put(sums[i][j][c], 3 * ((r + i) * job_.columns + s + j) + c, v * kLanes);
    }

    void put(const Sum& sum, std::size_t entry, std::size_t at) const {
        Value value = sums_.reduce(sum);
        const i64* before = first_ != 0 ? job_.out[entry] : job_.onto != nullptr ? job_.onto[entry] : nullptr;
        if (before != nullptr) value = sums_.join(value, S::load(before + at));
        S::store(job_.out[entry] + at, value);
    }
};

}  // namespace
}  // namespace aegis
