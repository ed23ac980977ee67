#include "engine/model/vision_buffers.h"

#include <algorithm>

#include "engine/media/image_size.h"
#include "engine/model/vision_weights.h"
#include "kernels/backend.h"

namespace lapidary {

int64_t n_vision_pages(int max_patches) {
  const int64_t most_images = max_patches / kPatchesPerToken;
  return (int64_t{max_patches} + kPageSize - 1) / kPageSize + most_images;
}

VisionBuffers vision_buffers(const VisionConfig& config, int text_hidden, int max_patches,
                             DType act, DType compute) {
  const auto bytes = [](int64_t n, int64_t width, DType type) {
    return n * width * static_cast<int64_t>(dtype_bytes(type));
  };
  const int64_t n = max_patches;
  const int64_t tokens = n / kPatchesPerToken;
  const int64_t head = HeadLayout(config.head_dim).padded;
  const int64_t heads = config.n_heads * head;
  const int64_t widest = std::max<int64_t>({config.hidden, heads, config.ffn});
  const int64_t clips = config.clips ? 1 : 0;
  return {.hidden = bytes(n, config.hidden, DType::f32),
          .normed = bytes(n, config.hidden, act),
          .clipped = clips * bytes(n, widest, act),
          .linear_out = clips * bytes(n, widest, act),
          .projected = bytes(n, 3 * heads, act),
          .query = bytes(n, heads, act),
          .attended = bytes(n, heads, act),
          .gate = bytes(n, config.ffn, act),
          .up = clips * bytes(n, config.ffn, act),
          .block_out = bytes(n, config.hidden, act),
          .pages = bytes(n_vision_pages(max_patches) * kPageSize, heads, compute),
          .pixels = bytes(n, 3 * kPatchPixels * kPatchPixels, DType::f32),
          .rope = bytes(n, config.head_dim, DType::f32),
          .place_ids = bytes(n, 2, DType::i32),
          .list = bytes(n, 1, DType::i32),
          .starts = bytes(tokens + 1, 1, DType::i32),
          .block_table = bytes(n_vision_pages(max_patches), 1, DType::i32),
          .pooled_rows = bytes(tokens, kPatchesPerToken, DType::i32),
          .pooled = bytes(tokens, config.hidden, DType::f32),
          .pooled_normed = bytes(tokens, config.hidden, act),
          .soft_tokens = bytes(tokens, text_hidden, act)};
}

int64_t VisionBuffers::total() const {
  return hidden + normed + clipped + linear_out + projected + query + attended + gate + up +
         block_out + 2 * pages + pixels + rope + place_ids + 3 * list + 2 * starts + block_table +
         pooled_rows + pooled + pooled_normed + soft_tokens;
}

}  // namespace lapidary
