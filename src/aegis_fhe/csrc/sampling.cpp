#include "sampling.h"

namespace aegis {

std::size_t sample_uniform(const u64* words, std::size_t count, u64 q, i64* out, std::size_t wanted) {
    const u64 refuse_below = (0 - q) % q;  // 2^64 mod q
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < count && accepted < wanted; ++i) {
        u128 product = static_cast<u128>(words[i]) * q;
        out[accepted] = static_cast<i64>(product >> 64);
        accepted += static_cast<u64>(product) >= refuse_below;
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

void sample_table(const u64* words, std::size_t count, const u64* table, std::size_t entries, i64* out) {
    for (std::size_t i = 0; i < count; ++i) {
        u64 u = words[i] >> 1;
        i64 magnitude = 0;
        for (std::size_t k = 0; k < entries; ++k) magnitude += static_cast<i64>((table[k] - 1 - u) >> 63);
        i64 sign = -static_cast<i64>(words[i] & 1);
        out[i] = (magnitude ^ sign) - sign;
    }
}

}  // namespace aegis
