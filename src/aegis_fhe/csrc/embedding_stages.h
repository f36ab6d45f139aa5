// Stages of the canonical embedding. w_j(L) = exp(2 pi i 5^j / 4L), and for a polynomial c of n complex coefficients
//   A_L[j][r] = sum_k c_(r + k n/L) w_j(L)^k,   j < L, r < n/L, stored at j n/L + r:
// A_1 = c, A_n[j] = c(w_j(n)) = slot j. Because w_j(2L)^2 = w_j(L) and w_(j+L)(2L) = -w_j(2L),
//   A_2L[j][r] = A_L[j][r] + w A_L[j][r + n/2L],  A_2L[j + L][r] = the same with -, w = w_j(2L).
// Order of slots, twist by exp(i pi k / M) and bit reversal are all in the roots and in the storage. Two of these are
// one stage of radix 4: with v = w_j(4L), w_(j+L)(4L) = i v for L = 1 and -i v for L >= 2 (5^L = 1 + 4L or 1 + 12L
// modulo 16L). The inverse undoes stages without halving: it yields n times the coefficients.
#pragma once

#include "lanes.h"

namespace aegis {
namespace {

template <class V>
AEGIS_HD Complex<V> load_at(const double* x, std::size_t at, std::size_t n) {
    return {load<V>(x + at), load<V>(x + at + n)};
}

template <class V>
AEGIS_HD void store_at(double* x, std::size_t at, std::size_t n, Complex<V> a) {
    store(x + at, a.re);
    store(x + at + n, a.im);
}

// v, v^2, v^3 for one j (broadcast) or for as many as there are lanes.
template <class V>
struct Roots3 {
    Complex<V> v, v2, v3;
};

template <class V>
AEGIS_HD Roots3<V> roots_of(const double* w, std::size_t length, std::size_t j) {
    return {{all<V>(w[j]), all<V>(w[length + j])},
            {all<V>(w[2 * length + j]), all<V>(w[3 * length + j])},
            {all<V>(w[4 * length + j]), all<V>(w[5 * length + j])}};
}

template <class V>
AEGIS_HD Roots3<V> roots_from(const double* w, std::size_t length, std::size_t j) {
    return {load_at<V>(w, j, length), load_at<V>(w + 2 * length, j, length), load_at<V>(w + 4 * length, j, length)};
}

// x -> A at j, and at the three places L, 2L, 3L further: u1 belongs to the root i v, u3 to -i v.
template <class V>
AEGIS_HD void evaluate(Complex<V> x[4], const Roots3<V>& w) {
    Complex<V> b = product(x[1], w.v), c = product(x[2], w.v2), d = product(x[3], w.v3);
    Complex<V> even = x[0] + c, odd = x[0] - c, sum = b + d, difference = times_i(b - d);
    x[0] = even + sum;
    x[1] = odd + difference;
    x[2] = even - sum;
    x[3] = odd - difference;
}

template <class V>
AEGIS_HD void interpolate(Complex<V> u[4], const Roots3<V>& w) {
    Complex<V> even = u[0] + u[2], sum = u[0] - u[2], odd = u[1] + u[3], difference = times_i(u[3] - u[1]);
    u[0] = even + odd;
    u[1] = conjugate_product(sum + difference, w.v);
    u[2] = conjugate_product(even - odd, w.v2);
    u[3] = conjugate_product(sum - difference, w.v3);
}

// Places of the four outputs of `evaluate`, in units of L points.
struct Places {
    std::size_t at[4];
};

AEGIS_HD Places places(std::size_t length) {
    return length == 1 ? Places{{0, 1, 2, 3}} : Places{{0, 3, 2, 1}};
}

// Runs of h = n / 4L neighbours share their roots.
template <class V>
void evaluate_runs(const double* x, double* y, std::size_t n, std::size_t length, const double* roots) {
    const std::size_t h = n / (4 * length), lanes = sizeof(V) / sizeof(double);
    const Places place = places(length);
    for (std::size_t j = 0; j < length; ++j) {
        const Roots3<V> w = roots_of<V>(roots, length, j);
        for (std::size_t r = 0; r < h; r += lanes) {
            Complex<V> u[4];
            for (int k = 0; k < 4; ++k) u[k] = load_at<V>(x, 4 * h * j + k * h + r, n);
            evaluate(u, w);
            for (int k = 0; k < 4; ++k) store_at(y, h * (j + place.at[k] * length) + r, n, u[k]);
        }
    }
}

template <class V>
void interpolate_runs(const double* y, double* x, std::size_t n, std::size_t length, const double* roots) {
    const std::size_t h = n / (4 * length), lanes = sizeof(V) / sizeof(double);
    const Places place = places(length);
    for (std::size_t j = 0; j < length; ++j) {
        const Roots3<V> w = roots_of<V>(roots, length, j);
        for (std::size_t r = 0; r < h; r += lanes) {
            Complex<V> u[4];
            for (int k = 0; k < 4; ++k) u[k] = load_at<V>(y, h * (j + place.at[k] * length) + r, n);
            interpolate(u, w);
            for (int k = 0; k < 4; ++k) store_at(x, 4 * h * j + k * h + r, n, u[k]);
        }
    }
}

// h = 1: the four coefficients of a point are neighbours; four points at once.
inline void evaluate_points(const double* x, double* y, std::size_t n, std::size_t length, const double* roots) {
    for (std::size_t j = 0; j < length; j += 4) {
        Complex<Four> u[4];
        for (int k = 0; k < 4; ++k) u[k] = load_at<Four>(x, 4 * (j + k), n);
        transpose(u[0].re, u[1].re, u[2].re, u[3].re);
        transpose(u[0].im, u[1].im, u[2].im, u[3].im);
        evaluate(u, roots_from<Four>(roots, length, j));
        const Places place = places(length);
        for (int k = 0; k < 4; ++k) store_at(y, j + place.at[k] * length, n, u[k]);
    }
}

inline void interpolate_points(const double* y, double* x, std::size_t n, std::size_t length, const double* roots) {
    for (std::size_t j = 0; j < length; j += 4) {
        Complex<Four> u[4];
        const Places place = places(length);
        for (int k = 0; k < 4; ++k) u[k] = load_at<Four>(y, j + place.at[k] * length, n);
        interpolate(u, roots_from<Four>(roots, length, j));
        transpose(u[0].re, u[1].re, u[2].re, u[3].re);
        transpose(u[0].im, u[1].im, u[2].im, u[3].im);
        for (int k = 0; k < 4; ++k) store_at(x, 4 * (j + k), n, u[k]);
    }
}

template <int kWidth>
void evaluate4(const double* x, double* y, std::size_t n, std::size_t length, const double* roots) {
    const std::size_t h = n / (4 * length);
    if (h >= kWidth) return evaluate_runs<Lanes<kWidth>>(x, y, n, length, roots);
    if (h == 4) return evaluate_runs<Four>(x, y, n, length, roots);
    if (length >= 4) return evaluate_points(x, y, n, length, roots);
    evaluate_runs<double>(x, y, n, length, roots);
}

template <int kWidth>
void interpolate4(const double* y, double* x, std::size_t n, std::size_t length, const double* roots) {
    const std::size_t h = n / (4 * length);
    if (h >= kWidth) return interpolate_runs<Lanes<kWidth>>(y, x, n, length, roots);
    if (h == 4) return interpolate_runs<Four>(y, x, n, length, roots);
    if (length >= 4) return interpolate_points(y, x, n, length, roots);
    interpolate_runs<double>(y, x, n, length, roots);
}

// L = 1 -> 2: the root is root (1 + i), root = sqrt(1/2).
inline void evaluate2(const double* x, double* y, std::size_t n, double root) {
    for (std::size_t r = 0; r < n / 2; ++r) {
        double re = (x[r + n / 2] - x[r + n / 2 + n]) * root, im = (x[r + n / 2] + x[r + n / 2 + n]) * root;
        y[r] = x[r] + re;
        y[r + n] = x[r + n] + im;
        y[r + n / 2] = x[r] - re;
        y[r + n / 2 + n] = x[r + n] - im;
    }
}

inline void interpolate2(const double* y, double* x, std::size_t n, double root) {
    for (std::size_t r = 0; r < n / 2; ++r) {
        double re = y[r] - y[r + n / 2], im = y[r + n] - y[r + n / 2 + n];
        x[r] = y[r] + y[r + n / 2];
        x[r + n] = y[r + n] + y[r + n / 2 + n];
        x[r + n / 2] = (re + im) * root;
        x[r + n / 2 + n] = (im - re) * root;
    }
}

inline void enter(const double* complex, std::size_t n, double* split) {
    for (std::size_t j = 0; j < n; ++j) {
        split[j] = complex[2 * j];
        split[j + n] = complex[2 * j + 1];
    }
}

inline void leave(const double* split, std::size_t n, double factor, double* complex) {
    for (std::size_t j = 0; j < n; ++j) {
        complex[2 * j] = split[j] * factor;
        complex[2 * j + 1] = split[j + n] * factor;
    }
}

}  // namespace
}  // namespace aegis
