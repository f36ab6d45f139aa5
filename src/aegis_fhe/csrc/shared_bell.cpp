#include "shared_bell.h"

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#else
#include <chrono>
#include <thread>
#endif

namespace aegis {

#ifdef __linux__
namespace {

constexpr timespec kLongestSleep = {1, 0};

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* timeout) {
    static_assert(sizeof(word) == sizeof(value));
    return syscall(SYS_futex, &word, operation, value, timeout, nullptr, 0);
}

}  // namespace
#endif

// Either this sees that someone is asleep, or that one, who says so first, sees that it was rung and does not sleep.
void SharedBell::ring() {
    rung.fetch_add(1);
#ifdef __linux__
    if (asleep.load() != 0) futex(rung, FUTEX_WAKE, INT_MAX, nullptr);
#endif
}

void SharedBell::sleep(std::uint32_t heard) {
    asleep.store(1);
#ifdef __linux__
    futex(rung, FUTEX_WAIT, heard, &kLongestSleep);
#else
    if (rung.load() == heard) std::this_thread::sleep_for(std::chrono::microseconds(500));
#endif
    asleep.store(0);
}

}  // namespace aegis
