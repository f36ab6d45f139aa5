// Constants of a ring in device memory: moduli, twiddle factors, conversion plans.
#include "device/device_ring.h"
#include "device/ranges.h"
#include "fp64.h"

namespace aegis {
namespace {

device::Constant constant(u64 w, u64 q) { return {w, shoup_factor(w, q), centred_constant(w, q)}; }

// What the last inverse stage multiplies by where a conversion's factor joins it.
void append_scaled(std::vector<device::Constant>& to, u64 hat_inverse, const Limb& limb) {
    for (u64 factor : {limb.n_inverse, limb.n_inverse_last})
        to.push_back(constant(mul_mod(hat_inverse, factor, limb.m), limb.m.q));
}

}  // namespace

template <class T>
const T* DeviceRing::upload(Uploads& memory, const std::vector<T>& values) const {
    memory.push_back(launcher_->upload(values.data(), values.size() * sizeof(T)));
    return static_cast<const T*>(memory.back().get());
}

const void* DeviceRing::twiddles(const std::vector<u64>& powers, u64 q) {
    if (launcher_->words()) {
        std::vector<u64> pairs;
        for (u64 w : powers) {
            pairs.push_back(w);
            pairs.push_back(shoup_factor(w, q));
        }
        return upload(uploads_, pairs);
    }
    std::vector<double> centred;
    for (u64 w : powers) centred.push_back(centred_constant(w, q));
    return upload(uploads_, centred);
}

DeviceRing::DeviceRing(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots,
                       std::shared_ptr<device::Launcher> launcher, std::shared_ptr<Memory> memory)
    : log_n_(log_n), launcher_(std::move(launcher)), memory_(std::move(memory)), limbs_(moduli.size()) {
    std::vector<device::Limb> limbs;
    std::vector<u64> powers(degree()), inverse_powers(degree());
    for (std::size_t i = 0; i < moduli.size() && !launcher_->dry(); ++i) {
        const u64 q = moduli[i];
        Modulus& m = limbs_[i].m = make_modulus(q);
        bit_reversed_powers(roots[i], log_n, m, powers);
        bit_reversed_powers(inverse_mod(roots[i], m), log_n, m, inverse_powers);
        const u64 n_inverse = inverse_mod(degree() % q, m);
        const u64 last = log_n > 0 ? mul_mod(n_inverse, inverse_powers[1], m) : n_inverse;
        limbs_[i].n_inverse = n_inverse;
        limbs_[i].n_inverse_last = last;
        const device::Ranges ranges(m.q_double, log_n);
        limbs.push_back({m, constant(1, q), constant(m.two64, q), {constant(n_inverse, q), constant(last, q)},
                         twiddles(powers, q), twiddles(inverse_powers, q), ranges.forward, ranges.inverse});
    }
    device_limbs_ = upload(uploads_, limbs);
}

const device::Plan& DeviceRing::plan(const Index& source, const Index& target) const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<OwnedDevicePlan>& owned = plans_[{source, target}];
    if (owned) return owned->plan;
    if (launcher_->dry()) {
        owned = std::make_unique<OwnedDevicePlan>();
        owned->plan.sources = static_cast<unsigned>(source.size());
        owned->plan.targets = static_cast<unsigned>(target.size());
        return owned->plan;
    }
    const std::unique_ptr<OwnedPlan> host = build_plan(limbs_, source, target);
    std::vector<device::Constant> hat_inverse, hat_scale, product_inverse;
    for (std::size_t i = 0; i < source.size(); ++i) {
        const Limb& limb = limbs_[source[i]];
        hat_inverse.push_back(constant(host->hat_inverse[i], limb.m.q));
        append_scaled(hat_scale, host->hat_inverse[i], limb);
    }
    for (std::size_t j = 0; j < target.size(); ++j)
        product_inverse.push_back(constant(host->product_inverse[j], limbs_[target[j]].m.q));
    auto made = std::make_unique<OwnedDevicePlan>();
    Uploads& memory = made->memory;
    made->plan = {static_cast<unsigned>(source.size()),
                  static_cast<unsigned>(target.size()),
                  static_cast<unsigned>(host->plan.words),
                  upload(memory, std::vector<unsigned>(source.begin(), source.end())),
                  upload(memory, std::vector<unsigned>(target.begin(), target.end())),
                  upload(memory, hat_inverse),
                  upload(memory, hat_scale),
                  upload(memory, host->weights),
                  upload(memory, host->weights_double),
                  upload(memory, product_inverse),
                  upload(memory, host->product_words),
                  upload(memory, host->hat_words)};
    owned = std::move(made);
    return owned->plan;
}

const device::Constant* DeviceRing::digit_scales(const Digits& digits, const Index& limbs) const {
    Index ends;
    for (const Digit& digit : digits) ends.push_back(static_cast<int>(digit.end));
    std::lock_guard<std::mutex> lock(mutex_);
    auto& [scale, memory] = scales_[{ends, limbs}];
    if (scale != nullptr || launcher_->dry()) return scale;
    std::vector<device::Constant> values;
    for (const Digit& digit : digits) {
        const Index own(limbs.begin() + digit.begin, limbs.begin() + digit.end);
        const std::unique_ptr<OwnedPlan> host = build_plan(limbs_, own, {});
        for (std::size_t i = 0; i < own.size(); ++i) append_scaled(values, host->hat_inverse[i], limbs_[own[i]]);
    }
    return scale = upload(memory, values);
}

}  // namespace aegis
