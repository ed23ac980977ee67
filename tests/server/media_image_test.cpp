// Images against the official decoder: scripts/make_media_files.py wrote files and what they show.
#include <cstdio>
#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/server/media_world.h"

namespace lapidary {
namespace {

std::string fnv1a(const Bytes& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t byte : bytes) value = (value ^ byte) * 0x100000001B3U;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

MediaFault image_fault(const Bytes& file, const MediaLimits& limits = {}) {
  return fault_of(shared_decoder().image(file, limits));
}

}  // namespace

TEST_CASE("images show what the official decoder sees in them", "[server][media]") {
  std::ifstream rows_file(LAPIDARY_SOURCE_DIR "/tests/golden/media/files.json");
  const auto rows = nlohmann::json::parse(rows_file);
  std::set<std::string> names;
  for (const auto& row : rows) {
    const auto name = row[0].get<std::string>();
    INFO(name);
    names.insert(name);
    const auto answer = shared_decoder().image(stored_file(name), {});
    const auto* image = std::get_if<DecodedImage>(&answer);
    CHECK(fault_of(answer) == MediaFault::none);
    if (image == nullptr) continue;
    CHECK(image->width == row[1].get<int>());
    CHECK(image->height == row[2].get<int>());
    CHECK(fnv1a(image->rgb) == row[3].get<std::string>());
  }
  CHECK(names.size() >= 45);
}

TEST_CASE("an image is measured before it is decoded", "[server][media]") {
  const Bytes file = stored_file("420.jpg");  // 23 x 17
  MediaLimits limits;
  limits.max_pixels = 23 * 17;
  CHECK(image_fault(file, limits) == MediaFault::none);
  limits.max_pixels = 23 * 17 - 1;
  CHECK(image_fault(file, limits) == MediaFault::too_many_pixels);
  for (const char* name : {"rgb.png", "lossy.webp", "animated.webp", "plain.gif"}) {
    CHECK(image_fault(stored_file(name), limits) == MediaFault::too_many_pixels);
  }
  limits = {};
  limits.max_aspect = 1;
  CHECK(image_fault(file, limits) == MediaFault::too_elongated);
  limits = {};
  limits.max_bytes = static_cast<int64_t>(file.size()) - 1;
  CHECK(image_fault(file, limits) == MediaFault::too_many_bytes);
}

TEST_CASE("refusals say in our words what is wrong", "[server][media]") {
  const auto sentence = [](const Bytes& file, MediaLimits limits = {}) {
    return std::get<MediaRefusal>(shared_decoder().image(file, limits)).sentence;
  };
  MediaLimits few;
  few.max_pixels = 100;
  CHECK(sentence(stored_file("420.jpg"), few) == "The image has more than 100 pixels.");
  CHECK(sentence(bytes_of("BM and more")) ==
        "The data is BMP, which is not read as image; send PNG, JPEG, WebP or GIF.");
  CHECK(sentence(bytes_of("hello")) ==
        "The data is no image of a format that is read here; send PNG, JPEG, WebP or GIF.");
  CHECK(sentence({}) == "The image is empty.");
  Bytes cut = stored_file("rgb.png");
  cut.resize(cut.size() / 2);
  CHECK(sentence(cut) == "The image is damaged or incomplete.");
}

TEST_CASE("a format is found by its first bytes", "[server][media]") {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, MediaFormat> cases[] = {
      {"\x89PNG\r\n\x1a\n"sv, MediaFormat::png},
      {"\xff\xd8\xff\xe0"sv, MediaFormat::jpeg},
      {"GIF89a..."sv, MediaFormat::gif},
      {"RIFF1234WEBPVP8 "sv, MediaFormat::webp},
      {"RIFF1234WAVEfmt "sv, MediaFormat::wav},
      {"RIFF1234AVI LIST"sv, MediaFormat::avi},
      {"II*\0...."sv, MediaFormat::tiff},
      {"MM\0*...."sv, MediaFormat::tiff},
      {"\0\0\0\x0cjP  \r\n"sv, MediaFormat::jpeg_2000},
      {"\0\0\0\x1c"
       "ftypavif...."sv,
       MediaFormat::avif},
      {"\0\0\0\x1c"
       "ftypheic...."sv,
       MediaFormat::heif},
      {"\0\0\0\x1c"
       "ftypisom...."sv,
       MediaFormat::mp4},
      {"\0\0\0\x1c"
       "ftypM4A ...."sv,
       MediaFormat::mp4},
      {"\0\0\0\x1c"
       "ftypqt  ...."sv,
       MediaFormat::mp4},
      {"\xff\xfb\x90\x64"sv, MediaFormat::mp3},
      {"ID3\4"sv, MediaFormat::mp3},
      {"\xff\xf1\x50\x80"sv, MediaFormat::aac},
      {"#EXTM3U\n"sv, MediaFormat::playlist},
      {"  <svg xmlns=''>"sv, MediaFormat::xml},
      {"\xef\xbb\xbf<?xml version"sv, MediaFormat::xml},
      {"%PDF-1.7"sv, MediaFormat::pdf},
      {""sv, MediaFormat::unknown},
      {"\xff"sv, MediaFormat::unknown},
      {"RIFF"sv, MediaFormat::unknown},
  };
  for (const auto& [text, format] : cases) {
    INFO(media_format_name(format));
    CHECK(find_media_format(bytes_of(text)) == format);
  }
}

}  // namespace lapidary
