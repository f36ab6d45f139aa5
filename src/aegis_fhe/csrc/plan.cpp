// Constants of an exact basis conversion.
#include "ring.h"

namespace aegis {
namespace {

// a <- a * b + c; the caller provides the room.
void multiply_add(u64* a, std::size_t words, u64 b, u64 c) {
    u128 carry = c;
    for (std::size_t i = 0; i < words; ++i) {
        carry += static_cast<u128>(a[i]) * b;
        a[i] = static_cast<u64>(carry);
        carry >>= 64;
    }
}

}  // namespace

std::unique_ptr<OwnedPlan> build_plan(const std::vector<Limb>& limbs, const Index& source, const Index& target) {
    auto owned = std::make_unique<OwnedPlan>();
    std::size_t sources = source.size(), targets = target.size();
    for (int i : source) owned->source.push_back(&limbs[i]);
    for (int j : target) owned->target.push_back(&limbs[j]);
    for (std::size_t i = 0; i < sources; ++i) {
        const Modulus& m = owned->source[i]->m;
        u64 hat = 1 % m.q;
        for (std::size_t k = 0; k < sources; ++k)
            if (k != i) hat = mul_mod(hat, owned->source[k]->m.q % m.q, m);
        owned->hat_inverse.push_back(inverse_mod(hat, m));
        owned->hat_inverse_shoup.push_back(shoup_factor(owned->hat_inverse[i], m.q));
    }
    for (const Limb* limb : owned->target) {
        const Modulus& m = limb->m;
        u64 product = 1 % m.q;
        for (std::size_t i = 0; i < sources; ++i) {
            u64 hat = 1 % m.q;
            for (std::size_t k = 0; k < sources; ++k)
                if (k != i) hat = mul_mod(hat, owned->source[k]->m.q % m.q, m);
            owned->weights.push_back(hat);
            product = mul_mod(product, owned->source[i]->m.q % m.q, m);
        }
        owned->weights.push_back(product == 0 ? 0 : m.q - product);
        owned->product_inverse.push_back(inverse_mod(product, m));
    }
    for (u64 w : owned->weights) owned->weights_double.push_back(static_cast<double>(w));
    for (std::size_t j = 0; j < targets; ++j)
        for (std::size_t i = 0; i <= sources; ++i)
            owned->weights_montgomery.push_back(static_cast<u64>(
                (static_cast<u128>(owned->weights[j * (sources + 1) + i]) << 52) % owned->target[j]->m.q));
    // Two words of head room: 2 sum y_i Q/q_i < 2 * 128 * Q.
    std::size_t words = (50 * sources + 63) / 64 + 2;
    owned->product_words.assign(words, 0);
    owned->product_words[0] = 1;
    owned->hat_words.assign(sources * words, 0);
    for (std::size_t i = 0; i < sources; ++i) {
        u64 q = owned->source[i]->m.q;
        multiply_add(owned->product_words.data(), words, q, 0);
        u64* hat = owned->hat_words.data() + i * words;
        hat[0] = 1;
        for (std::size_t k = 0; k < sources; ++k)
            if (k != i) multiply_add(hat, words, owned->source[k]->m.q, 0);
    }
    owned->plan = ConvertPlan{sources,
                              targets,
                              owned->source.data(),
                              owned->target.data(),
                              owned->hat_inverse.data(),
                              owned->hat_inverse_shoup.data(),
                              owned->weights.data(),
                              owned->weights_double.data(),
                              owned->weights_montgomery.data(),
                              owned->product_inverse.data(),
                              words,
                              owned->product_words.data(),
                              owned->hat_words.data()};
    return owned;
}

u64 exact_overflow(const ConvertPlan& plan, const u64* y, std::size_t stride, double estimate) {
    return settled_overflow(plan.sources, plan.words, plan.product_words, plan.hat_words, static_cast<u64>(estimate),
                            [=](std::size_t i) { return y[i * stride]; });
}

}  // namespace aegis
