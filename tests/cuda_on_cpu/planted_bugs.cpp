// A test of the tests: plants each bug of planted_bugs.cu and planted_hopper_bugs.cu in a child
// process under every schedule. At least one schedule must report it, by a wrong result or by the
// process's end; the same kernel without its bug must pass under all. Prints who caught what.
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

// Of this build. Addresses and undefined behaviour are sanitized together.
bool has(Needs needs) {
#if defined(__SANITIZE_ADDRESS__)
  return needs != Needs::thread_sanitizer;
#elif defined(__SANITIZE_THREAD__)
  return needs == Needs::nothing || needs == Needs::thread_sanitizer;
#else
  return needs == Needs::nothing;
#endif
}

constexpr const char* kWrongResult = "wrong result";

struct Outcome {
  bool is_caught = false;
  std::string words;  // how
};

std::vector<PlantedBug> all_bugs() {
  std::vector<PlantedBug> all = planted_bugs();
  for (PlantedBug& bug : planted_hopper_bugs()) all.push_back(std::move(bug));
  return all;
}

// The first line of what a dying process said that tells why.
std::string reason(const std::string& said) {
  for (const char* mark :
       {"cuda_on_cpu: ", "AddressSanitizer: ", "ThreadSanitizer: ", "runtime error: ", "CUDA: "}) {
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

// In the child: bug number, planted or not, seed, late copies or not.
int run_one(char** arguments) {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  const PlantedBug bug = all_bugs()[std::strtoul(arguments[0], nullptr, 10)];
  const bool planted = *arguments[1] == '1';
  cuda_on_cpu::set_schedule({static_cast<unsigned>(std::strtoul(arguments[2], nullptr, 10)),
                             *arguments[3] == '1'});
  return bug.run(planted) ? 0 : 1;
}

Outcome outcome_of(size_t bug, bool planted, Schedule schedule) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const std::string number = std::to_string(bug);
  const std::string seed = std::to_string(schedule.seed);
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    execl("/proc/self/exe", "planted_bugs", number.c_str(), planted ? "1" : "0", seed.c_str(),
          schedule.late_copies ? "1" : "0", nullptr);
    _exit(1);
  }
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
bool check(const PlantedBug& bug, size_t number) {
  std::string marks;
  std::string words;
  bool any_caught = false;
  bool all_clean = true;
  for (const Schedule& schedule : schedules()) {
    if (outcome_of(number, false, schedule).is_caught) all_clean = false;
    const Outcome outcome = outcome_of(number, true, schedule);
    marks += outcome.is_caught ? 'x' : '.';
    any_caught = any_caught || outcome.is_caught;
    if (outcome.is_caught && (words.empty() || words == kWrongResult)) words = outcome.words;
  }
  const bool is_expected = has(bug.needs);
  const char* verdict = !all_clean                    ? " FALSE ALARM without the bug"
                        : any_caught || !is_expected  ? ""
                                                      : " NOT CAUGHT";
  if (!is_expected && !any_caught) words = "(seen with a sanitizer only)";
  std::printf("%-54s %s  %s%s\n", bug.name.c_str(), marks.c_str(), words.c_str(), verdict);
  return *verdict == '\0';
}

int run() {
  std::printf("Caught (x) with threads ascending, descending, and in four random orders, each with\n"
              "asynchronous copies landing at once and late:\n");
  int n_failed = 0;
  const std::vector<PlantedBug> bugs = all_bugs();
  for (size_t i = 0; i < bugs.size(); ++i) {
    if (!check(bugs[i], i)) ++n_failed;
  }
  std::printf("%s\n", n_failed == 0 ? "All are as they must be." : "Some are not as they must be.");
  return n_failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace planted

int main(int argc, char** argv) {
  return argc == 5 ? planted::run_one(argv + 1) : planted::run();
}
