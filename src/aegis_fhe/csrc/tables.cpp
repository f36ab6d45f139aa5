// Building a ring: twiddle factors of every modulus, in the layout of the chosen path.
#include "fp64.h"
#include "host_ring.h"

namespace aegis {

Buffer::Buffer(std::size_t words) : memory_(new u64[words + 8]) {
    auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    aligned_ = reinterpret_cast<u64*>((address + 63) / 64 * 64);
}

u64 bit_reverse(u64 value, int bits) {
    u64 result = 0;
    for (int i = 0; i < bits; ++i, value >>= 1) result = (result << 1) | (value & 1);
    return result;
}

// Each Newton step doubles the correct bits, 3 at first.
u64 inverse_word(u64 q) {
    u64 x = q;
    for (int i = 0; i < 5; ++i) x *= 2 - q * x;
    return x;
}

Modulus make_modulus(u64 q) {
    Modulus m{};
    m.q = q;
    m.bits = 64 - __builtin_clzll(q);
    m.barrett = static_cast<u64>((u128{1} << (2 * m.bits)) / q);
    m.two64 = static_cast<u64>((u128{1} << 64) % q);
    m.q_double = static_cast<double>(q);
    m.q_inverse = 1.0 / m.q_double;
    m.two52 = pow_mod(2, 52, m);
    m.two52_shoup = shoup_factor52(m.two52, q);
    m.two104 = pow_mod(2, 104, m);
    m.two104_shoup = shoup_factor52(m.two104, q);
    m.one_shoup = shoup_factor52(1, q);
    m.inverse52 = inverse_word(q) & ((u64{1} << 52) - 1);
    m.two51 = centred_constant(pow_mod(2, 51, m), q);
    m.two77 = centred_constant(pow_mod(2, 77, m), q);
    return m;
}

void bit_reversed_powers(u64 root, int log_n, const Modulus& m, std::vector<u64>& powers) {
    u64 power = 1;
    for (u64 k = 0; k < powers.size(); ++k) {
        powers[bit_reverse(k, log_n)] = power;
        power = mul_mod(power, root, m);
    }
}

HostRing::HostRing(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots, const Kernels* kernels,
           std::shared_ptr<Arena> arena)
    : log_n_(log_n),
      path_(kernels->name),
      loops_(loops_beside(path_)),
      kernels_(log_n < kernels->min_log_n ? &kPortable : kernels),
      arena_(std::move(arena)),
      limbs_(moduli.size()) {
    std::size_t n = degree();
    std::size_t table_words = kernels_->table_words * n;
    tables_.reserve(moduli.size());
    for (std::size_t i = 0; i < moduli.size(); ++i) tables_.emplace_back(2 * table_words);
    [[maybe_unused]] int threads = get_threads();
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (std::size_t i = 0; i < moduli.size(); ++i) {
        std::vector<u64> powers(n), inverse_powers(n);
        Limb& limb = limbs_[i];
        limb.m = make_modulus(moduli[i]);
        bit_reversed_powers(roots[i], log_n, limb.m, powers);
        bit_reversed_powers(inverse_mod(roots[i], limb.m), log_n, limb.m, inverse_powers);
        limb.n_inverse = inverse_mod(n % limb.m.q, limb.m);
        limb.n_inverse_last = n > 1 ? mul_mod(limb.n_inverse, inverse_powers[1], limb.m) : limb.n_inverse;
        u64* memory = tables_[i].data();
        kernels_->build(limb.m, Roots{powers.data(), inverse_powers.data(), log_n}, memory, memory + table_words);
        limb.forward = memory;
        limb.inverse = memory + table_words;
    }
}

}  // namespace aegis
