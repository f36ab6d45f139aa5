// Residues of up to three limbs to centred doubles: mixed radix (Garner), then one rounding. What a program computes
// fits two limbs, and a loop does those; a block with larger values takes 192-bit integers.
#include <algorithm>

#include "host_ring.h"

namespace aegis {
namespace {

constexpr std::size_t kBlock = 1024;

// A constant w < q with its Shoup factor: x w mod q for any 64-bit x.
struct Factor {
    u64 w = 0, shoup = 0, q = 1;
    Factor() = default;
    Factor(u64 value, u64 modulus) : w(value), shoup(shoup_factor(value, modulus)), q(modulus) {}
    u64 times(u64 x) const { return shoup_mul(x, w, shoup, q); }
};

// value = d0 + d1 q0 + d2 q0 q1 < 2^150; Q = q0 q1 q2 = high 2^64 + low.
struct MixedRadix {
    std::size_t count;
    u64 q0;
    u128 q01;
    Factor one1, inverse1;       // 1 and q0^-1 mod q1
    Factor one2, first2, inverse2;  // 1, q0 and (q0 q1)^-1 mod q2
    u128 high;
    u64 low;

    MixedRadix(const std::vector<Limb>& limbs, const Index& index) : count(index.size()) {
        q0 = limbs[index[0]].m.q;
        q01 = q0;
        if (count > 1) {
            const Modulus& m = limbs[index[1]].m;
            one1 = Factor(1, m.q);
            inverse1 = Factor(inverse_mod(q0 % m.q, m), m.q);
            q01 *= m.q;
        }
        u64 q2 = 1;
        if (count > 2) {
            const Modulus& m = limbs[index[2]].m;
            q2 = m.q;
            one2 = Factor(1, q2);
            first2 = Factor(q0 % q2, q2);
            inverse2 = Factor(inverse_mod(static_cast<u64>(q01 % q2), m), q2);
        }
        u128 low_part = static_cast<u128>(static_cast<u64>(q01)) * q2;
        high = static_cast<u128>(static_cast<u64>(q01 >> 64)) * q2 + static_cast<u64>(low_part >> 64);
        low = static_cast<u64>(low_part);
    }

    // The same radix with centred digits, for values that need no third one.
    CentredRadix small(const std::vector<Limb>& limbs, const Index& index) const {
        CentredRadix c{};
        c.count = static_cast<int>(count);
        for (std::size_t i = 0; i < count; ++i) {
            c.q[i] = static_cast<i64>(limbs[index[i]].m.q);
            c.q_inverse[i] = limbs[index[i]].m.q_inverse;
        }
        c.q0_double = static_cast<double>(q0);
        c.inverse1 = centre(inverse1);
        c.first2 = centre(first2);
        c.inverse2 = centre(inverse2);
        return c;
    }

    double centred(u64 x0, u64 x1, u64 x2) const {
        u64 d1 = 0, d2 = 0;
        if (count > 1) d1 = inverse1.times(sub_mod(x1, one1.times(x0), one1.q));
        if (count > 2) {
            u64 below = add_mod(one2.times(x0), first2.times(d1), one2.q);
            d2 = inverse2.times(sub_mod(x2, below, one2.q));
        }
        u128 first = static_cast<u128>(d1) * q0 + x0;
        u128 partial = static_cast<u128>(static_cast<u64>(q01)) * d2 + static_cast<u64>(first);
        u128 top = static_cast<u128>(static_cast<u64>(q01 >> 64)) * d2 + static_cast<u64>(first >> 64) +
                   static_cast<u64>(partial >> 64);
        return round(top, static_cast<u64>(partial));
    }

  private:
    static i64 centre(const Factor& f) { return static_cast<i64>(f.w) - (2 * f.w > f.q ? static_cast<i64>(f.q) : 0); }

    double round(u128 top, u64 bottom) const {
        u128 twice_top = (top << 1) | (bottom >> 63);
        u64 twice_bottom = bottom << 1;
        bool negative = twice_top > high || (twice_top == high && twice_bottom > low);
        if (negative) {
            top = high - top - (low < bottom);
            bottom = low - bottom;
        }
        // 192 -> 128 bits with a sticky bit, then one rounding, to nearest even
        double magnitude = (top >> 64) == 0 ? static_cast<double>((top << 64) | bottom)
                                            : static_cast<double>(top | (bottom != 0)) * 18446744073709551616.0;
        return negative ? -magnitude : magnitude;
    }
};

}  // namespace

void HostRing::to_centred_double(const i64* x, double* out, const Index& limbs) const {
    const MixedRadix radix(limbs_, limbs);
    const CentredRadix small = radix.small(limbs_, limbs);
    const std::size_t n = degree(), block = std::min(n, kBlock);
    const i64* x1 = x + (limbs.size() > 1 ? n : 0);
    const i64* x2 = x + (limbs.size() > 2 ? 2 * n : 0);
    [[maybe_unused]] int threads = get_threads();
#pragma omp parallel for num_threads(threads) if (threads > 1 && n > block) schedule(static)
    for (std::size_t at = 0; at < n; at += block) {
        if (loops_->centred(small, x + at, x1 + at, x2 + at, block, out + at)) continue;
        for (std::size_t j = at; j < at + block; ++j)
            out[j] = radix.centred(static_cast<u64>(x[j]), static_cast<u64>(x1[j]), static_cast<u64>(x2[j]));
    }
}

}  // namespace aegis
