// The AVX512-IFMA path: each lane function is one instruction. The kernels are those tested as "emulated-ifma".
// Compiled with -mavx512f -mavx512dq -mavx512vl -mavx512ifma.
#include <immintrin.h>

#include "ifma_path.h"

namespace aegis {
namespace {

struct IfmaLanes {
    using Word = __m512i;
    AEGIS_HD Word all(u64 x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
    AEGIS_HD Word load(const u64* p) { return _mm512_loadu_si512(p); }
    AEGIS_HD void store(u64* p, Word x) { _mm512_storeu_si512(p, x); }
    AEGIS_HD Word low(Word c, Word a, Word b) { return _mm512_madd52lo_epu64(c, a, b); }
    AEGIS_HD Word high(Word c, Word a, Word b) { return _mm512_madd52hi_epu64(c, a, b); }
    AEGIS_HD Word add(Word a, Word b) { return _mm512_add_epi64(a, b); }
    AEGIS_HD Word sub(Word a, Word b) { return _mm512_sub_epi64(a, b); }
    AEGIS_HD Word min(Word a, Word b) { return _mm512_min_epu64(a, b); }
    // whether a lane is below the bound
    AEGIS_HD bool any_below(Word a, Word bound) { return _mm512_cmplt_epu64_mask(a, bound) != 0; }
    AEGIS_HD Word both(Word a, Word b) { return _mm512_and_si512(a, b); }
    // x times a power of two
    AEGIS_HD Word times_power(Word x, int power) { return _mm512_slli_epi64(x, __builtin_ctz(power)); }
    template <int kCount>
    AEGIS_HD Word right(Word a) {
        return _mm512_srli_epi64(a, kCount);
    }
    AEGIS_HD Word right_by(Word a, int count) { return _mm512_srl_epi64(a, _mm_cvtsi32_si128(count)); }
    AEGIS_HD Word left(Word a, int count) { return _mm512_sll_epi64(a, _mm_cvtsi32_si128(count)); }
    // lane i of the result is lane order[i] of a
    AEGIS_HD Word permute(Word a, Word order) { return _mm512_permutexvar_epi64(order, a); }
    AEGIS_HD Word unpack_low(Word a, Word b) { return _mm512_unpacklo_epi64(a, b); }
    AEGIS_HD Word unpack_high(Word a, Word b) { return _mm512_unpackhi_epi64(a, b); }
    template <int kSelect>
    AEGIS_HD Word pairs(Word a, Word b) {
        return _mm512_shuffle_i64x2(a, b, kSelect);
    }
};

}  // namespace

constexpr Kernels kAvx512Ifma = IfmaPath<IfmaLanes>::table("avx512ifma");

}  // namespace aegis
