#include "loops_table.h"

namespace aegis {

constexpr Loops kLoopsPortable = loops_table<2>("portable");

}  // namespace aegis
