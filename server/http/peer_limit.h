// How many connections one address may hold: half of all, so that one client cannot keep out the
// others. An IPv6 client is its /64 network. Loopback is not limited: a local proxy is one address
// for all its clients. Thread-safe.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

namespace lapidary {

class PeerLimit {
 public:
  // The address as 16 bytes of IPv6; IPv4 is mapped into it, of IPv6 only the network is kept.
  using Peer = std::array<uint8_t, 16>;

  // One connection of a peer, until destroyed. False: it is one too many.
  class Place {
   public:
    Place(PeerLimit* limit, const Peer& peer) : limit_(limit), peer_(peer) {}
    ~Place() {
      if (limit_ != nullptr) limit_->leave(peer_);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    explicit operator bool() const { return limit_ != nullptr; }

   private:
    PeerLimit* limit_;
    const Peer peer_;
  };

  explicit PeerLimit(size_t max_connections);

  static Peer peer_of(const sockaddr_storage& address);
  static Peer peer_of(int fd);  // at the other end of this socket

  Place enter(const Peer& peer);

 private:
  void leave(const Peer& peer);

  const size_t max_;
  std::mutex mutex_;
  std::map<Peer, size_t> counts_;
};

}  // namespace lapidary
