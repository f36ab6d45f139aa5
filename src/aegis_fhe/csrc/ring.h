// A ring Z_Q[X]/(X^N + 1) in residue form: moduli, tables, conversion plans, and the operations over rows of limbs.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels.h"

namespace aegis {

using Index = std::vector<int>;

// A ConvertPlan with the memory it points into.
struct OwnedPlan {
    std::vector<const Limb*> source, target;
    std::vector<u64> hat_inverse, hat_inverse_shoup, weights, product_inverse, product_words, hat_words;
    std::vector<double> weights_double;
    std::vector<u64> weights_montgomery;
    ConvertPlan plan;
};

std::unique_ptr<OwnedPlan> build_plan(const std::vector<Limb>& limbs, const Index& source, const Index& target);

// Rows [begin, end) of a polynomial: one key-switching digit.
struct Digit {
    std::size_t begin, end;
};
using Digits = std::vector<Digit>;

// Polynomials of one level in digits and both halves of a key, with which each is multiplied: b, a
// [digit, key_rows, N], whose q rows above those of d are skipped. Addends, times a factor for each limb, join.
struct KeyProduct {
    struct Operand {
        const i64 *d, *extended;           // [q limbs, N], and rows as Ring::mod_up leaves them
        std::vector<const i64*> addends;   // [q limbs, N] of the first components
    };
    std::vector<Operand> operands;
    const i64 *b, *a;
    std::size_t key_rows;
    Digits digits;
    Index limbs;
    std::vector<u64> factors;
};

// sum_i scalars_i x_i of polynomials in different numbers of components, and a constant in the first of them.
struct Combination {
    std::vector<const i64*> x;                    // [terms], each [components, limb, N]
    std::vector<std::size_t> strides, components;  // of each: entries from one component to the next; how many
    std::vector<u64> factors;                     // [limb][terms]
    std::vector<u64> constants;                   // [limb]
};

// A matrix of rows by terms ciphertexts times one of terms by columns: both components of every entry, row by row.
struct TensorProduct {
    std::vector<const i64*> x, y;  // [rows][terms][2] and [terms][columns][2] polynomials of [limb, N]
    std::size_t rows, terms, columns;
    std::vector<const i64*> onto;  // [rows][columns][3] that the products are added to, or none
    std::vector<i64*> out;         // [rows][columns] of [3, limb, N]
};

// Sums over terms of ciphertexts with plaintexts of M = 2^log_m distinct values.
struct PeriodicProduct {
    std::vector<const i64*> x;  // [terms][components] polynomials of [limb, N]
    std::vector<i64*> out;      // rows of [components, limb, N]
    std::size_t components;
    int log_m;
    Index limbs;
};

// x is [outer, limb, N] contiguous; `limbs` names the modulus of each row. Pointers are checked by the caller.
class Ring {
  public:
    virtual ~Ring() = default;
    virtual int log_n() const = 0;
    virtual const char* path() const = 0;

    virtual void ntt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const = 0;
    virtual void intt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const = 0;
    // y is [outer, limb, N], or [limb, N] when y_shared
    enum class Binary { kAdd, kSub, kMul };
    virtual void binary(Binary op, const i64* x, const i64* y, bool y_shared, i64* out, std::size_t outer,
                const Index& limbs) const = 0;
    virtual void add_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                    const Index& limbs) const = 0;
    virtual void mul_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                    const Index& limbs) const = 0;
    virtual void dot(const std::vector<const i64*>& xs, const std::vector<const i64*>& ys, bool y_shared, i64* out,
             std::size_t outer, const Index& limbs) const = 0;
    // two terms or more
    virtual void sum(const std::vector<const i64*>& xs, i64* out, std::size_t outer, const Index& limbs) const = 0;
    // out [components, limb, N], as many as the operand with most of them
    virtual void combination(const Combination& job, i64* out, std::size_t components, const Index& limbs) const = 0;
    // weights [rows, terms, limb, M], NTT values
    virtual void periodic_dot(const PeriodicProduct& job, const i64* weights) const = 0;
    // coefficients [rows, terms, M], signed; small: the ring of degree M over the same moduli
    virtual void periodic_sums(const PeriodicProduct& job, const i64* coefficients, const Ring& small) const = 0;
    virtual void tensor_product(const TensorProduct& job, const Index& limbs) const = 0;
    virtual void convert(const i64* x, i64* out, std::size_t outer, const Index& source, const Index& target) const = 0;
    // x is [outer, keep + drop, N], NTT domain; out [outer, keep, N]: the automorphism of the quotient
    virtual void mod_down(const i64* x, i64* out, std::size_t outer, const Index& keep, const Index& drop,
                  u64 galois) const = 0;
    // each d [q limbs, N] -> its extended [sum over digits of (limbs - size of the digit), N], all NTT domain
    virtual void mod_up(const std::vector<const i64*>& ds, const std::vector<i64*>& extended, const Digits& digits,
                        const Index& limbs) const = 0;
    // out[r] [2, limb, N]: sum_j d_j b_j and sum_j d_j a_j, plus the addends
    virtual void key_product(const KeyProduct& job, const std::vector<i64*>& out) const = 0;
    // out[r] [2, kept, N]: the automorphism of that, divided by the limbs behind the first `kept`
    virtual void switch_key(const KeyProduct& job, const std::vector<i64*>& out, std::size_t kept, u64 galois) const = 0;
    // total = (first ? 0 : total) + the automorphism of both, of one operand; N >= 8
    virtual void add_key_product(const KeyProduct& job, u64 galois, bool first, i64* total) const = 0;
    virtual void automorphism(const i64* x, i64* out, std::size_t rows, u64 galois) const = 0;
    virtual void automorphism_coefficients(const i64* x, i64* out, std::size_t outer, const Index& limbs, u64 galois) const = 0;
    // coefficients [outer, N] signed -> [outer, limb, N]
    virtual void from_signed(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const = 0;
    // the same, transformed: each row while it lies in cache
    virtual void from_signed_ntt(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const = 0;
    // One limb: row = NTT(message) + factor source; message [N] signed, source may be null
    virtual void lift_row(const i64* message, const i64* source, u64 factor, i64* row, int limb) const = 0;
    // One limb: row -= a secret, a the uniform residues of the words (see sample_uniform). Reads words until `wanted`
    // are accepted or `count` are read; returns the number accepted.
    virtual std::size_t mask_row(const u64* words, std::size_t count, const i64* secret, i64* row, std::size_t wanted,
                         int limb) const = 0;
    // [limb <= 3, N] -> [N]
    virtual void to_centred_double(const i64* x, double* out, const Index& limbs) const = 0;
};

u64 bit_reverse(u64 value, int bits);
// q^-1 mod 2^64 for odd q
u64 inverse_word(u64 q);
Modulus make_modulus(u64 q);
// powers[brv(k)] = root^k
void bit_reversed_powers(u64 root, int log_n, const Modulus& m, std::vector<u64>& powers);

}  // namespace aegis
