// What tests of decoding share: one decoder with real workers, stored files, bytes made by hand.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/media/media_decoder.h"

namespace lapidary {

using Bytes = std::vector<uint8_t>;

inline MediaDecoderOptions real_workers(int n_workers = 1) {
  MediaDecoderOptions options;
  options.program = LAPIDARY_BINARY_DIR "/lapidary-media";
  options.n_workers = n_workers;
  options.deadline = std::chrono::minutes(5);  // a busy machine is no failure
  options.longest_wait = std::chrono::minutes(5);
  return options;
}

// One for the whole program: starting a worker loads a hundred libraries.
inline MediaDecoder& shared_decoder() {
  static MediaDecoder decoder(real_workers());
  return decoder;
}

inline Bytes stored_file(const std::string& name) {
  std::ifstream file(LAPIDARY_SOURCE_DIR "/tests/golden/media/files/" + name, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

inline Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Bytes big_endian(uint64_t value, int n_bytes) {
  Bytes made;
  for (int i = n_bytes - 1; i >= 0; --i) made.push_back(static_cast<uint8_t>(value >> (8 * i)));
  return made;
}

inline Bytes little_endian(uint64_t value, int n_bytes) {
  const Bytes made = big_endian(value, n_bytes);
  return Bytes(made.rbegin(), made.rend());
}

// A box of an MP4 file.
inline Bytes box(std::string_view name, const Bytes& content) {
  return big_endian(content.size() + 8, 4) + bytes_of(name) + content;
}

inline uint32_t crc32(const Bytes& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (0xEDB88320 & (0U - (crc & 1)));
  }
  return ~crc;
}

inline Bytes png_chunk(std::string_view name, const Bytes& content) {
  const Bytes checked = bytes_of(name) + content;
  return big_endian(content.size(), 4) + checked + big_endian(crc32(checked), 4);
}

// PCM (1) or float (3) samples, little-endian, as they are given.
inline Bytes wav(int coding, int bits, int rate, int channels, const Bytes& samples,
                 int64_t said_bytes = -1) {
  const uint64_t n = said_bytes < 0 ? samples.size() : static_cast<uint64_t>(said_bytes);
  const int frame = channels * bits / 8;
  return bytes_of("RIFF") + little_endian(36 + n, 4) + bytes_of("WAVEfmt ") + little_endian(16, 4) +
         little_endian(coding, 2) + little_endian(channels, 2) + little_endian(rate, 4) +
         little_endian(uint64_t{1} * rate * frame, 4) + little_endian(frame, 2) +
         little_endian(bits, 2) + bytes_of("data") + little_endian(n, 4) + samples;
}

template <typename T>
Bytes raw(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return Bytes(begin, begin + values.size() * sizeof(T));
}

template <typename Decoded>
MediaFault fault_of(const std::variant<Decoded, MediaRefusal>& answer) {
  const auto* refusal = std::get_if<MediaRefusal>(&answer);
  return refusal == nullptr ? MediaFault::none : refusal->fault;
}

}  // namespace lapidary
