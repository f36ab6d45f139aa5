// The IFMA kernels over lanes in plain C++ with the exact meaning of each instruction: slow, for tests on any machine.
#include "ifma_path.h"

namespace aegis {
namespace {

struct EmulatedLanes {
    struct Word {
        u64 lane[8];
    };
    static constexpr u64 kMask52 = (u64{1} << 52) - 1;

    template <class F>
    static Word each(F f) {
        Word r;
        for (int i = 0; i < 8; ++i) r.lane[i] = f(i);
        return r;
    }
    static Word all(u64 x) { return each([&](int) { return x; }); }
    static Word load(const u64* p) { return each([&](int i) { return p[i]; }); }
    static void store(u64* p, Word x) {
        for (int i = 0; i < 8; ++i) p[i] = x.lane[i];
    }
    static u128 product(u64 a, u64 b) { return static_cast<u128>(a & kMask52) * (b & kMask52); }
    // vpmadd52luq, vpmadd52huq
    static Word low(Word c, Word a, Word b) {
        return each([&](int i) { return c.lane[i] + (static_cast<u64>(product(a.lane[i], b.lane[i])) & kMask52); });
    }
    static Word high(Word c, Word a, Word b) {
        return each([&](int i) { return c.lane[i] + static_cast<u64>(product(a.lane[i], b.lane[i]) >> 52); });
    }
    static Word add(Word a, Word b) { return each([&](int i) { return a.lane[i] + b.lane[i]; }); }
    static Word sub(Word a, Word b) { return each([&](int i) { return a.lane[i] - b.lane[i]; }); }
    static Word min(Word a, Word b) { return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; }); }
    static bool any_below(Word a, Word bound) {
        bool any = false;
        for (int i = 0; i < 8; ++i) any |= a.lane[i] < bound.lane[i];
        return any;
    }
    static Word both(Word a, Word b) { return each([&](int i) { return a.lane[i] & b.lane[i]; }); }
    static Word times_power(Word x, int power) { return each([&](int i) { return x.lane[i] * static_cast<u64>(power); }); }
    template <int kCount>
    static Word right(Word a) {
        return each([&](int i) { return a.lane[i] >> kCount; });
    }
    static Word right_by(Word a, int count) { return each([&](int i) { return a.lane[i] >> count; }); }
    static Word left(Word a, int count) { return each([&](int i) { return a.lane[i] << count; }); }
    static Word permute(Word a, Word order) { return each([&](int i) { return a.lane[order.lane[i] & 7]; }); }
    // vpunpcklqdq, vpunpckhqdq
    static Word unpack_low(Word a, Word b) { return each([&](int i) { return (i & 1 ? b : a).lane[i & 6]; }); }
    static Word unpack_high(Word a, Word b) { return each([&](int i) { return (i & 1 ? b : a).lane[(i & 6) + 1]; }); }
    // vshufi64x2: 128-bit pairs imm[1:0], imm[3:2] of a, then imm[5:4], imm[7:6] of b
    template <int kSelect>
    static Word pairs(Word a, Word b) {
        return each([&](int i) { return (i < 4 ? a : b).lane[2 * ((kSelect >> (2 * (i / 2))) & 3) + (i & 1)]; });
    }
};

}  // namespace

constexpr Kernels kEmulatedIfma = IfmaPath<EmulatedLanes>::table("emulated-ifma");

}  // namespace aegis
