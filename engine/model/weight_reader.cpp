#include "engine/model/weight_reader.h"

#include <cmath>
#include <utility>

#include "config/startup_error.h"
#include "kernels/check.h"

namespace lapidary {

HostMatrix as_matrix(const HostTensor& t) {
  return {.data = t.data, .dtype = t.dtype, .rows = t.shape[0], .cols = t.shape[1]};
}

WeightReader::WeightReader(const ModelConfig& config, TensorSource& source, Backend& backend,
                           const LoadProgress& progress)
    : source_(source), backend_(backend), progress_(progress) {
  for (TensorSpec& spec : expected_tensors(config)) {
    const bool is_read = !spec.unused && source.has(spec.name);
    if (is_read) state_.total += spec.count();
    const auto [place, is_new] = specs_.emplace(spec.name, std::move(spec));
    if (is_read && place->second.role != TensorRole::ple_table) order_.push_back(&place->second);
  }
}

const TensorSpec& WeightReader::spec(const std::string& name) const {
  const auto it = specs_.find(name);
  CHECK(it != specs_.end());
  return it->second;
}

void WeightReader::done(const TensorSpec& spec, const HostTensor& tensor) {
  source_.done_with(spec);
  state_.bytes += tensor.bytes;
  state_.done += spec.count();
  if (progress_) progress_(state_);
}

void WeightReader::keep(const TensorSpec& spec) {
  source_.keep_for_gather(spec);
  state_.done += spec.count();
  if (progress_) progress_(state_);
}

Weight WeightReader::pack(const std::vector<std::string>& names, WeightForm form) {
  std::vector<HostTensor> tensors;
  std::vector<HostMatrix> parts;
  for (const std::string& name : names) {
    tensors.push_back(source_.get(spec(name)));
    parts.push_back(as_matrix(tensors.back()));
  }
  Weight weight = pack_parts(parts, form);
  for (size_t i = 0; i < names.size(); ++i) done(spec(names[i]), tensors[i]);
  return weight;
}

Weight WeightReader::pack_parts(std::span<const HostMatrix> parts, WeightForm form) {
  Weight weight = backend_.pack(parts, form);
  bytes_ += static_cast<int64_t>(weight.buffer.bytes());
  return weight;
}

std::vector<float> WeightReader::finite_values(const std::string& name) {
  const TensorSpec& s = spec(name);
  const HostTensor t = source_.get(s);
  std::vector<float> values(static_cast<size_t>(s.count()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = host_element(t, static_cast<int64_t>(i));
    if (!std::isfinite(values[i])) {
      throw StartupError("Tensor " + name + " holds a value that is not finite (element " +
                         std::to_string(i) + "); the file is damaged, download it again.");
    }
  }
  done(s, t);
  return values;
}

WeightVector WeightReader::upload(const std::vector<float>& values) {
  WeightVector v;
  v.size = static_cast<int64_t>(values.size());
  v.buffer = backend_.allocate(values.size() * sizeof(float));
  backend_.upload(v.buffer.data(), values.data(), values.size() * sizeof(float));
  bytes_ += static_cast<int64_t>(v.buffer.bytes());
  return v;
}

WeightVector WeightReader::vector(const std::string& name, float scale) {
  std::vector<float> values = finite_values(name);
  for (float& x : values) x *= scale;
  return upload(values);
}

float WeightReader::scalar(const std::string& name) { return finite_values(name)[0]; }

}  // namespace lapidary
