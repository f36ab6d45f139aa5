// Bytes between processes of one host, through rings in memory that both have mapped: one for each direction of a
// pair. One copy into the ring, one out of it; a socket's take several times the processor. Who has nothing to move
// sleeps until a bell is rung: looking from time to time would take the processor from what it computes.
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

#include "shared_bell.h"

namespace aegis {

// At the beginning of each ring, zero at first; the bytes follow. Counters only rise: those of a writer and a reader.
struct RingHead {
    alignas(64) std::atomic<std::uint64_t> written;
    alignas(64) std::atomic<std::uint64_t> read;
};

// Of one peer, as this process has mapped it: its bell, and behind their heads the rings that are read and written
// here. All null where there is no peer.
struct HostPeer {
    void *bell, *incoming, *outgoing;
};

// One end, with a thread that moves what was posted: of each peer and direction in the order of posting.
class HostLink {
  public:
    // bell: this end's, that peers ring; capacity: bytes of each ring.
    HostLink(void* bell, const std::vector<HostPeer>& peers, std::size_t capacity);
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
        SharedBell* bell;  // the peer's
        RingHead* head;
        char* bytes;
        bool out;
        std::deque<Job> jobs;
    };

    std::uint64_t post(std::size_t lane, void* data, std::size_t bytes);
    void work();
    bool can_move(const Lane& lane) const;
    bool move(Lane& lane, Job& job);

    SharedBell& bell_;
    const std::size_t capacity_;
    std::vector<Lane> lanes_;  // incoming, then outgoing
    const std::size_t peers_;
    std::unordered_set<std::uint64_t> under_way_;
    std::uint64_t next_ = 0;
    bool stop_ = false;
    std::mutex mutex_;
    std::condition_variable done_;
    std::thread thread_;
};

}  // namespace aegis
