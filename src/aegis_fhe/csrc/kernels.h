// What a kernel path is: a table of functions over plain structs. One path = one file = one instruction set.
// Rows are N (= 2^log_n) canonical residues in [0, q) held as int64; every path returns the same bits.
#pragma once

#include <cstddef>

#include "permute.h"
#include "rounding.h"

namespace aegis {

// One modulus with its twiddle tables (in the layout of the path that built them).
struct Limb {
    Modulus m;
    u64 n_inverse;       // N^-1 mod q
    u64 n_inverse_last;  // N^-1 psi^(-brv(1)) mod q: the last inverse stage multiplies by it
    const void* forward;
    const void* inverse;
};

// psi^brv(k) and psi^-brv(k), k < N, brv on log_n bits: what a path builds its tables from.
struct Roots {
    const u64* powers;
    const u64* inverse_powers;
    int log_n;
};

// Exact centred basis conversion Q = prod q_i -> p_j.   y_i = [x_i (Q/q_i)^-1]_{q_i},
// x = sum_i y_i Q/q_i - v Q with v = round(sum_i y_i / q_i), so |x| < Q/2.
struct ConvertPlan {
    std::size_t sources, targets;
    const Limb* const* source;        // [sources]
    const Limb* const* target;        // [targets]
    const u64* hat_inverse;           // [sources]           (Q/q_i)^-1 mod q_i
    const u64* hat_inverse_shoup;     // [sources]
    const u64* weights;               // [targets][sources+1] Q/q_i mod p_j; last: -Q mod p_j
    const double* weights_double;     // the same as doubles
    const u64* weights_montgomery;    // the same times 2^52 mod p_j
    const u64* product_inverse;       // [targets]           Q^-1 mod p_j
    std::size_t words;                // of Q and of every Q/q_i
    const u64* product_words;         // [words]             Q, little endian
    const u64* hat_words;             // [sources][words]
};

// round(sum_i y_i / q_i) where the estimate is not trusted (rounding.h); y_i = y[i * stride].
u64 exact_overflow(const ConvertPlan& plan, const u64* y, std::size_t stride, double estimate);

constexpr std::size_t kConvertBlock = 512;  // coefficients handled at once
constexpr std::size_t kConvertStride = kConvertBlock + 8;  // of scratch rows: 4 KiB apart they would share cache sets

// One row of out = sum_i factors[i] x[i] + constant; factors and constant in [0, q). One term or more.
struct CombinationJob {
    const i64* const* x;  // [terms] rows of `count`
    const u64* factors;   // [terms]
    std::size_t terms;
    u64 constant;
    i64* out;
    std::size_t count;
};

constexpr std::size_t kCombinationTerms = 64;  // of one pass: their constants are prepared together

// One limb of out[r][c][j] = sum_b w[r][b][j >> shift] x[b][c][j], for the runs [run_begin, run_end).
struct PeriodicJob {
    std::size_t rows, terms, components;  // R, B, c
    const i64* const* x;                  // [terms][components] rows of N
    const i64* weights;                   // element (r, b, run) at r*row_stride + b*term_stride + run
    std::size_t row_stride, term_stride;
    i64* const* out;                      // [rows][components] rows of N
    int shift;                            // log2 of the run length
    std::size_t run_begin, run_end;
};

// One limb of out[r][s] = onto[r][s] + sum_b x[r][b] (x) y[b][s], x (x) y = (x_0 y_0, x_0 y_1 + x_1 y_0, x_1 y_1).
struct TensorJob {
    std::size_t rows, terms, columns;
    const i64* const* x;     // [rows][terms][2] rows of `count`
    const i64* const* y;     // [terms][columns][2]
    i64* const* out;         // [rows][columns][3]
    const i64* const* onto;  // the same, or null for zero
    std::size_t count;
};

// out[r][s] = sum_i x[r][i] y[i][s], rows of `count` entries.
struct DotJob {
    std::size_t rows, terms, columns;
    const i64* const* x;  // [rows][terms]
    const i64* const* y;  // [terms][columns]
    i64* const* out;      // [rows][columns]
    std::size_t count;
};

constexpr std::size_t kPeriodicRuns = 8;     // runs packed together (one cache line of each weight row)
constexpr std::size_t kPeriodicPoints = 256; // coefficients of one run handled at once

struct Kernels {
    const char* name;
    int min_log_n;            // the smallest ring it takes; below, the portable path does the work
    std::size_t table_words;  // 64-bit words per coefficient of each table
    void (*build)(const Modulus&, const Roots&, u64* forward, u64* inverse);
    void (*ntt)(const Limb&, int log_n, const i64* in, i64* out);
    void (*intt)(const Limb&, int log_n, const i64* in, i64* out);
    // out = (x - NTT(coefficients)) factor; coefficients are overwritten. out may be x or coefficients.
    void (*ntt_subtract_scale)(const Limb&, int log_n, i64* coefficients, const i64* x, u64 factor, i64* out);
    void (*add)(const Limb&, const i64* x, const i64* y, i64* out, std::size_t n);
    void (*sub)(const Limb&, const i64* x, const i64* y, i64* out, std::size_t n);
    void (*mul)(const Limb&, const i64* x, const i64* y, i64* out, std::size_t n);
    void (*add_scalar)(const Limb&, const i64* x, u64 scalar, i64* out, std::size_t n);
    void (*mul_scalar)(const Limb&, const i64* x, u64 scalar, i64* out, std::size_t n);
    void (*dots)(const Limb&, const DotJob&);
    void (*combination)(const Limb&, const CombinationJob&);
    std::size_t (*periodic_scratch)(const PeriodicJob&);  // in 64-bit words
    void (*periodic)(const Limb&, const PeriodicJob&, u64* scratch);
    std::size_t (*tensor_scratch)(const TensorJob&);
    void (*tensor)(const Limb&, const TensorJob&, u64* scratch);
    // out = permuted x, or out + permuted x; out is apart from x. n >= 8.
    void (*permute)(const i64* x, const PermutePlan&, i64* out);
    void (*permute_add)(const Limb&, const i64* x, const PermutePlan&, i64* out);
    // count <= kConvertBlock coefficients; rows of x and out are `stride` apart; scratch: (sources + 1) * kConvertStride
    void (*convert)(const ConvertPlan&, const i64* x, i64* out, std::size_t stride, std::size_t count, u64* scratch);
};

extern const Kernels kPortable;
#if defined(AEGIS_X86)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
extern const Kernels kAvx512Ifma;
#endif
extern const Kernels kEmulatedIfma;

}  // namespace aegis
