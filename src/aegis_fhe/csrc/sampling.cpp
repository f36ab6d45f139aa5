#include "sampling.h"

#include <algorithm>

namespace aegis {
namespace {

constexpr std::size_t kUniformBlock = 64;  // one refusal in 2^14 words or fewer: most blocks have none

std::size_t accept_one_by_one(const u64* words, std::size_t count, u64 q, u64 refuse_below, i64* out) {
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < count; ++i) {
        u128 product = static_cast<u128>(words[i]) * q;
        if (static_cast<u64>(product) >= refuse_below) out[accepted++] = static_cast<i64>(product >> 64);
    }
    return accepted;
}

}  // namespace

std::size_t sample_uniform(const Loops& loops, const u64* words, std::size_t count, u64 q, i64* out,
                           std::size_t wanted) {
    const u64 refuse_below = (0 - q) % q;  // 2^64 mod q
    std::size_t accepted = 0;
    // A block is never longer than what is missing, so nothing is read that a caller asking for less would not read.
    for (std::size_t i = 0; i < count && accepted < wanted;) {
        std::size_t block = std::min({kUniformBlock, count - i, wanted - accepted});
        if (loops.uniform(words + i, block, q, refuse_below, out + accepted))
            accepted += block;
        else
            accepted += accept_one_by_one(words + i, block, q, refuse_below, out + accepted);
        i += block;
    }
    return accepted;
}

std::size_t sample_ternary(const std::uint8_t* bytes, std::size_t count, i64* out, std::size_t wanted) {
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < count && accepted < wanted; ++i) {
        u64 byte = bytes[i];
        out[accepted] = static_cast<i64>(byte - 3 * ((byte * 171) >> 9)) - 1;  // byte mod 3 without a division
        accepted += byte < 255;
    }
    return accepted;
}

void sample_table(const Loops& loops, const u64* words, std::size_t count, const u64* table, std::size_t entries,
                  i64* out) {
    loops.table(words, count, table, entries, out);
}

}  // namespace aegis
