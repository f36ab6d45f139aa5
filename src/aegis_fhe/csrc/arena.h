// Memory that operations take and give back all the time: kept and reused instead of returned to the system, which
// would hand it out again page by page, each page zeroed in a fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "arena_ranges.h"

namespace aegis {

// Where operations take their scratch from.
class Memory {
  public:
    struct Block {
        void* data;
        std::size_t bytes;  // at least what was asked for
    };
    virtual ~Memory() = default;
    virtual Block take(std::size_t bytes) = 0;  // at least one byte. Throws bad_alloc
    virtual void give(Block block) = 0;
};

// Thread safe. Blocks go by size class; a freed block is cached and the last one freed is reused first (its cache
// lines are warm). Where none of the class is, those unused for longest become ranges that join, of which a block of
// another class is cut. Before new memory is touched, ranges go back to the system until
// in use + cached <= most ever in use + slack: a long run keeps its fullest moment, not the sum of all shapes it met.
class Arena : public Memory {
  public:
    struct Counters {
        std::size_t in_use, cached, peak_in_use, peak_held, made;  // bytes; held = in use + cached; made: new blocks
    };

    explicit Arena(std::size_t slack_bytes = std::size_t{128} << 20) : slack_(slack_bytes) {}
    ~Arena() override { trim(); }  // every block in use holds the arena, so all are cached by now
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    Block take(std::size_t bytes) override;  // aligned to pages; as many bytes as its class has
    void give(Block block) override;
    // Has at least so many bytes cached, and all of them touched. They are kept as if they had been in use. Throws
    // bad_alloc
    void reserve(std::size_t bytes);
    std::size_t trim();  // returns everything cached to the system; how many bytes that was
    Counters counters() const;
    void reset_peaks();  // peaks start again at what there is now; what is kept does not depend on them

    // Rounded up by less than 1/16 (to a page, below 64 KiB), so that shapes of nearly one size share their memory.
    static std::size_t size_class(std::size_t bytes);

  private:
    struct Cached {
        void* data;
        std::uint64_t freed_at;
    };
    using Cache = std::map<std::size_t, std::deque<Cached>>;

    bool take_cached(Block& block);
    void* take_new(std::size_t bytes);
    void join_oldest();
    void count_in_use(std::size_t bytes);

    const std::size_t slack_;
    mutable std::mutex mutex_;
    Cache cache_;  // no empty class
    Ranges ranges_;
    std::uint64_t clock_ = 0;
    Counters counters_{};
    std::size_t most_in_use_ = 0;
};

// Memory of one operation, given back at its end.
class Scratch {
  public:
    Scratch(Memory& memory, std::size_t words) : memory_(memory), block_(memory.take(words * sizeof(std::uint64_t))) {}
    ~Scratch() { memory_.give(block_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    std::uint64_t* data() const { return static_cast<std::uint64_t*>(block_.data); }

  private:
    Memory& memory_;
    Memory::Block block_;
};

}  // namespace aegis
