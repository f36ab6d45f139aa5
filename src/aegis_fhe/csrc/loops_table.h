// The table of one instruction set; kWidth: doubles in its vectors.
#pragma once

#include "embedding_stages.h"
#include "loops.h"
#include "word_loops.h"

namespace aegis {
namespace {

template <int kWidth>
constexpr Loops loops_table(const char* name) {
    return {name,         enter,         leave,       evaluate4<kWidth>, interpolate4<kWidth>, evaluate2,
            interpolate2, round_doubles, from_signed, subtract_product,  centred, uniform,              table};
}

}  // namespace
}  // namespace aegis
