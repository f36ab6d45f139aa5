// The ring on a device: every operation a few launches of kernels over all rows at once, in the order of the calling
// thread's stream. Pointers are addresses of the device's memory.
#pragma once

#include "arena.h"
#include "device/launcher.h"
#include "ring.h"

namespace aegis {

class DeviceRing : public Ring {
  public:
    DeviceRing(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots,
               std::shared_ptr<device::Launcher> launcher, std::shared_ptr<Memory> memory);

    int log_n() const override { return log_n_; }
    const char* path() const override { return launcher_->path(); }

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
    // What touches secrets belongs to the host: these throw.
    void lift_row(const i64* message, const i64* source, u64 factor, i64* row, int limb) const override;
    std::size_t mask_row(const u64* words, std::size_t count, const i64* secret, i64* row, std::size_t wanted,
                         int limb) const override;
    void to_centred_double(const i64* x, double* out, const Index& limbs) const override;

  private:
    using Uploads = std::vector<std::shared_ptr<void>>;  // what tables point into
    struct OwnedDevicePlan {
        device::Plan plan;
        Uploads memory;
    };

    std::size_t degree() const { return std::size_t{1} << log_n_; }
    template <class T>
    const T* upload(Uploads& memory, const std::vector<T>& values) const;
    const void* twiddles(const std::vector<u64>& powers, u64 q);
    device::Rows rows(const Index& limbs) const;
    const device::Plan& plan(const Index& source, const Index& target) const;
    // What the last inverse stage of each row of `digits` multiplies by, for conversions to all others of `limbs`.
    const device::Constant* digit_scales(const Digits& digits, const Index& limbs) const;
    unsigned inverse_galois(u64 galois) const;

    void transform(bool forward, device::TransformJob job, const device::Places& between) const;
    void transform_all(bool forward, device::Source source, const i64* x, i64* out, std::size_t outer,
                       const Index& limbs) const;
    template <class Job>
    void entries(device::Kernel kernel, std::size_t rows, const Job& job) const;
    void convert_rows(const device::Plan& plan, const device::Places& in, const device::Places& out,
                      std::size_t polynomials, bool scaled) const;
    void extend(const std::vector<const i64*>& ds, const std::vector<i64*>& extended, std::size_t first,
                std::size_t count, const Digits& digits, const Index& limbs) const;
    void scalars(device::Entrywise operation, const i64* x, const std::vector<u64>& values, i64* out,
                 std::size_t outer, const Index& limbs) const;
    void sums(device::SumKind kind, const std::vector<u64>& pointers, std::size_t terms, i64* out, std::size_t outer,
              std::size_t y_step, const std::vector<u64>& factors, const Index& limbs) const;
    void divide(const u64* x, std::size_t outer, const std::vector<i64*>& out, const Index& keep, const Index& drop,
                u64 galois) const;
    void key_products(const KeyProduct& job, const std::vector<i64*>& out, u64 galois, bool onto) const;
    void periodic_limbs(const PeriodicProduct& job, std::size_t first, std::size_t last, const u64* weights,
                        std::size_t row, std::size_t term, std::size_t limb) const;

    int log_n_;
    std::shared_ptr<device::Launcher> launcher_;
    std::shared_ptr<Memory> memory_;  // scratch of the operations
    std::vector<Limb> limbs_;         // constants on the host, no tables
    Uploads uploads_;
    const device::Limb* device_limbs_;
    mutable std::mutex mutex_;
    mutable std::map<std::pair<Index, Index>, std::unique_ptr<OwnedDevicePlan>> plans_;
    mutable std::map<std::pair<Index, Index>, std::pair<const device::Constant*, Uploads>> scales_;
};

}  // namespace aegis
