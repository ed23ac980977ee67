// Reading ahead: how far it goes, and that it ends.
#include "engine/model/read_ahead.h"

#include <sys/mman.h>

#include <chrono>

#include "tests/catch.h"

using namespace lapidary;

namespace {

constexpr int64_t kMiB = 1 << 20;

// Memory that is mapped and was never touched.
class Mapping {
 public:
  explicit Mapping(int64_t bytes)
      : bytes_(bytes),
        data_(mmap(nullptr, static_cast<size_t>(bytes), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0)) {
    REQUIRE(data_ != MAP_FAILED);
  }
  ~Mapping() { munmap(data_, static_cast<size_t>(bytes_)); }
  const std::byte* data() const { return static_cast<const std::byte*>(data_); }

 private:
  int64_t bytes_;
  void* data_;
};

// Waits as long as it takes: a test that fails here hangs until its caller gives up.
void wait_for(const ReadAhead& reader, int64_t bytes) {
  while (reader.done() < bytes) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

TEST_CASE("reading stays a window ahead, in blocks, over all ranges", "[engine]") {
  const Mapping mapping(32 * kMiB);
  // Of odd sizes and places; the last one is smaller than a block.
  ReadAhead reader({{mapping.data() + 100, 9 * kMiB + 1},
                    {mapping.data() + 12 * kMiB, 0},
                    {mapping.data() + 13 * kMiB, 7 * kMiB},
                    {mapping.data() + 31 * kMiB, 1000}},
                   {.window = 4 * kMiB, .block = kMiB, .n_threads = 3});
  CHECK(reader.total() == 16 * kMiB + 1001);
  wait_for(reader, 4 * kMiB);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(reader.done() == 4 * kMiB);  // and no further
  reader.pass(kMiB / 2);
  wait_for(reader, 5 * kMiB);
  reader.pass(16 * kMiB);
  wait_for(reader, reader.total());
  CHECK(reader.done() == reader.total());
}

TEST_CASE("reading ahead ends with its owner, whatever is left", "[engine]") {
  const Mapping mapping(64 * kMiB);
  for (int i = 0; i < 20; ++i) {
    ReadAhead reader({{mapping.data(), 64 * kMiB}}, {.window = 8 * kMiB, .block = 4096});
    if (i % 2 == 0) reader.pass(kMiB);
  }
  const ReadAhead empty({}, {});
  CHECK(empty.done() == 0);
}
