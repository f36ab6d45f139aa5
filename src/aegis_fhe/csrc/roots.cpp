// Double-double arithmetic: Dekker, "A floating-point technique for extending the available precision" (1971);
// error bounds in Joldes, Muller and Popescu, "Tight and rigorous error bounds for basic building blocks of
// double-word arithmetic" (2017): a few 2^-106 for each operation.
#include "roots.h"

#include <cmath>

namespace aegis {
namespace {

DoubleDouble two_sum(double a, double b) {
    double s = a + b, t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}

// |a| >= |b|
DoubleDouble renormalise(double a, double b) {
    double s = a + b;
    return {s, b - (s - a)};
}

DoubleDouble add(DoubleDouble a, DoubleDouble b) {
    DoubleDouble s = two_sum(a.high, b.high), t = two_sum(a.low, b.low);
    DoubleDouble r = renormalise(s.high, s.low + t.high);
    return renormalise(r.high, r.low + t.low);
}

DoubleDouble negative(DoubleDouble a) { return {-a.high, -a.low}; }

DoubleDouble multiply(DoubleDouble a, DoubleDouble b) {
    double high = a.high * b.high;
    double low = std::fma(a.high, b.high, -high) + (a.high * b.low + a.low * b.high);
    return renormalise(high, low);
}

// One Newton step from the double quotient and from the double square root.
DoubleDouble divide(DoubleDouble a, DoubleDouble b) {
    double first = a.high / b.high;
    DoubleDouble rest = add(a, negative(multiply({first, 0}, b)));
    double second = rest.high / b.high;
    rest = add(rest, negative(multiply({second, 0}, b)));
    DoubleDouble sum = renormalise(first, second);
    return add(sum, {rest.high / b.high, 0});
}

DoubleDouble square_root(DoubleDouble a) {
    double first = std::sqrt(a.high);
    DoubleDouble rest = add(a, negative(multiply({first, 0}, {first, 0})));
    return renormalise(first, rest.high / (2 * first));
}

struct Angle {
    DoubleDouble cosine, sine;
};

// Sum of two angles of the first octant within it: the sine has no cancellation.
Angle sum(const Angle& a, const Angle& b) {
    return {add(multiply(a.cosine, b.cosine), negative(multiply(a.sine, b.sine))),
            add(multiply(a.sine, b.cosine), multiply(a.cosine, b.sine))};
}

Angle half(const Angle& a) {
    DoubleDouble one_plus = add({1, 0}, a.cosine);
    DoubleDouble cosine = square_root({one_plus.high / 2, one_plus.low / 2});
    return {cosine, divide(a.sine, {2 * cosine.high, 2 * cosine.low})};
}

}  // namespace

RootsOfUnity::RootsOfUnity(int log_order) : order_(std::size_t{1} << log_order), octant_(order_ / 8 + 1) {
    std::size_t eighth = order_ / 8;
    DoubleDouble diagonal = square_root({0.5, 0});
    std::vector<Angle> angles(eighth + 1);
    angles[0] = {{1, 0}, {0, 0}};
    std::vector<Angle> halves{{diagonal, diagonal}};  // pi/4, pi/8, ...
    while ((eighth >> (halves.size() - 1)) > 1) halves.push_back(half(halves.back()));
    for (std::size_t step = 1, level = halves.size(); step <= eighth; step *= 2) {
        --level;
        for (std::size_t k = 0; k < step && step + k <= eighth; ++k) angles[step + k] = sum(halves[level], angles[k]);
    }
    for (std::size_t k = 0; k <= eighth; ++k) octant_[k] = {angles[k].cosine.high, angles[k].sine.high};
}

Root RootsOfUnity::operator()(std::size_t k) const {
    std::size_t quarter = order_ / 4, quadrant = k % order_ / quarter, within = k % quarter;
    bool mirrored = within > order_ / 8;
    Root r = octant_[mirrored ? quarter - within : within];
    if (mirrored) r = {r.im, r.re};
    switch (quadrant) {
        case 0: return r;
        case 1: return {-r.im, r.re};
        case 2: return {-r.re, -r.im};
        default: return {r.im, -r.re};
    }
}

}  // namespace aegis
