#include "server/api/data_url.h"

#include <array>
#include <cstdint>

#include "server/api/api_error.h"

namespace lapidary {
namespace {

constexpr uint8_t kNoDigit = 255;

constexpr std::array<uint8_t, 256> kDigits = [] {
  std::array<uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    digits[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return digits;
}();

bool starts_with_scheme(std::string_view url, std::string_view scheme) {
  if (url.size() < scheme.size()) return false;
  for (size_t i = 0; i < scheme.size(); ++i) {
    const char c = url[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower != scheme[i]) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  size_t n_padding = 0;
  while (n_padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++n_padding;
  }
  const size_t rest = text.size() % 4;
  if (rest == 1 || (n_padding > 0 && (text.size() + n_padding) % 4 != 0)) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    const uint8_t digit = kDigits[static_cast<uint8_t>(c)];
    if (digit == kNoDigit) return std::nullopt;
    bits = (bits << 6) | digit;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes.push_back(static_cast<char>((bits >> n_bits) & 255));
  }
  if ((bits & ((1U << n_bits) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::string data_url_bytes(std::string_view url, const std::string& path) {
  if (!starts_with_scheme(url, "data:")) {
    throw api_error::unsupported_value(
        path, "only data: URLs are taken; this server fetches nothing from elsewhere.");
  }
  const size_t comma = url.find(',');
  if (comma == std::string_view::npos || !url.substr(0, comma).ends_with(";base64")) {
    throw api_error::invalid_value(path, "a data: URL must read 'data:TYPE;base64,...'.");
  }
  auto bytes = decode_base64(url.substr(comma + 1));
  if (!bytes) throw api_error::invalid_value(path, "what follows ';base64,' is not base64.");
  if (bytes->empty()) throw api_error::invalid_value(path, "there is nothing in it.");
  return *std::move(bytes);
}

}  // namespace lapidary
