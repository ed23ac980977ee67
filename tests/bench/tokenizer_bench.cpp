// The tokenizer from a command line, for scripts that compare it with another one.
//   tokenizer_bench FILE load          time and memory of loading tokenizer.json
//   tokenizer_bench FILE ids           JSON strings, one a line, from standard input; a JSON line
//                                      {"text": ids, "control": ids, "decoded": text} for each
//   tokenizer_bench FILE speed [N]     MiB a second of CPU time, one thread, best of N passes on
//                                      standard input
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/startup_error.h"
#include "engine/text/tokenizer.h"

namespace lapidary {
namespace {

// Of this thread on a processor: other work on the machine counts as little as it can.
double cpu_seconds(const std::function<void()>& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double begin = now();
  work();
  return now() - begin;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void print_ids(const Tokenizer& tokenizer) {
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::string text = nlohmann::json::parse(line);
    const std::vector<int32_t> ids = tokenizer.encode(text);
    const nlohmann::json answer = {{"text", ids},
                                   {"control", tokenizer.encode_with_control(text)},
                                   {"decoded", tokenizer.decode(ids, false)}};
    std::cout << answer.dump() << '\n';
  }
}

void print_speed(const std::string& file, int n_passes) {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const double mib = static_cast<double>(text.size()) / (1 << 20);
  const Tokenizer tokenizer = Tokenizer::from_file(file);
  std::vector<int32_t> ids;
  const double first = cpu_seconds([&] { ids = tokenizer.encode(text); });
  double encode = first, decode = 1e30;
  std::string decoded;
  for (int pass = 1; pass < n_passes; ++pass) {
    encode = std::min(encode, cpu_seconds([&] { ids = tokenizer.encode(text); }));
    decode = std::min(decode, cpu_seconds([&] { decoded = tokenizer.decode(ids, false); }));
  }
  const nlohmann::json result = {{"bytes", text.size()},
                                 {"tokens", ids.size()},
                                 {"encode_first_mib_s", mib / first},
                                 {"encode_mib_s", mib / encode},
                                 {"decode_mib_s", mib / decode}};
  std::cout << result.dump() << '\n';
}

void print_load(const std::string& file) {
  const double before = peak_mib();
  const double time = cpu_seconds([&] { Tokenizer::from_file(file); });
  std::printf("load %.3f s, peak memory %.0f MiB (%.0f before)\n", time, peak_mib(), before);
}

int run(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[2] : "";
  if (mode == "load") {
    print_load(argv[1]);
  } else if (mode == "ids") {
    print_ids(Tokenizer::from_file(argv[1]));
  } else if (mode == "speed") {
    print_speed(argv[1], argc > 3 ? std::atoi(argv[3]) : 5);
  } else {
    std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER_JSON load|ids|speed [PASSES]\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) {
  try {
    return lapidary::run(argc, argv);
  } catch (const lapidary::StartupError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
