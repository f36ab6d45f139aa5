// Free memory of an arena: ranges of pages inside regions that are asked of the system whole, so that what one shape
// leaves serves another one without the system zeroing it again, and huge pages serve small blocks too.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <utility>

namespace aegis {

// Not thread safe. A fresh range has not been touched since the system gave it, and takes no memory. Neighbours of one
// region that are both fresh or both used are one range.
class Ranges {
  public:
    Ranges() = default;
    ~Ranges();  // everything has come back by now
    Ranges(const Ranges&) = delete;
    Ranges& operator=(const Ranges&) = delete;

    std::size_t used_bytes() const { return used_bytes_; }
    void* take_used(std::size_t bytes);   // of the smallest used range that is long enough, or null
    void* take_fresh(std::size_t bytes);  // the same of fresh ones, of a new region where there is none; or null
    void give(void* data, std::size_t bytes);
    // Returns used ranges to the system, the longest first, until no more than so many bytes are left of them.
    void release(std::size_t keep_bytes);

  private:
    using Range = std::pair<char* const, std::pair<std::size_t, bool>>;  // where, (bytes, fresh)
    using Sizes = std::set<std::pair<std::size_t, char*>>;

    void* take(Sizes& sizes, std::size_t bytes);
    void add(char* data, std::size_t bytes, bool fresh);
    void remove(std::map<char*, std::pair<std::size_t, bool>>::iterator range);
    bool joins(const Range& left, const Range& right) const;
    bool add_region(std::size_t bytes);
    Sizes& sizes(bool fresh) { return fresh ? fresh_ : used_; }

    std::map<char*, std::size_t> regions_;
    std::map<char*, std::pair<std::size_t, bool>> ranges_;
    Sizes used_, fresh_;
    std::size_t used_bytes_ = 0;
};

}  // namespace aegis
