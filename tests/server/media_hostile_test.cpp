// Files made to break a decoder: each is refused or decoded within its limits, the next honest file
// is decoded as ever, and nothing stays in the server.
#include <unistd.h>

#include <functional>
#include <random>

#include "tests/catch.h"
#include "tests/server/media_world.h"

namespace lapidary {
namespace {

using namespace std::string_view_literals;

struct Hostile {
  std::string name;
  Bytes file;
};

Bytes text_bytes(std::string_view text) { return bytes_of(text); }

// Of the given size and nothing behind it.
Bytes png_of_size(uint32_t width, uint32_t height, uint8_t bits = 8, uint8_t type = 2) {
  return text_bytes("\x89PNG\r\n\x1a\n"sv) +
         png_chunk("IHDR",
                   big_endian(width, 4) + big_endian(height, 4) + Bytes{bits, type, 0, 0, 0}) +
         png_chunk("IDAT", text_bytes("\x78\x9c\x63\0\0"sv)) + png_chunk("IEND", {});
}

Bytes jpeg_of_size(uint32_t width, uint32_t height, uint8_t components = 3, uint8_t bits = 8) {
  Bytes frame = Bytes{bits} + big_endian(height, 2) + big_endian(width, 2) + Bytes{components};
  for (uint8_t i = 0; i < components; ++i) {
    frame = frame + Bytes{static_cast<uint8_t>(i + 1), 0x11, 0};
  }
  return Bytes{0xFF, 0xD8, 0xFF, 0xC0} + big_endian(frame.size() + 2, 2) + frame +
         Bytes{0xFF, 0xD9};
}

Bytes gif_of_size(uint32_t canvas_width, uint32_t canvas_height, uint32_t width, uint32_t height) {
  return text_bytes("GIF89a") + little_endian(canvas_width, 2) + little_endian(canvas_height, 2) +
         Bytes{0x80, 0, 0, 0, 0, 0, 255, 255, 255, 0x2C, 0, 0, 0, 0} + little_endian(width, 2) +
         little_endian(height, 2) + Bytes{0, 2, 2, 0x4C, 1, 0, 0x3B};
}

Bytes webp_of(std::string_view chunk, const Bytes& content) {
  const Bytes body = text_bytes("WEBP") + text_bytes(chunk) + little_endian(content.size(), 4) +
                     content + Bytes(content.size() % 2);
  return text_bytes("RIFF") + little_endian(body.size(), 4) + body;
}

Bytes ftyp(std::string_view brand) {
  return box("ftyp", text_bytes(brand) + Bytes(4) + text_bytes(brand));
}

// A video track of MP4 with a sample table that promises much: constant sizes need no table.
Bytes mp4_with_samples(uint32_t n_samples, uint32_t width = 16, uint32_t height = 16) {
  const Bytes full(4);
  const Bytes entry =
      Bytes(6) + Bytes{0, 1} + Bytes(16) + big_endian(width, 2) + big_endian(height, 2) + Bytes(50);
  const Bytes stsd = box("stsd", full + big_endian(1, 4) + box("mp4v", entry));
  const Bytes stts =
      box("stts", full + big_endian(1, 4) + big_endian(n_samples, 4) + big_endian(1, 4));
  const Bytes stsc = box("stsc", full + big_endian(1, 4) + big_endian(1, 4) +
                                     big_endian(n_samples, 4) + big_endian(1, 4));
  const Bytes stsz = box("stsz", full + big_endian(1, 4) + big_endian(n_samples, 4));
  const Bytes stco = box("stco", full + big_endian(1, 4) + big_endian(40, 4));
  const Bytes stbl = box("stbl", stsd + stts + stsc + stsz + stco);
  const Bytes hdlr = box("hdlr", full + Bytes(4) + text_bytes("vide") + Bytes(13));
  const Bytes mdhd =
      box("mdhd", full + Bytes(8) + big_endian(25, 4) + big_endian(n_samples, 4) + Bytes(4));
  const Bytes tkhd = box("tkhd", full + Bytes(8) + big_endian(1, 4) + Bytes(68));
  const Bytes trak = box("trak", tkhd + box("mdia", mdhd + hdlr + box("minf", stbl)));
  const Bytes mvhd =
      box("mvhd", full + Bytes(8) + big_endian(25, 4) + big_endian(n_samples, 4) + Bytes(80));
  return ftyp("isom") + box("moov", mvhd + trak) + box("mdat", Bytes(64));
}

// A whole file with many more pictures behind the first, as an animation has them.
Bytes gif_of_many_frames() {
  Bytes file = stored_file("plain.gif");
  const size_t start = 13 + 3 * 16;  // behind the map of colours
  const Bytes frame(file.begin() + start, file.end() - 1);
  file.pop_back();
  for (int i = 0; i < 10'000; ++i) file.insert(file.end(), frame.begin(), frame.end());
  file.push_back(0x3B);
  return file;
}

// The same scan of a progressive file, thousands of times.
Bytes jpeg_of_many_scans() {
  Bytes file = stored_file("progressive.jpg");
  size_t first = file.size(), last = 0;
  for (size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xFF && file[i + 1] == 0xDA) {
      first = std::min(first, i);
      last = i;
    }
  }
  const Bytes scan(file.begin() + last, file.end() - 2);
  Bytes made(file.begin(), file.end() - 2);
  for (int i = 0; i < 5000; ++i) made.insert(made.end(), scan.begin(), scan.end());
  return made + Bytes{0xFF, 0xD9};
}

std::vector<Hostile> hostile_images() {
  std::vector<Hostile> all = {
      {"one byte", Bytes{0x89}},
      {"PNG magic alone", text_bytes("\x89PNG\r\n\x1a\n"sv)},
      {"PNG bomb", png_of_size(0x7FFFFFFF, 0x7FFFFFFF)},
      {"PNG of 65535 x 65535", png_of_size(65535, 65535)},
      {"PNG of no width", png_of_size(0, 10)},
      {"PNG of no height", png_of_size(10, 0)},
      {"PNG of negative width", png_of_size(0xFFFFFFFF, 1)},
      {"PNG elongated", png_of_size(100'000, 1)},
      {"PNG without pixels", png_of_size(2000, 2000)},
      {"PNG of 3 bits", png_of_size(4, 4, 3)},
      {"PNG of a type that is none", png_of_size(4, 4, 8, 5)},
      {"PNG palette without palette", png_of_size(4, 4, 8, 3)},
      {"JPEG magic alone", text_bytes("\xff\xd8\xff"sv)},
      {"JPEG bomb", jpeg_of_size(65535, 65535)},
      {"JPEG of no height", jpeg_of_size(10, 0)},
      {"JPEG of no width", jpeg_of_size(0, 10)},
      {"JPEG without a scan", jpeg_of_size(3000, 3000)},
      {"JPEG of 12 bits", jpeg_of_size(8, 8, 3, 12)},
      {"JPEG of 200 components", jpeg_of_size(8, 8, 200)},
      {"JPEG of five thousand scans", jpeg_of_many_scans()},
      {"GIF magic alone", text_bytes("GIF89a")},
      {"GIF bomb", gif_of_size(65535, 65535, 65535, 65535)},
      {"GIF with a huge canvas", gif_of_size(65535, 65535, 1, 1)},
      {"GIF with a huge picture", gif_of_size(1, 1, 65535, 65535)},
      {"GIF of no size", gif_of_size(0, 0, 0, 0)},
      {"GIF with few pixels", gif_of_size(3000, 3000, 3000, 3000)},
      {"GIF of ten thousand frames", gif_of_many_frames()},
      {"WebP of no chunk", text_bytes("RIFF\4\0\0\0WEBP"sv)},
      {"WebP VP8X bomb", webp_of("VP8X", Bytes{2, 0, 0, 0, 255, 255, 255, 255, 255, 255})},
      {"WebP VP8L bomb", webp_of("VP8L", Bytes{0x2F, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0})},
      {"WebP VP8 bomb", webp_of("VP8 ", Bytes{0x10, 2, 0, 0x9D, 1, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F})},
      {"WebP that lies about its length",
       text_bytes("RIFF\xff\xff\xff\x7fWEBPVP8 \xff\xff\xff\x7f"sv)},
      {"JPEG 2000", text_bytes("\0\0\0\x0cjP  \r\n\x87\n"sv)},
      {"BMP", text_bytes("BM\x36\0\0\0"sv)},
      {"TIFF", text_bytes("II*\0\x08\0\0\0"sv)},
      {"AVIF", ftyp("avif")},
      {"HEIC", ftyp("heic")},
      {"SVG of a file",
       text_bytes(
           "<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>")},
      {"XML entity", text_bytes("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM "
                                "'file:///etc/passwd'>]><x>&e;</x>")},
      {"PDF", text_bytes("%PDF-1.7\n")},
      {"video as an image", ftyp("isom")},
      {"PNG magic on a JPEG", text_bytes("\x89PNG\r\n\x1a\n"sv) + stored_file("420.jpg")},
      {"JPEG magic on a PNG", Bytes{0xFF, 0xD8, 0xFF} + stored_file("rgb.png")},
      {"GIF and a script", stored_file("plain.gif") + text_bytes("<script>alert(1)</script>")},
      {"PNG and a ZIP", stored_file("rgb.png") + text_bytes("PK\3\4 and more")},
      {"APNG", text_bytes("\x89PNG\r\n\x1a\n"sv) +
                   png_chunk("IHDR", big_endian(4, 4) + big_endian(4, 4) + Bytes{8, 2, 0, 0, 0}) +
                   png_chunk("acTL", big_endian(0xFFFFFFFF, 4) + big_endian(0, 4)) +
                   png_chunk("IEND", {})},
  };
  for (const char* name : {"420.jpg", "progressive.jpg", "cmyk.jpg", "exif_6.jpg", "rgb.png",
                           "interlaced.png", "palette.png", "lossy.webp", "lossless.webp",
                           "lossy_alpha.webp", "animated.webp", "plain.gif", "animated.gif"}) {
    const Bytes file = stored_file(name);
    for (int eighths = 1; eighths < 8; ++eighths) {
      all.push_back({std::string(name) + " cut",
                     Bytes(file.begin(), file.begin() + file.size() * eighths / 8)});
    }
  }
  return all;
}

std::vector<Hostile> hostile_audio() {
  const Bytes one_second(32'000);
  const std::vector<float> odd = {0.5F, std::numeric_limits<float>::quiet_NaN(), 0.5F};
  const std::vector<float> endless = {0.5F, std::numeric_limits<float>::infinity(), 0.5F};
  const std::vector<float> huge(32'000, 3e38F);
  return {
      {"WAV with NaN", wav(3, 32, 16'000, 1, raw(odd))},
      {"WAV with infinity", wav(3, 32, 16'000, 1, raw(endless))},
      {"WAV of huge numbers", wav(3, 32, 44'100, 2, raw(huge))},
      {"WAV that promises 4 GB", wav(1, 16, 16'000, 1, one_second, 0xFFFFFFF0)},
      {"WAV that promises nothing", wav(1, 16, 16'000, 1, one_second, 0)},
      {"WAV of rate 0", wav(1, 16, 0, 1, one_second)},
      {"WAV of rate 1", wav(1, 16, 1, 1, one_second)},
      {"WAV of rate 2 GHz", wav(1, 16, 2'000'000'000, 1, one_second)},
      {"WAV of no channel", wav(1, 16, 16'000, 0, one_second)},
      {"WAV of 65535 channels", wav(1, 16, 16'000, 65'535, one_second)},
      {"WAV of 16 channels", wav(1, 16, 16'000, 16, one_second)},
      {"WAV of 1 bit", wav(1, 1, 16'000, 1, one_second)},
      {"WAV of an unknown coding", wav(0x1234, 16, 16'000, 1, one_second)},
      {"WAV without samples", wav(1, 16, 16'000, 1, {})},
      {"WAV head alone", text_bytes("RIFF\0\0\0\0WAVE"sv)},
      {"MP3 of nothing", text_bytes("ID3\4\0\0\x7f\x7f\x7f\x7f"sv)},
      {"MP3 of zeros", Bytes{0xFF, 0xFB, 0x90, 0x64} + Bytes(4000)},
      {"FLAC of nothing", text_bytes("fLaC\0\0\0\x22"sv) + Bytes(34)},
      {"OGG of nothing", text_bytes("OggS"sv) + Bytes(200)},
      {"playlist", text_bytes("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")},
      {"playlist of the net", text_bytes("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x\n")},
      {"concat", text_bytes("ffconcat version 1.0\nfile /etc/passwd\n")},
      {"playlist behind ID3", text_bytes("ID3\4\0\0\0\0\0\0#EXTM3U\nfile:///etc/passwd\n"sv)},
      {"image as audio", stored_file("rgb.png")},
  };
}

std::vector<Hostile> hostile_videos() {
  const Bytes deep = [] {
    Bytes made;
    for (int i = 0; i < 2000; ++i) made = box("moov", made);
    return made;
  }();
  return {
      {"MP4 of nothing", ftyp("isom")},
      {"MP4 of a billion frames", mp4_with_samples(1'000'000'000)},
      {"MP4 of ten million frames", mp4_with_samples(10'000'000)},
      {"MP4 of ten thousand frames", mp4_with_samples(10'000)},
      {"MP4 of huge frames", mp4_with_samples(10, 65'535, 65'535)},
      {"MP4 of frames without size", mp4_with_samples(10, 0, 0)},
      {"moov in moov in moov", ftyp("isom") + deep},
      {"moov that lies", ftyp("isom") + big_endian(0x7FFFFFFF, 4) + text_bytes("moov")},
      {"compressed moov bomb",
       ftyp("isom") +
           box("moov", box("cmov", box("dcom", text_bytes("zlib")) +
                                       box("cmvd", big_endian(0x7FFFFFFF, 4) + Bytes(100))))},
      {"reference to a file",
       ftyp("qt  ") +
           box("moov",
               box("rmra",
                   box("rmda", box("rdrf", Bytes(4) + text_bytes("url ") + big_endian(18, 4) +
                                               text_bytes("file:///etc/passwd")))))},
      {"WebM of nothing", text_bytes("\x1a\x45\xdf\xa3\x80"sv)},
      {"WebM of endless size", text_bytes("\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff"sv)},
      {"playlist as video", text_bytes("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")},
      {"DASH", text_bytes("<MPD><BaseURL>http://127.0.0.1/</BaseURL></MPD>")},
      {"AVI", text_bytes("RIFF\0\0\0\0AVI LIST"sv)},
  };
}

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// Small: what is decoded in spite of everything must keep to it.
MediaLimits tight() {
  MediaLimits limits;
  limits.max_pixels = 1'000'000;
  limits.max_audio_samples = 5 * kDecodedAudioRate;
  limits.max_file_frames = 5000;
  limits.max_cpu_ms = 10'000;
  return limits;
}

void check_honest_file() {
  CHECK(fault_of(shared_decoder().image(stored_file("420.jpg"), {})) == MediaFault::none);
}

template <typename Decoded>
void try_all(const std::vector<Hostile>& files,
             std::variant<Decoded, MediaRefusal> (MediaDecoder::*decode)(std::span<const uint8_t>,
                                                                         const MediaLimits&),
             size_t at_least_refused) {
  size_t n_refused = 0;
  for (const Hostile& hostile : files) {
    INFO(hostile.name);
    const auto answer = (shared_decoder().*decode)(hostile.file, tight());
    const auto* refusal = std::get_if<MediaRefusal>(&answer);
    if (refusal == nullptr) continue;
    ++n_refused;
    CHECK_FALSE(is_fault_of_server(refusal->fault));
    CHECK_FALSE(refusal->sentence.empty());
    // Nothing of these may bring a worker down; a deadline may pass.
    CHECK(refusal->fault != MediaFault::crashed);
  }
  CHECK(n_refused >= at_least_refused);
  check_honest_file();
}

}  // namespace

TEST_CASE("hostile images are refused, or decoded within limits", "[server][media]") {
  try_all(hostile_images(), &MediaDecoder::image, 100);
}

TEST_CASE("hostile audio is refused, or decoded within limits", "[server][media]") {
  try_all(hostile_audio(), &MediaDecoder::audio, 17);
}

TEST_CASE("hostile videos are refused, or decoded within limits", "[server][media]") {
  try_all(hostile_videos(), &MediaDecoder::video, 14);
}

TEST_CASE("samples that are no numbers are refused", "[server][media]") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const std::vector<float> samples = {0.5F, bad, 0.5F};
    CHECK(fault_of(shared_decoder().audio(wav(3, 32, 16'000, 1, raw(samples)), {})) ==
          MediaFault::not_finite);
  }
}

TEST_CASE("random bytes and random damage cost one file only", "[server][media]") {
  std::mt19937 random(7);
  const int64_t before = resident_bytes();
  const int64_t broken_before = shared_decoder().counts().workers_broken;
  constexpr std::string_view kMagics[] = {"\x89PNG\r\n\x1a\n"sv, "\xff\xd8\xff\xe0"sv, "GIF89a"sv,
                                          "RIFF\x40\0\0\0WEBPVP8L"sv, "RIFF\x40\0\0\0WEBPVP8X"sv};
  for (int i = 0; i < 200; ++i) {
    Bytes file = bytes_of(kMagics[i % 5]);
    for (int j = 0; j < 500; ++j) file.push_back(static_cast<uint8_t>(random()));
    shared_decoder().image(file, tight());
  }
  int n_decoded = 0;
  for (const char* name : {"420.jpg", "progressive.jpg", "interlaced.png", "lossy.webp",
                           "lossless_alpha.webp", "animated.webp", "animated.gif"}) {
    for (int i = 0; i < 100; ++i) {
      Bytes file = stored_file(name);
      for (int j = 0; j < 4; ++j) file[random() % file.size()] = static_cast<uint8_t>(random());
      const auto answer = shared_decoder().image(file, tight());
      n_decoded += std::holds_alternative<DecodedImage>(answer) ? 1 : 0;
    }
  }
  CHECK(n_decoded > 50);
  CHECK(shared_decoder().counts().workers_broken == broken_before);
  CHECK(resident_bytes() - before < 64 << 20);
  check_honest_file();
}

}  // namespace lapidary
