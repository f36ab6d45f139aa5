// Bytes between processes of one host, through rings in memory that both have mapped: one for each direction of a
// pair. One copy into the ring, one out of it, no system call: a socket's take several times the processor.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

namespace aegis {

// At the beginning of each ring, zero at first; the bytes follow. Counters only rise: those of a writer and a reader.
struct RingHead {
    alignas(64) std::atomic<std::uint64_t> written;
    alignas(64) std::atomic<std::uint64_t> read;
};

// One end, with a thread that moves what was posted: of each peer and direction in the order of posting.
class HostLink {
  public:
    // incoming[i], outgoing[i]: rings of peer i, of `capacity` bytes behind the head; null where there is no peer.
    HostLink(std::vector<void*> incoming, std::vector<void*> outgoing, std::size_t capacity);
    ~HostLink();  // what is under way is given up
    HostLink(const HostLink&) = delete;
    HostLink& operator=(const HostLink&) = delete;

    // A ticket to wait with. The memory must stay until that is done. Throws out_of_range for no peer.
    std::uint64_t send(std::size_t peer, const void* data, std::size_t bytes);
    std::uint64_t receive(std::size_t peer, void* data, std::size_t bytes);
    // Whether it is done, within so many seconds: sent is what lies in the ring.
    bool wait(std::uint64_t ticket, double seconds);

  private:
    struct Job {
        char* data;
        std::size_t bytes, moved;
        std::uint64_t ticket;
    };
    struct Lane {
        RingHead* head;
        char* bytes;
        bool out;
        std::deque<Job> jobs;
    };

    std::uint64_t post(std::size_t lane, void* data, std::size_t bytes);
    void work();
    bool move(Lane& lane, Job& job);

    const std::size_t capacity_;
    std::vector<Lane> lanes_;  // incoming, then outgoing
    std::size_t peers_, posted_ = 0;
    std::unordered_set<std::uint64_t> under_way_;
    std::uint64_t next_ = 0;
    bool stop_ = false;
    std::mutex mutex_;
    std::condition_variable work_, done_;
    std::thread thread_;
};

}  // namespace aegis
