// All kernels: X(name, job, function, blocks): at least so many blocks of 256 threads share a multiprocessor, which
// bounds a thread's registers. Those of an arithmetic are compiled for the one that a device uses.
#pragma once

#include "device/convert.h"
#include "device/entrywise.h"
#include "device/products.h"
#include "device/transform.h"

#define AEGIS_DEVICE_KERNELS(X, A)                                     \
    X(forward_pass, TransformJob, forward_pass<A>, A::kPassBlocks)     \
    X(inverse_pass, TransformJob, inverse_pass<A>, A::kPassBlocks)     \
    X(entrywise, EntrywiseJob, entrywise, 4)                           \
    X(sum, SumJob, sum, 4)                                             \
    X(automorphism, AutomorphismJob, automorphism, 4)                  \
    X(from_signed, SignedJob, from_signed, 4)                          \
    X(table, TableJob, table, 1)                                       \
    X(convert, ConvertJob, convert<A>, 3)                              \
    X(key_product, KeyJob, key_product<A>, 4)                          \
    X(tensor, TensorJob, tensor<A>, 1)                                 \
    X(periodic, PeriodicJob, periodic<A>, 2)
