// Safetensors headers: what is accepted, and every way in which a file may lie.
#include "engine/model/safetensors.h"

#include <cstring>

#include "config/startup_error.h"
#include "tests/catch.h"
#include "tests/engine/safetensors_text.h"
#include "tests/scratch_folder.h"
#include "tests/thrown.h"

using namespace lapidary;

namespace {

std::string refusal(const std::string& file) {
  return thrown_by<StartupError>([&] {
    parse_safetensors(reinterpret_cast<const std::byte*>(file.data()),
                      static_cast<int64_t>(file.size()), "x.safetensors");
  });
}

std::string entry(const char* dtype, const char* shape, const char* offsets) {
  return std::string(R"({"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

}  // namespace

TEST_CASE("tensors are views into the mapped file", "[engine]") {
  const std::string data = "abcdefghijkl";
  const ScratchFolder folder;
  const auto path = folder.write(
      "t.safetensors", safetensors_text(R"({"__metadata__":{"format":"pt"},"b":)" +
                                            entry("BF16", "[2,2]", "[4,12]") + R"(,"a":)" +
                                            entry("F32", "[]", "[0,4]") + R"(,"empty":)" +
                                            entry("I64", "[0,3]", "[12,12]") + "}   ",
                                        data));
  const SafetensorsFile file(path);
  REQUIRE(file.tensors().size() == 3);
  const TensorView& b = file.tensors().at("b");
  CHECK(b.dtype == DType::bf16);
  CHECK(b.shape == std::vector<int64_t>{2, 2});
  CHECK(b.bytes == 8);
  CHECK(std::memcmp(b.data, "efghijkl", 8) == 0);
  CHECK(file.tensors().at("a").shape.empty());
  CHECK(file.tensors().at("a").bytes == 4);
  CHECK_FALSE(file.tensors().at("empty").dtype);  // known, but nothing is computed with it
  file.advise(b, SafetensorsFile::Access::done);
}

TEST_CASE("a header that does not fit the file is refused", "[engine]") {
  CHECK(contains(refusal(""), "truncated"));
  CHECK(contains(refusal("1234567"), "truncated"));
  std::string lying = safetensors_text("{}", "");
  lying[0] = 3;
  CHECK(contains(refusal(lying), "truncated"));
  lying[3] = 0x10;  // 268 MB
  CHECK(contains(refusal(lying), "100 MB"));
  std::memset(lying.data(), 0xFF, 8);
  CHECK(contains(refusal(lying), "100 MB"));
  CHECK(contains(refusal(std::string(8, '\0')), "not a JSON object"));
}

TEST_CASE("a header that is not the expected JSON is refused", "[engine]") {
  CHECK(contains(refusal(safetensors_text("[]", "")), "not a JSON object"));
  CHECK(contains(refusal(safetensors_text("{", "")), "header"));
  CHECK(contains(refusal(safetensors_text("{\"a\":1}", "")), "tensor a"));
  CHECK(contains(refusal(safetensors_text("{\"a\":[[[[[[]]]]]]}", "")), "header"));
  const std::string a = "\"a\":" + entry("F32", "[1]", "[0,4]");
  CHECK(contains(refusal(safetensors_text("{" + a + "," + a + "}", "1234")), "header"));
}

TEST_CASE("offsets and sizes must agree with the file and with each other", "[engine]") {
  const auto one = [](const char* dtype, const char* shape, const char* offsets) {
    return refusal(
        safetensors_text("{\"t\":" + entry(dtype, shape, offsets) + "}", std::string(8, 'x')));
  };
  CHECK(one("F32", "[2]", "[0,8]").empty());
  CHECK(contains(one("F32", "[2]", "[8,0]"), "tensor t"));
  CHECK(contains(one("F32", "[3]", "[0,12]"), "truncated or damaged"));
  CHECK(contains(one("F32", "[3]", "[0,8]"), "span 8 bytes"));
  CHECK(contains(one("F32", "[1]", "[4,8]"), "leaves a gap"));
  CHECK(contains(one("F32", "[1]", "[0,4]"), "behind its last tensor"));
  CHECK(contains(one("F32", "[-2]", "[0,8]"), "`shape`"));
  CHECK(contains(one("F32", "[2.0]", "[0,8]"), "`shape`"));
  CHECK(contains(one("F32", "2", "[0,8]"), "`shape`"));
  CHECK(contains(one("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), "8 dimensions"));
  CHECK(contains(one("F32", "[2]", "[0]"), "data_offsets"));
  CHECK(contains(one("F32", "[2]", "[0,8,8]"), "data_offsets"));
  CHECK(contains(one("F32", "[2]", "[0,18446744073709551615]"), "data_offsets"));
  CHECK(contains(one("Q4", "[2]", "[0,8]"), "unknown type"));
  // Products that wrap around to 8 bytes in 64 bits.
  CHECK(contains(one("F32", "[4611686018427387904,4]", "[0,8]"), "impossibly large"));
  CHECK(contains(one("U8", "[4294967296,4294967296]", "[0,0]"), "impossibly large"));
  CHECK(contains(one("F64", "[2305843009213693953]", "[0,8]"), "impossibly large"));
}

TEST_CASE("tensors that share bytes are refused", "[engine]") {
  const std::string header =
      "{\"a\":" + entry("U8", "[6]", "[0,6]") + ",\"b\":" + entry("U8", "[4]", "[4,8]") + "}";
  CHECK(contains(refusal(safetensors_text(header, std::string(8, 'x'))), "tensor b overlaps"));
}

TEST_CASE("every truncation of a good file is refused", "[engine]") {
  const std::string whole =
      safetensors_text("{\"a\":" + entry("U8", "[6]", "[0,6]") + "}", "abcdef");
  REQUIRE(refusal(whole).empty());
  for (size_t n = 0; n < whole.size(); ++n) {
    INFO(n);
    CHECK_FALSE(refusal(whole.substr(0, n)).empty());
  }
}

TEST_CASE("what is not a regular file with contents is refused", "[engine]") {
  const ScratchFolder folder;
  const auto open = [](const std::filesystem::path& path) {
    return thrown_by<StartupError>([&] { SafetensorsFile file(path); });
  };
  CHECK(contains(open(folder.path()), "regular file"));
  CHECK(contains(open(folder.path() / "no.safetensors"), "cannot be opened"));
  CHECK(contains(open(folder.write("e.safetensors", "")), "empty"));
  CHECK(contains(open("/dev/zero"), "regular file"));
}
