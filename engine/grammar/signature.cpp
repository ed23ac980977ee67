#include "engine/grammar/signature.h"

namespace lapidary {
namespace {

constexpr uint32_t kMaxNested = 3000;
constexpr size_t kMaxKnown = 40000;

uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x7FB5D329728EA185ULL;
  x = (x ^ (x >> 27)) * 0x81DADEF4BC2DD44DULL;
  return x ^ (x >> 33);
}

void add(NodeSignature& signature, uint64_t value) {
  signature[0] = mixed(signature[0] + value);
  signature[1] = mixed((signature[1] ^ value) * 0x9E3779B97F4A7C15ULL + signature[0]);
}

void add(NodeSignature& signature, const NodeSignature& other) {
  add(signature, other[0]);
  add(signature, other[1]);
}

}  // namespace

std::optional<NodeSignature> SignatureReader::read(uint32_t node) {
  if (known_.size() > kMaxKnown / 2) known_.clear();
  is_too_large_ = false;
  const NodeSignature signature = of(node, depth_);
  if (!is_too_large_) return signature;
  known_.clear();
  return std::nullopt;
}

// What follows a byte lies one byte deeper, and so does what follows a call, which consumes at
// least one. Rules are not left-recursive: entering one at the same depth comes to an end.
NodeSignature SignatureReader::of(uint32_t node, uint32_t depth) {
  NodeSignature signature = secret_;
  if (depth == 0 || is_too_large_) return signature;
  const uint64_t key = (uint64_t{node} << 8) | depth;
  if (const auto at = known_.find(key); at != known_.end()) return at->second;
  if (++n_nested_ > kMaxNested || known_.size() > kMaxKnown) {
    is_too_large_ = true;
    --n_nested_;
    return signature;
  }
  add(signature, automaton_.accepts(node) ? 1 : 2);
  for (const ByteEdge& edge : automaton_.bytes(node)) {
    add(signature, 0x10000U | (uint32_t{edge.lo} << 8) | edge.hi);
    add(signature, of(edge.target, depth - 1));
  }
  for (const OtherEdge& edge : automaton_.others(node)) {
    if (edge.is_call) {
      add(signature, 3);
      add(signature, of(automaton_.entry(edge.operand), depth));
    } else {
      add(signature, 0x100000000ULL | edge.operand);
    }
    add(signature, of(edge.target, depth - 1));
  }
  --n_nested_;
  known_[key] = signature;
  return signature;
}

}  // namespace lapidary
