#include "kernels/cpu/sampling/nucleus.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cpu/sampling/clones.h"

namespace lapidary::cpu {
namespace {

// A bucket is a distance's exponent and 8 bits of its mantissa, which are in the distance's order
// as it is never negative. Nearer than 2^-8 and farther than 2^10 are one bucket each: fine enough
// for every temperature, few enough to walk.
constexpr int kShift = 15;
constexpr int32_t kNearBits = std::bit_cast<int32_t>(0x1p-8F);
constexpr int32_t kFarBits = std::bit_cast<int32_t>(0x1p10F);
constexpr int32_t kInfinityBits = 0x7F800000;
constexpr int32_t kBuckets = ((kFarBits - kNearBits) >> kShift) + 1;  // and one: -inf and NaN
constexpr size_t kChunk = 256;
constexpr size_t kGroup = 16;

int32_t bucket_of(float distance) {
  const auto bits = std::bit_cast<int32_t>(distance);
  const int32_t at_least = bits > kNearBits ? bits : kNearBits;
  const int32_t clamped = at_least < kFarBits ? at_least : kFarBits;
  return ((clamped - kNearBits) >> kShift) + static_cast<int32_t>(bits == kInfinityBits);
}

LAPIDARY_CLONES void weigh(const float* logits, size_t n, const Softmax& softmax, float* weights,
                           int32_t* buckets) {
  for (size_t i = 0; i < n; ++i) {
    const float distance = softmax.distance(logits[i]);
    weights[i] = softmax.weight_at(distance);
    buckets[i] = bucket_of(distance);
  }
}

}  // namespace

int32_t Nucleus::draw(std::span<const float> row, const Softmax& softmax,
                      const PrefixLimits& limits, double u) {
  row_ = row;
  softmax_ = softmax;
  last_ = {-std::numeric_limits<float>::infinity(), std::numeric_limits<int32_t>::max()};
  n_buckets_ = kBuckets;
  tally();
  if (limits.top_k > 0) cut_by_count(limits.top_k);
  if (limits.top_p < 1.0F) cut_by_mass(static_cast<double>(limits.top_p));
  cut_by_distance(limits.max_distance);

  double total = 0.0;
  for (size_t b = 0; b < n_buckets_; ++b) total += mass_[b];
  double target = u * total;
  const size_t bucket = walk(n_buckets_, &target, [this](size_t b) { return mass_[b]; });
  look_into(bucket);
  const size_t i = walk(inside_.size(), &target, [this](size_t at) { return weight(inside_[at]); });
  return inside_[i].id;
}

void Nucleus::tally() {
  mass_.assign(kBuckets + 1, 0.0);
  counts_.assign(kBuckets + 1, 0);
  float weights[kChunk];
  int32_t buckets[kChunk];
  for (size_t start = 0; start < row_.size(); start += kChunk) {
    const std::span<const float> chunk = row_.subspan(start, std::min(kChunk, row_.size() - start));
    weigh(chunk.data(), chunk.size(), softmax_, weights, buckets);
    for (size_t i = 0; i < chunk.size(); ++i) {
      mass_[buckets[i]] += static_cast<double>(weights[i]);
      ++counts_[buckets[i]];
    }
  }
}

void Nucleus::cut_by_count(int top_k) {
  int64_t wanted = top_k;
  size_t bucket = 0;
  while (bucket < n_buckets_ && wanted > counts_[bucket]) wanted -= counts_[bucket++];
  if (bucket == n_buckets_ || wanted == counts_[bucket]) {
    n_buckets_ = std::min(n_buckets_, bucket + 1);
    return;
  }
  look_into(bucket);
  const auto kth = inside_.begin() + (wanted - 1);
  std::nth_element(inside_.begin(), kth, inside_.end(), ranks_before);
  end_with(bucket, static_cast<size_t>(wanted), *kth);
}

// A candidate stays while the mass before it is below top_p of all.
void Nucleus::cut_by_mass(double top_p) {
  double total = 0.0;
  for (size_t b = 0; b < n_buckets_; ++b) total += mass_[b];
  double missing = top_p * total;
  size_t bucket = 0;
  while (bucket + 1 < n_buckets_ && missing > mass_[bucket]) missing -= mass_[bucket++];
  look_into(bucket);
  if (inside_.empty()) return;
  const size_t n_kept = select_mass(missing);
  end_with(bucket, n_kept, inside_[n_kept - 1]);
}

// Orders inside_ just so far that its shortest prefix of at least `missing` comes first, its last
// candidate last: a selection by mass, linear as one by count. Equal logits are dealt with at once.
size_t Nucleus::select_mass(double missing) {
  auto begin = inside_.begin();
  auto end = inside_.end();
  for (;;) {
    const float pivot = begin[(end - begin) / 2].value;
    const auto equal =
        std::partition(begin, end, [pivot](const Candidate& c) { return c.value > pivot; });
    const auto less =
        std::partition(equal, end, [pivot](const Candidate& c) { return c.value == pivot; });
    const double mass = mass_of(begin - inside_.begin(), equal - inside_.begin());
    if (equal != begin && mass >= missing) {
      end = equal;
      continue;
    }
    missing -= mass;
    const double each = weight(*equal);
    const auto n_equal = static_cast<double>(less - equal);
    if (each * n_equal < missing && less != end) {
      missing -= each * n_equal;
      begin = less;
      continue;
    }
    // As many as are missing, at least one; all where rounding or weights of 0 ask for more.
    const double n = std::clamp(std::ceil(missing / each), 1.0, n_equal);
    const auto last = equal + (static_cast<std::ptrdiff_t>(n) - 1);
    std::nth_element(equal, last, less, ranks_before);
    return static_cast<size_t>(last - inside_.begin()) + 1;
  }
}

void Nucleus::cut_by_distance(float max_distance) {
  const auto bucket = static_cast<size_t>(bucket_of(max_distance));
  if (bucket >= n_buckets_) return;
  look_into(bucket);
  const auto is_near = [&](const Candidate& c) {
    return softmax_.distance(c.value) <= max_distance;
  };
  const auto far = std::stable_partition(inside_.begin(), inside_.end(), is_near);
  n_buckets_ = bucket + 1;
  mass_[bucket] = mass_of(0, static_cast<size_t>(far - inside_.begin()));
  if (far == inside_.begin()) return;  // the walk passes a bucket without mass
  end_with(bucket, static_cast<size_t>(far - inside_.begin()),
           *std::max_element(inside_.begin(), far, ranks_before));
}

void Nucleus::look_into(size_t bucket) {
  const auto is_inside = [&](float x) {
    return bucket_of(softmax_.distance(x)) == static_cast<int32_t>(bucket);
  };
  inside_.clear();
  for (size_t start = 0; start < row_.size(); start += kGroup) {
    const size_t end = std::min(start + kGroup, row_.size());
    int n = 0;
    for (size_t i = start; i < end; ++i) n += is_inside(row_[i]);
    if (n == 0) continue;
    // Written always and kept when wanted: in a dense bucket a branch would be guessed wrong.
    size_t kept = inside_.size();
    inside_.resize(kept + kGroup);
    for (size_t i = start; i < end; ++i) {
      const Candidate c{row_[i], static_cast<int32_t>(i)};
      inside_[kept] = c;
      kept +=
          static_cast<size_t>(is_inside(c.value)) & static_cast<size_t>(!ranks_before(last_, c));
    }
    inside_.resize(kept);
  }
}

void Nucleus::end_with(size_t bucket, size_t n_kept, const Candidate& last) {
  last_ = last;
  n_buckets_ = bucket + 1;
  mass_[bucket] = mass_of(0, n_kept);
}

double Nucleus::weight(const Candidate& c) const {
  return static_cast<double>(softmax_.weight_at(softmax_.distance(c.value)));
}

double Nucleus::mass_of(size_t begin, size_t end) const {
  double mass = 0.0;
  for (size_t i = begin; i < end; ++i) mass += weight(inside_[i]);
  return mass;
}

}  // namespace lapidary::cpu
