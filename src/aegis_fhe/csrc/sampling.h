// From keystream bytes to samples. The keystream comes from a vetted library; nothing here is a generator.
#pragma once

#include <cstddef>

#include "loops.h"

namespace aegis {

// Exact uniform residues: word w gives floor(w q / 2^64), refused when the low half of w q is below 2^64 mod q
// (Lemire 2019). Reads words in order until `wanted` are accepted or `count` are read; returns the number accepted.
std::size_t sample_uniform(const Loops& loops, const u64* words, std::size_t count, u64 q, i64* out,
                           std::size_t wanted);

// Uniform on {-1, 0, 1}: bytes below 255, modulo 3, minus 1. Returns the number accepted.
std::size_t sample_ternary(const std::uint8_t* bytes, std::size_t count, i64* out, std::size_t wanted);

// One word per sample: 63 bits against the whole table of P(|x| <= k) 2^63, one bit of sign. Constant time.
void sample_table(const Loops& loops, const u64* words, std::size_t count, const u64* table, std::size_t entries,
                  i64* out);

}  // namespace aegis
