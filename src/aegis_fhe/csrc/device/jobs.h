// What kernels are told: plain structs with addresses of device memory, built by the host and passed by value. Rows are
// N = 2^log_n residues in [0, q), as int64.
#pragma once

#include "modular.h"

namespace aegis {
namespace device {

constexpr std::size_t kMaxRows = 512;      // of one polynomial with all its digits: named by one launch
constexpr std::size_t kMaxPointers = 352;  // that travel in the job; more lie in device memory
constexpr std::size_t kMaxOuts = 16;
constexpr std::size_t kMaxDigits = 128;
constexpr std::size_t kMaxLimbs = 128;
constexpr std::size_t kGroup = 4;          // operands that share one reading of a key

// Results that a thread has in registers: of a basis conversion; of ciphertexts by ciphertexts; by weights.
constexpr std::size_t kTargets = 4;
constexpr std::size_t kTileRows = 2, kTileColumns = 2;
constexpr std::size_t kWeightRows = 4;
constexpr std::size_t kEntries = 32;  // of a block of products: neighbouring threads have neighbouring entries

// A constant w of one modulus in every form that an arithmetic takes it.
struct Constant {
    u64 w;           // [0, q)
    u64 shoup;       // floor(w 2^64 / q)
    double centred;  // w in (-q/2, q/2)
};

// One modulus. Twiddles: psi^brv(k) and psi^-brv(k), k < N, as the ring's arithmetic has them.
struct Limb {
    Modulus m;
    Constant one, two64;    // 1 and 2^64 mod q
    Constant n_inverse[2];  // N^-1, N^-1 psi^(-brv(1)): of the last inverse stage
    const void* forward;
    const void* inverse;
    unsigned reduce_forward, reduce_inverse;  // bit s: stage s reduces (see ranges.h)
};

// Which limb each of the rows of a polynomial has.
struct Rows {
    unsigned count;
    unsigned char limb[kMaxRows];
};

// Many addresses: in the job, or where there are too many of them, in device memory.
struct Pointers {
    const u64* far;
    u64 near[kMaxPointers];

    u64 word(std::size_t i) const { return far != nullptr ? far[i] : near[i]; }
    const u64* operator[](std::size_t i) const { return reinterpret_cast<const u64*>(word(i)); }
    u64* to(std::size_t i) const { return reinterpret_cast<u64*>(word(i)); }
};

// Where the polynomials of a job lie: `step` words apart, or (up to kMaxOuts) each in a place of its own.
struct Places {
    u64* first;
    std::size_t step;
    unsigned apart;  // how many places of their own there are: all or none
    u64* own[kMaxOuts];

    u64* of(std::size_t polynomial) const { return apart != 0 ? own[polynomial] : first + polynomial * step; }
};

// Where the values of a transform's pass come from, and what becomes of them.
enum class Source : unsigned {
    kResidues,  // in [0, q)
    kLazy,      // as the pass before left them
    kSigned,    // any signed words, one row for all limbs
    kDropped,   // the centred value of a row in [0, q) of another modulus: what a rescale subtracts
};
enum class Sink : unsigned {
    kResidues,
    kLazy,
    kQuotient,  // (x - value) factor, X -> X^galois
};

// One pass over the stages [first, first + stages) of every row; inverse passes do them in the other order. Rows are
// taken in tiles of 2^log_tile values, by 2^log_tile / kPerThread threads.
struct TransformJob {
    const Limb* limbs;
    Rows rows;
    std::size_t polynomials;
    Places in, out;
    int log_n, first, stages, log_tile;
    Source source;
    Sink sink;
    unsigned dropped;            // limb of Source::kDropped
    const Constant* scale;       // [row][2]: in place of a limb's n_inverse; or null
    const u64* x;                // of Sink::kQuotient: [row, N], x_step words from one polynomial to the next
    std::size_t x_step;
    const Constant* factor;      // [row]
    unsigned inverse_galois;     // of the automorphism, modulo 2N
};

enum class Entrywise : unsigned { kAdd, kSub, kMul, kAddScalar, kMulScalar };

// out = x op y, row by row; y: another polynomial, one for all (y_step 0), or a scalar for each row.
struct EntrywiseJob {
    const Limb* limbs;
    Rows rows;
    const u64 *x, *y;
    u64* out;
    std::size_t y_step;
    int log_n;
    Entrywise operation;
    u64 scalars[kMaxLimbs];
};

// out = sum_i x_i y_i, sum_i x_i, or sum_i factor_i x_i + constant; pointers: x, then y.
enum class SumKind : unsigned { kProducts, kTerms, kCombination };
struct SumJob {
    const Limb* limbs;
    Rows rows;
    std::size_t terms;
    Pointers pointers;       // kCombination: then how far apart components are, then how many there are, of each term
    u64* out;
    std::size_t x_step, y_step;  // words from one polynomial (component) to the next; 0: one for all
    const u64* factors;      // kCombination: [row][terms], then the constant of each row
    int log_n;
    SumKind kind;
};

// Constants of an exact basis conversion, see ConvertPlan of ../kernels.h.
struct Plan {
    unsigned sources, targets, words;
    const unsigned* source;          // [sources], limbs
    const unsigned* target;          // [targets]
    const Constant* hat_inverse;     // [sources]
    const Constant* hat_scale;       // [sources][2]: hat_inverse times n_inverse
    const u64* weights;              // [targets][sources+1]
    const double* weights_double;
    const Constant* product_inverse;  // [targets]
    const u64* product_words;        // [words]
    const u64* hat_words;            // [sources][words]
};

struct ConvertJob {
    const Limb* limbs;
    Plan plan;
    Places in, out;      // [source, N], [target, N]
    int log_n;
    std::size_t points;  // coefficients of a block
    bool scaled;         // rows are times hat_inverse already
};

// Inner products of digits with both halves of a key for up to kGroup operands; see KeyProduct of ../ring.h.
struct KeyJob {
    const Limb* limbs;
    Rows rows;
    const u64 *d[kGroup], *extended[kGroup], *addends[kGroup][2];
    u64* out[kGroup];       // [2, row, N]
    const u64 *b, *a;       // [digit, key_rows, N]
    std::size_t key_rows, q_rows, digits, operands;
    unsigned short ends[kMaxDigits];
    u64 factors[kMaxLimbs];  // of the addends, for each q row
    int log_n;
    unsigned galois;        // entry j of out is the product's entry of the automorphism
    bool onto;              // added to what out holds
};

// See TensorJob of ../kernels.h; pointers: x [rows][terms][2], y [terms][columns][2], onto, out [rows][columns]
// of [3, row, N].
struct TensorJob {
    const Limb* limbs;
    Rows residue_rows;
    Pointers pointers;
    std::size_t rows, terms, columns;
    bool onto;
    int log_n;
};

// See PeriodicJob of ../kernels.h; pointers: x [terms][components], out [rows] of [components, row, N].
struct PeriodicJob {
    const Limb* limbs;
    Rows residue_rows;
    std::size_t first_row;  // of the polynomials, where the weights begin
    std::size_t polynomial_rows;
    Pointers pointers;
    std::size_t rows, terms, components;
    const u64* weights;
    std::size_t row_stride, term_stride, limb_stride;
    int log_n, shift;
};

// NTT entries, or coefficients with their signs.
struct AutomorphismJob {
    const Limb* limbs;
    Rows rows;
    const u64* x;
    u64* out;
    int log_n;
    unsigned galois;  // coefficients: its inverse modulo 2N
    bool coefficients;
};

struct SignedJob {
    const Limb* limbs;
    Rows rows;
    const u64* x;  // [polynomial, N]
    u64* out;
    int log_n;
};

// words -> to: addresses that a job has no room for.
struct TableJob {
    u64* to;
    std::size_t count;
    u64 words[kMaxPointers];
};

}  // namespace device
}  // namespace aegis
