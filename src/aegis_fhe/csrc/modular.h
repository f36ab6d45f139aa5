// Modular arithmetic on 64-bit words for primes q < 2^50: plain functions, shared by host and device code.
// Everything has internal linkage, because each kernel file is compiled with its own instruction set.
#pragma once

#if defined(__CUDACC_RTC__)
namespace std {  // compiled at run time there is no standard library
using size_t = decltype(sizeof(0));
}
#else
#include <cstddef>
#include <cstdint>
#endif

#if defined(__CUDACC__)
#define AEGIS_HD static __host__ __device__ __forceinline__
#else
#define AEGIS_HD static inline __attribute__((always_inline, unused))
#endif

#define AEGIS_INLINE inline __attribute__((always_inline))
#define AEGIS_LAMBDA __attribute__((always_inline))

namespace aegis {

#if defined(__CUDACC_RTC__)
using u64 = unsigned long long;
using i64 = long long;
typedef unsigned __int128 u128;
#else
using u64 = std::uint64_t;
using i64 = std::int64_t;
__extension__ typedef unsigned __int128 u128;
#endif

// Constants of one modulus. A plain struct: it crosses the border between kernel files.
struct Modulus {
    u64 q;             // prime, < 2^50
    u64 barrett;       // floor(2^(2 bits) / q)
    u64 two64;         // 2^64 mod q
    double q_double;   // q, exact
    double q_inverse;  // 1/q, rounded
    double two51;      // 2^51 mod q and 2^77 mod q, in (-q/2, q/2): they fold the halves of a sum of products
    double two77;
    u64 two52, two52_shoup, two104, two104_shoup, one_shoup;  // 2^52, 2^104, 1 mod q, with 52-bit Shoup factors
    u64 inverse52;     // q^-1 mod 2^52
    int bits;          // bit length of q
};

// [0, q) x [0, q) -> [0, q)
AEGIS_HD u64 add_mod(u64 a, u64 b, u64 q) {
    u64 s = a + b;
    return s >= q ? s - q : s;
}

AEGIS_HD u64 sub_mod(u64 a, u64 b, u64 q) { return a >= b ? a - b : a + q - b; }

// Barrett reduction of x < 2^(2 bits): the estimate misses the quotient by at most 2 (HAC 14.42).
AEGIS_HD u64 barrett_reduce(u128 x, const Modulus& m) {
    u64 high = static_cast<u64>(x >> (m.bits - 1));
    u64 quotient = static_cast<u64>((static_cast<u128>(high) * m.barrett) >> (m.bits + 1));
    u64 r = static_cast<u64>(x) - quotient * m.q;
    r = r >= m.q ? r - m.q : r;
    return r >= m.q ? r - m.q : r;
}

AEGIS_HD u64 mul_mod(u64 a, u64 b, const Modulus& m) { return barrett_reduce(static_cast<u128>(a) * b, m); }

// Any 128-bit value -> [0, q).
AEGIS_HD u64 reduce_wide(u128 x, const Modulus& m) {
    u64 high = static_cast<u64>(x >> 64) % m.q;
    u64 low = static_cast<u64>(x) % m.q;
    return add_mod(mul_mod(high, m.two64, m), low, m.q);
}

AEGIS_HD u64 pow_mod(u64 base, u64 exponent, const Modulus& m) {
    u64 result = 1 % m.q;
    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1) result = mul_mod(result, base, m);
        base = mul_mod(base, base, m);
    }
    return result;
}

AEGIS_HD u64 inverse_mod(u64 a, const Modulus& m) { return pow_mod(a, m.q - 2, m); }

// Shoup: floor(w 2^64 / q) for a constant w < q.
AEGIS_HD u64 shoup_factor(u64 w, u64 q) { return static_cast<u64>((static_cast<u128>(w) << 64) / q); }

// x any 64-bit word, w < q: x w mod q in [0, 2q).
AEGIS_HD u64 shoup_mul_lazy(u64 x, u64 w, u64 w_shoup, u64 q) {
    u64 quotient = static_cast<u64>((static_cast<u128>(x) * w_shoup) >> 64);
    return x * w - quotient * q;
}

AEGIS_HD u64 shoup_mul(u64 x, u64 w, u64 w_shoup, u64 q) {
    u64 r = shoup_mul_lazy(x, w, w_shoup, q);
    return r >= q ? r - q : r;
}

// The same with a word of 52 bits: floor(w 2^52 / q).
AEGIS_HD u64 shoup_factor52(u64 w, u64 q) { return static_cast<u64>((static_cast<u128>(w) << 52) / q); }

// Signed 64-bit integer -> [0, q).
AEGIS_HD u64 from_signed_word(i64 x, u64 q) {
    i64 r = x % static_cast<i64>(q);
    return static_cast<u64>(r < 0 ? r + static_cast<i64>(q) : r);
}

}  // namespace aegis
