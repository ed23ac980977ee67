#include "tests/cuda_on_cpu/static_shared.h"

#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <string_view>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {
namespace {

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);

constexpr std::string_view kPrefix = "cuda_on_cpu_shared";  // as in cuda_runtime.h

// What the addresses of the program's file are moved by in memory.
uintptr_t load_bias() {
  uintptr_t bias = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uintptr_t*>(out) = info->dlpi_addr;
        return 1;  // the program itself comes first
      },
      &bias);
  return bias;
}

std::vector<std::span<char>> find_sections() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  Header header{};
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  std::vector<Section> sections(header.e_shnum);
  file.seekg(static_cast<std::streamoff>(header.e_shoff));
  file.read(reinterpret_cast<char*>(sections.data()),
            static_cast<std::streamsize>(sections.size() * sizeof(Section)));
  require(file.good() && header.e_shstrndx < sections.size(),
          "the program's section table cannot be read");
  const Section& strings = sections[header.e_shstrndx];
  std::vector<char> names(strings.sh_size + 1);
  file.seekg(static_cast<std::streamoff>(strings.sh_offset));
  file.read(names.data(), static_cast<std::streamsize>(strings.sh_size));
  std::vector<std::span<char>> found;
  for (const Section& section : sections) {
    const std::string_view name = names.data() + section.sh_name;
    if (!name.starts_with(kPrefix)) continue;
    auto* begin = reinterpret_cast<char*>(load_bias() + section.sh_addr);
    found.emplace_back(begin, section.sh_size);
  }
  return found;
}

// The red zones of the address sanitizer lie among the variables: accessed unchecked.
#ifdef __SANITIZE_ADDRESS__
#define UNCHECKED __attribute__((no_sanitize("address")))
#else
#define UNCHECKED
#endif
UNCHECKED void copy(std::span<volatile char> to, const volatile char* from) {
  for (volatile char& byte : to) byte = *from++;
}
UNCHECKED void poison(std::span<volatile char> bytes) {
  for (volatile char& byte : bytes) byte = static_cast<char>(0xff);
}
UNCHECKED bool is_poison(const volatile char& byte) { return byte == static_cast<char>(0xff); }
// From the first byte that is no poison to the last one.
UNCHECKED size_t written(std::span<const volatile char> bytes) {
  size_t first = 0;
  size_t end = bytes.size();
  while (first < end && is_poison(bytes[first])) ++first;
  while (first < end && is_poison(bytes[end - 1])) --end;
  return end - first;
}
#undef UNCHECKED

}  // namespace

void poison_static_shared() {
  for (const std::span<char> bytes : static_shared()) poison({bytes.data(), bytes.size()});
}

size_t static_shared_used() {
  size_t used = 0;
  for (const std::span<char> bytes : static_shared()) {
    used += written({bytes.data(), bytes.size()});
  }
  return used;
}

std::vector<std::vector<char>> static_shared_content() {
  std::vector<std::vector<char>> content;
  for (const std::span<char> bytes : static_shared()) {
    content.emplace_back(bytes.size());
    copy({content.back().data(), bytes.size()}, bytes.data());
  }
  return content;
}

void set_static_shared_content(const std::vector<std::vector<char>>& content) {
  for (size_t i = 0; i < content.size(); ++i) {
    copy({static_shared()[i].data(), content[i].size()}, content[i].data());
  }
}

const std::vector<std::span<char>>& static_shared() {
  static const std::vector<std::span<char>> sections = find_sections();
  return sections;
}

}  // namespace cuda_on_cpu
