#include "loops_table.h"

namespace aegis {

constexpr Loops kLoopsAvx2 = loops_table<4>("avx2");

}  // namespace aegis
