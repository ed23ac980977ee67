// A test of the tests: plants each bug of planted_bugs.cu in a child process under every schedule.
// At least one schedule must report it, by a wrong result or by the process's end; the same kernel
// without its bug must pass under all. Prints who caught what.
#include "tests/cuda_on_cpu/planted_bugs.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/cuda_on_cpu/block.h"

namespace planted {
namespace {

using cuda_on_cpu::Schedule;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;  // the build sanitizes addresses and undefined behaviour together
#else
constexpr bool kSanitized = false;
#endif

constexpr const char* kWrongResult = "wrong result";

struct Outcome {
  bool is_caught = false;
  std::string words;  // how
};

// The first line of what a dying process said that tells why.
std::string reason(const std::string& said) {
  for (const char* mark : {"cuda_on_cpu: ", "AddressSanitizer: ", "runtime error: ", "CUDA: "}) {
    const size_t at = said.find(mark);
    if (at == std::string::npos) continue;
    const size_t begin = at + std::string(mark).size();
    std::string line = said.substr(begin, said.find('\n', begin) - begin);
    for (const char* end : {" (", " 0x", " on address", " on unknown", " for type", "; "}) {
      line = line.substr(0, line.find(end));
    }
    return line;
  }
  return "the process ended";
}

std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t n = read(descriptor, buffer, sizeof(buffer));
    if (n <= 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

[[noreturn]] void run_child(const PlantedBug& bug, bool planted, Schedule schedule, int error_pipe) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(error_pipe, STDERR_FILENO);
  cuda_on_cpu::set_schedule(schedule);
  _exit(bug.run(planted) ? 0 : 1);
}

Outcome outcome_of(const PlantedBug& bug, bool planted, Schedule schedule) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) run_child(bug, planted, schedule, ends[1]);
  close(ends[1]);
  const std::string said = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1 && said.empty()) return {true, kWrongResult};
  return {true, reason(said)};
}

std::vector<Schedule> schedules() {
  std::vector<Schedule> all;
  for (const unsigned seed : {0U, 1U, 2U, 3U, 4U, 5U}) {
    for (const bool late : {false, true}) all.push_back({seed, late});
  }
  return all;
}

// One line of the table; whether all is as it must be.
bool check(const PlantedBug& bug) {
  std::string marks;
  std::string words;
  bool any_caught = false;
  bool all_clean = true;
  for (const Schedule& schedule : schedules()) {
    if (outcome_of(bug, false, schedule).is_caught) all_clean = false;
    const Outcome outcome = outcome_of(bug, true, schedule);
    marks += outcome.is_caught ? 'x' : '.';
    any_caught = any_caught || outcome.is_caught;
    if (outcome.is_caught && (words.empty() || words == kWrongResult)) words = outcome.words;
  }
  const bool is_expected = bug.needs == Needs::nothing || kSanitized;
  const char* verdict = !all_clean                    ? " FALSE ALARM without the bug"
                        : any_caught || !is_expected  ? ""
                                                      : " NOT CAUGHT";
  if (!is_expected && !any_caught) words = "(seen only with the sanitizers)";
  std::printf("%-54s %s  %s%s\n", bug.name.c_str(), marks.c_str(), words.c_str(), verdict);
  return *verdict == '\0';
}

int run() {
  std::printf("Caught (x) with threads ascending, descending, and in four random orders, each with\n"
              "asynchronous copies landing at once and late:\n");
  int n_failed = 0;
  for (const PlantedBug& bug : planted_bugs()) {
    if (!check(bug)) ++n_failed;
  }
  std::printf("%s\n", n_failed == 0 ? "All are as they must be." : "Some are not as they must be.");
  return n_failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace planted

int main() { return planted::run(); }
