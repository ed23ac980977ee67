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

}  // namespace

const std::vector<std::span<char>>& static_shared() {
  static const std::vector<std::span<char>> sections = find_sections();
  return sections;
}

}  // namespace cuda_on_cpu
