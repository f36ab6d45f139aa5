// What is compiled at run time for a GPU: AEGIS_ARITHMETIC is Fp64 or Words.
#include "device/kernel_list.h"

#define AEGIS_ENTRY(name, Job, function, blocks)                                \
    extern "C" __global__ void __launch_bounds__(256, blocks)                   \
        aegis_##name(const __grid_constant__ aegis::device::Job job) {          \
        aegis::device::function(aegis::device::Block{}, job);                   \
    }
#define AEGIS_A aegis::device::AEGIS_ARITHMETIC
AEGIS_DEVICE_KERNELS(AEGIS_ENTRY, AEGIS_A)
