#include "server/http/peer_limit.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace lapidary {
namespace {

constexpr PeerLimit::Peer kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t kMappedBytes = 12;
constexpr size_t kNetworkBytes = 8;
constexpr PeerLimit::Peer kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

bool is_ipv4(const PeerLimit::Peer& peer) {
  return std::equal(kMapped.begin(), kMapped.begin() + kMappedBytes, peer.begin());
}

bool is_loopback(const PeerLimit::Peer& peer) {
  return peer == kLoopback6 || (is_ipv4(peer) && peer[kMappedBytes] == 127);
}

}  // namespace

PeerLimit::PeerLimit(size_t max_connections) : max_(std::max<size_t>(1, max_connections / 2)) {}

PeerLimit::Peer PeerLimit::peer_of(const sockaddr_storage& address) {
  Peer peer = kMapped;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    std::memcpy(peer.data() + kMappedBytes, &v4.sin_addr, sizeof v4.sin_addr);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    std::memcpy(peer.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
    if (!is_ipv4(peer) && !is_loopback(peer)) {
      std::fill(peer.begin() + kNetworkBytes, peer.end(), uint8_t{0});
    }
  }
  return peer;
}

PeerLimit::Peer PeerLimit::peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size);  // fails: one peer for all such
  return peer_of(address);
}

PeerLimit::Place PeerLimit::enter(const Peer& peer) {
  const std::lock_guard lock(mutex_);
  size_t& count = counts_[peer];
  if (count >= max_ && !is_loopback(peer)) return {nullptr, peer};
  ++count;
  return {this, peer};
}

void PeerLimit::leave(const Peer& peer) {
  const std::lock_guard lock(mutex_);
  const auto it = counts_.find(peer);
  if (--it->second == 0) counts_.erase(it);
}

}  // namespace lapidary
