#include "loops_table.h"

namespace aegis {

constexpr Loops kLoopsAvx512 = loops_table<8>("avx512");

}  // namespace aegis
