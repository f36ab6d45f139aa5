// The ring on this machine's processor: every operation a loop over rows of one kernel path, spread over threads.
#pragma once

#include "arena.h"
#include "buffer.h"
#include "dispatch.h"
#include "loops.h"
#include "ring.h"

namespace aegis {

// A PermutePlan with its memory.
struct OwnedPermutation {
    std::vector<std::uint32_t> source;
    std::vector<u64> orders;
    PermutePlan plan;
};

// NTT values of periodic plaintexts, and how far apart those of neighbouring rows, terms and limbs lie.
struct PeriodicWeights {
    const i64* values;
    std::size_t row, term, limb;
};

class HostRing : public Ring {
  public:
    HostRing(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots, const Kernels* kernels,
             std::shared_ptr<Arena> arena = std::make_shared<Arena>());

    int log_n() const override { return log_n_; }
    const char* path() const override { return path_; }

    void ntt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const override;
    void intt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const override;
    void binary(Binary op, const i64* x, const i64* y, bool y_shared, i64* out, std::size_t outer,
                const Index& limbs) const override;
    void add_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                    const Index& limbs) const override;
    void mul_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                    const Index& limbs) const override;
    void dot(const std::vector<const i64*>& xs, const std::vector<const i64*>& ys, bool y_shared, i64* out,
             std::size_t outer, const Index& limbs) const override;
    void sum(const std::vector<const i64*>& xs, i64* out, std::size_t outer, const Index& limbs) const override;
    void combination(const Combination& job, i64* out, std::size_t components, const Index& limbs) const override;
    void periodic_dot(const PeriodicProduct& job, const i64* weights) const override;
    void periodic_sums(const PeriodicProduct& job, const i64* coefficients, const Ring& small) const override;
    void tensor_product(const TensorProduct& job, const Index& limbs) const override;
    void convert(const i64* x, i64* out, std::size_t outer, const Index& source, const Index& target) const override;
    void mod_down(const i64* x, i64* out, std::size_t outer, const Index& keep, const Index& drop,
                  u64 galois) const override;
    void mod_up(const std::vector<const i64*>& ds, const std::vector<i64*>& extended, const Digits& digits,
                const Index& limbs) const override;
    void key_product(const KeyProduct& job, const std::vector<i64*>& out) const override;
    void switch_key(const KeyProduct& job, const std::vector<i64*>& out, std::size_t kept, u64 galois) const override;
    void add_key_product(const KeyProduct& job, u64 galois, bool first, i64* total) const override;
    void automorphism(const i64* x, i64* out, std::size_t rows, u64 galois) const override;
    void automorphism_coefficients(const i64* x, i64* out, std::size_t outer, const Index& limbs,
                                   u64 galois) const override;
    void from_signed(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const override;
    void from_signed_ntt(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const override;
    void lift_row(const i64* message, const i64* source, u64 factor, i64* row, int limb) const override;
    std::size_t mask_row(const u64* words, std::size_t count, const i64* secret, i64* row, std::size_t wanted,
                         int limb) const override;
    void to_centred_double(const i64* x, double* out, const Index& limbs) const override;

  private:
    std::size_t degree() const { return std::size_t{1} << log_n_; }
    const ConvertPlan& plan(const Index& source, const Index& target) const;
    const PermutePlan& permutation(u64 galois) const;
    void periodic_limbs(const PeriodicProduct& job, std::size_t first, std::size_t last,
                        const PeriodicWeights& weights) const;
    void add_scaled(const Limb& limb, const i64* x, u64 factor, i64* row, std::size_t count) const;
    void extend(const i64* d, i64* extended, const Digits& digits, const Index& limbs) const;
    struct KeyRows;
    void product_row(const KeyProduct& job, std::size_t l, const std::vector<i64*>& out) const;
    void convert_rows(const ConvertPlan& plan, const i64* x, i64* out, std::size_t outer, std::size_t x_outer,
                      std::size_t out_outer) const;
    void convert_row(const ConvertPlan& plan, std::size_t target, const i64* x, i64* out) const;

    int log_n_;
    const char* path_;
    const Loops* loops_;
    const Kernels* kernels_;  // the portable ones for rings below the path's smallest
    std::shared_ptr<Arena> arena_;  // scratch of the operations; may be shared with tensors and other rings
    std::vector<Limb> limbs_;
    std::vector<Buffer> tables_;
    mutable std::mutex mutex_;
    mutable std::map<std::pair<Index, Index>, std::unique_ptr<OwnedPlan>> plans_;
    mutable std::map<u64, std::unique_ptr<OwnedPermutation>> permutations_;  // 4 bytes for every 8 entries
};

// How many limbs of periodic weights, of so many words each, Ring::periodic_sums has in memory at a time.
std::size_t periodic_batch(std::size_t weight_words, std::size_t limbs);

}  // namespace aegis
