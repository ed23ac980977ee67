// Reads a model's tensors one by one into the backend's memory: what the loaders of decoder and
// towers share. One thread.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/model/tensor_source.h"
#include "engine/model/weights.h"

namespace lapidary {

class WeightReader {
 public:
  WeightReader(const ModelConfig& config, TensorSource& source, Backend& backend,
               const LoadProgress& progress);

  // Has the source read ahead. Before anything else.
  void begin() { source_.will_read(order_); }

  const TensorSpec& spec(const std::string& name) const;
  bool has(const std::string& name) const { return source_.has(name); }
  HostTensor get(const TensorSpec& spec) { return source_.get(spec); }
  // The tensor was read and is not needed any more.
  void done(const TensorSpec& spec, const HostTensor& tensor);
  // Counts a tensor that stays where it is.
  void keep(const TensorSpec& spec);

  // Parts of one weight, each a [rows, cols] tensor.
  Weight pack(const std::vector<std::string>& names, WeightForm form);
  Weight pack_parts(std::span<const HostMatrix> parts, WeightForm form);
  // Both throw StartupError for values that are not finite.
  WeightVector vector(const std::string& name, float scale = 1.0F);
  float scalar(const std::string& name);
  WeightVector upload(const std::vector<float>& values);
  std::vector<float> finite_values(const std::string& name);

  int64_t bytes() const { return bytes_; }  // of the backend's memory so far
  const LoadState& state() const { return state_; }
  Backend& backend() { return backend_; }

 private:
  TensorSource& source_;
  Backend& backend_;
  const LoadProgress& progress_;
  std::map<std::string, TensorSpec> specs_;
  std::vector<const TensorSpec*> order_;  // of those that are read, about as they come
  LoadState state_;
  int64_t bytes_ = 0;
};

// A [rows, cols] tensor as a matrix.
HostMatrix as_matrix(const HostTensor& tensor);

}  // namespace lapidary
