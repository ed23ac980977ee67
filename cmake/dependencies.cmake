# Every dependency is a Debian package; newer versions are accepted. scripts/setup installs them.
find_package(Threads REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(OpenSSL REQUIRED)
if(LAPIDARY_TESTS)
  find_package(Catch2 REQUIRED)
endif()

# cpp-httplib and toml++ are used as headers only; Debian's httplib ships no CMake package in
# every release, so the header itself is what is looked for.
find_path(HTTPLIB_INCLUDE_DIR httplib.h REQUIRED)
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
find_library(HTTPLIB_LIBRARY NAMES cpp-httplib httplib)
# A packaged library was compiled with some of the header's options, which change its classes: take
# the same ones from its .pc file. Without a library the header stands alone.
set(HTTPLIB_DEFINITIONS)
if(HTTPLIB_LIBRARY)
  get_filename_component(httplib_folder ${HTTPLIB_LIBRARY} DIRECTORY)
  file(STRINGS ${httplib_folder}/pkgconfig/cpp-httplib.pc httplib_flags REGEX "^Cflags:")
  string(REGEX MATCHALL "CPPHTTPLIB_[A-Z_]+" HTTPLIB_DEFINITIONS "${httplib_flags}")
endif()
