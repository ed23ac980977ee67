#include "engine/text/vocabulary.h"

#include <bit>
#include <functional>

#include "config/utf8.h"

namespace lapidary {
namespace {

size_t hash(std::string_view text) { return std::hash<std::string_view>()(text); }

std::string with_spaces(std::string_view text) {
  std::string spaced;
  spaced.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    if (text.substr(at, kWordMarkUtf8.size()) == kWordMarkUtf8) {
      spaced.push_back(' ');
      at += kWordMarkUtf8.size();
    } else {
      spaced.push_back(text[at++]);
    }
  }
  return spaced;
}

}  // namespace

Vocabulary::Vocabulary(const std::vector<std::string>& spellings) {
  byte_ids_.fill(kNone);
  slots_.assign(std::bit_ceil(2 * spellings.size() + 1), kNone);
  text_ends_.reserve(spellings.size() + 1);
  byte_ends_.reserve(spellings.size() + 1);
  for (const std::string& spelling : spellings) {
    texts_ += spelling;
    const std::optional<unsigned char> byte = spelled_byte(spelling);
    if (byte) {
      bytes_.push_back(static_cast<char>(*byte));
    } else {
      bytes_ += with_spaces(spelling);
    }
    text_ends_.push_back(static_cast<uint32_t>(texts_.size()));
    byte_ends_.push_back(static_cast<uint32_t>(bytes_.size()));
    index(size() - 1);
  }
  // The text that is encoded has no U+0020 left, so an entry " " is out of reach.
  set_code_point(U' ', code_point_id(kWordMark));
}

void Vocabulary::index(int32_t id) {
  const std::string_view spelling = text(id);
  size_t slot = hash(spelling) & (slots_.size() - 1);
  while (slots_[slot] != kNone) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = id;
  if (const std::optional<unsigned char> byte = spelled_byte(spelling)) byte_ids_[*byte] = id;
  const Utf8CodePoint first = read_utf8(spelling, 0);
  if (static_cast<size_t>(first.length) == spelling.size()) set_code_point(first.value, id);
}

void Vocabulary::set_code_point(char32_t code_point, int32_t id) {
  uint16_t& page = code_point_pages_[code_point >> kPageBits];
  if (page == 0) {
    page = static_cast<uint16_t>(code_point_ids_.size() >> kPageBits);
    code_point_ids_.resize(code_point_ids_.size() + (size_t{1} << kPageBits), kNone);
  }
  code_point_ids_[(size_t{page} << kPageBits) + (code_point & kPageMask)] = id;
}

std::string_view Vocabulary::text(int32_t id) const {
  const auto i = static_cast<size_t>(id);
  return std::string_view(texts_).substr(text_ends_[i], text_ends_[i + 1] - text_ends_[i]);
}

std::string_view Vocabulary::bytes(int32_t id) const {
  const auto i = static_cast<size_t>(id);
  return std::string_view(bytes_).substr(byte_ends_[i], byte_ends_[i + 1] - byte_ends_[i]);
}

int32_t Vocabulary::find(std::string_view spelling) const {
  if (slots_.empty()) return kNone;
  size_t slot = hash(spelling) & (slots_.size() - 1);
  while (slots_[slot] != kNone && text(slots_[slot]) != spelling) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slots_[slot];
}

std::optional<unsigned char> Vocabulary::spelled_byte(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return std::nullopt;
  const size_t high = kDigits.find(text[3]), low = kDigits.find(text[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned char>(high << 4 | low);
}

}  // namespace lapidary
