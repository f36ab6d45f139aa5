// What one process rings and another sleeps by, in memory that both have mapped (std::atomic's own wait is for the
// threads of one process).
#pragma once

#include <atomic>
#include <cstdint>

namespace aegis {

// Zero at first. rung only rises; asleep: whether someone sleeps, so that ringing for nobody is no system call.
struct SharedBell {
    alignas(64) std::atomic<std::uint32_t> rung;
    alignas(64) std::atomic<std::uint32_t> asleep;

    void ring();
    // Until it is rung, unless that has happened since rung was `heard`; also sometimes without a cause.
    void sleep(std::uint32_t heard);
};

}  // namespace aegis
