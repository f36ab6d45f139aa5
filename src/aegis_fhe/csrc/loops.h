// Plain loops over words and doubles that the compiler vectorises: one source, compiled once for each instruction set
// (loops_*.cpp). Each element goes through the same IEEE or integer operations in the same order on all of them, fused
// where the source says so and nowhere else, so every set gives the same bits.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "modular.h"

namespace aegis {

// Up to three moduli and, centred, the constants of their mixed radix.
struct CentredRadix {
    int count;
    i64 q[3];
    double q_inverse[3], q0_double;
    i64 inverse1;          // q0^-1 mod q1
    i64 first2, inverse2;  // q0 and (q0 q1)^-1 mod q2
};

// A complex row in split form: real parts at x, imaginary parts at x + n.
struct Loops {
    const char* name;
    // Complex values (re, im, re, im ...) <-> split rows; leave: times a real factor.
    void (*enter)(const double* complex, std::size_t n, double* split);
    void (*leave)(const double* split, std::size_t n, double factor, double* complex);
    // One stage of the canonical embedding of size n (embedding_stages.h): points x coefficients from L to 4L (2 for
    // the first of an odd number of radix-2 stages), and its inverse times 4 (2). `roots`: see Embedding.
    void (*evaluate4)(const double* x, double* y, std::size_t n, std::size_t length, const double* roots);
    void (*interpolate4)(const double* y, double* x, std::size_t n, std::size_t length, const double* roots);
    void (*evaluate2)(const double* x, double* y, std::size_t n, double root);
    void (*interpolate2)(const double* y, double* x, std::size_t n, double root);
    // out[j step] = x[j] factor to the nearest integer, ties to even; 0 where that is not below 2^62 in magnitude.
    // Returns the largest magnitude, NaN when there is one.
    double (*round)(const double* x, std::size_t n, double factor, i64* out, std::size_t step);
    // Residues in [0, q) of any signed words.
    void (*from_signed)(const i64* x, std::size_t n, const Modulus& m, i64* out);
    // row -= x y, all residues in [0, q).
    void (*subtract_product)(const i64* x, const i64* y, std::size_t n, const Modulus& m, i64* row);
    // The centred integers with these residues as doubles, rounded once. False: three limbs, and one of the values
    // needs the third; that entry is wrong.
    bool (*centred)(const CentredRadix&, const i64* x0, const i64* x1, const i64* x2, std::size_t n, double* out);
    // See sampling.h: all of `count` words, and whether every one was accepted; the discrete Gaussian.
    bool (*uniform)(const u64* words, std::size_t count, u64 q, u64 refuse_below, i64* out);
    void (*table)(const u64* words, std::size_t count, const u64* table, std::size_t entries, i64* out);
};

extern const Loops kLoopsPortable;
#if defined(AEGIS_X86)
extern const Loops kLoopsAvx2;
extern const Loops kLoopsAvx512;
#endif

// Best first, "portable" always last.
std::vector<const Loops*> available_loops();

// nullptr if the name is unknown or the machine cannot run it; the empty name is the best.
const Loops* find_loops(const std::string& name);

// The set of the same instructions as a kernel path.
const Loops* loops_beside(const std::string& path);

}  // namespace aegis
