// The entries of a tokenizer: id -> spelling, id -> the bytes it stands for, spelling -> id, and
// what encoding starts from: the id of every single code point and of every byte. Filled while a
// tokenizer is loaded, read by any thread afterwards.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapidary {

inline constexpr char32_t kWordMark = 0x2581;  // how a space is spelled in the vocabulary
inline constexpr std::string_view kWordMarkUtf8 = "\xE2\x96\x81";

class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;

  Vocabulary() = default;
  // spellings[i] is the entry with id i. REQUIRES: valid UTF-8, all different, not empty.
  explicit Vocabulary(const std::vector<std::string>& spellings);

  int32_t size() const { return static_cast<int32_t>(text_ends_.size()) - 1; }
  std::string_view text(int32_t id) const;
  std::string_view bytes(int32_t id) const;
  int32_t find(std::string_view text) const;

  // The entry that is this code point alone, kNone without one. A space is U+2581.
  int32_t code_point_id(char32_t code_point) const {
    const uint16_t page = code_point_pages_[code_point >> kPageBits];
    return code_point_ids_[(size_t{page} << kPageBits) + (code_point & kPageMask)];
  }
  // The entry "<0xHH>"; kNone without one.
  int32_t byte_id(unsigned char byte) const { return byte_ids_[byte]; }
  // The byte that an entry "<0xHH>" stands for.
  static std::optional<unsigned char> spelled_byte(std::string_view text);

 private:
  static constexpr int kPageBits = 8;
  static constexpr char32_t kPageMask = (1 << kPageBits) - 1;

  void index(int32_t id);
  void set_code_point(char32_t code_point, int32_t id);

  std::string texts_;
  std::string bytes_;
  std::vector<uint32_t> text_ends_{0};  // entry i of texts_ is [text_ends_[i], text_ends_[i + 1])
  std::vector<uint32_t> byte_ends_{0};
  std::vector<int32_t> slots_;  // open addressing over the spellings; a power of two, half empty
  std::array<int32_t, 256> byte_ids_;
  // Two levels: most pages of 256 code points hold no entry and share page 0.
  std::array<uint16_t, (0x10FFFF >> kPageBits) + 1> code_point_pages_{};
  std::vector<int32_t> code_point_ids_ = std::vector<int32_t>(size_t{1} << kPageBits, kNone);
};

}  // namespace lapidary
