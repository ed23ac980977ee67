// Where weights come from: a Checkpoint or DummyWeights. Names are those of expected_tensors, that
// is, without the prefix that differs between files. Used by the thread that loads.
#pragma once

#include <string_view>
#include <vector>

#include "engine/model/host_tensor.h"
#include "engine/model/tensor_table.h"

namespace lapidary {

class TensorSource {
 public:
  virtual ~TensorSource() = default;

  virtual bool has(std::string_view name) const = 0;
  // All that will be read, in this order but for a few: a chance to read ahead.
  virtual void will_read(const std::vector<const TensorSpec*>&) {}
  // REQUIRES: has(spec.name), and spec stands in the table of the source's config.
  virtual HostTensor get(const TensorSpec& spec) = 0;
  // The tensor's bytes were read and will not be needed soon: memory may go back.
  virtual void done_with(const TensorSpec&) {}
  // The tensor stays and is read in single rows from now on.
  virtual void keep_for_gather(const TensorSpec&) {}
};

}  // namespace lapidary
