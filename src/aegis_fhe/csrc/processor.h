// What this processor can run. __builtin_cpu_supports asks the operating system too: it reports AVX states only where
// XGETBV shows them enabled.
#pragma once

namespace aegis {
namespace {

#if defined(AEGIS_X86)
[[maybe_unused]] bool has_avx2() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

[[maybe_unused]] bool has_avx512() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

[[maybe_unused]] bool has_avx512ifma() { return has_avx512() && __builtin_cpu_supports("avx512ifma"); }
#endif

}  // namespace
}  // namespace aegis
