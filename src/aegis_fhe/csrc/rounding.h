// The overflow count v = round(sum_i y_i / q_i) of a basis conversion where its estimate in doubles lies close to
// k + 1/2: settled by comparing 2 sum_i y_i Q/q_i with (2k + 1) Q, word by word from the lowest.
#pragma once

#include "modular.h"

namespace aegis {

// Distance of the fraction from 1/2 under which the double estimate of v is not trusted. The error of the estimate
// is below (terms^2 + 3 terms) 2^-53 < 2^-38 for the 128 limbs that Ring allows.
constexpr double kOverflowMargin = 1.0 / (1ull << 36);

// k or k + 1. y(i) < 2^50; product_words: Q; hat_words: [sources][words], Q/q_i. Equality cannot happen: Q is odd.
// 128 products of y_i < 2^51 and a word, and the carry, are below 2^123.
template <class Y>
AEGIS_HD u64 settled_overflow(std::size_t sources, std::size_t words, const u64* product_words, const u64* hat_words,
                              u64 k, const Y& y) {
    u128 sum = 0, middle = 0;
    bool above = false;
    for (std::size_t w = 0; w < words; ++w) {
        for (std::size_t i = 0; i < sources; ++i) sum += static_cast<u128>(2 * y(i)) * hat_words[i * words + w];
        middle += static_cast<u128>(2 * k + 1) * product_words[w];
        const u64 left = static_cast<u64>(sum), right = static_cast<u64>(middle);
        if (left != right) above = left > right;
        sum >>= 64;
        middle >>= 64;
    }
    return k + (above ? 1 : 0);
}

}  // namespace aegis
