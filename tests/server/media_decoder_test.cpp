// Workers that die, hang, lie or cannot be had, and what their sandbox keeps them from.
#include <csignal>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/startup_error.h"
#include "server/media/media_wire.h"
#include "tests/catch.h"
#include "tests/scratch_folder.h"
#include "tests/server/media_world.h"

namespace lapidary {
namespace {

using namespace std::chrono_literals;

// Waits for what another thread does; a test that waits for ever is stopped by ctest.
template <typename Condition>
void wait_until(const Condition& condition) {
  while (!condition()) std::this_thread::sleep_for(1ms);
}

pid_t only_worker(const MediaDecoder& decoder) {
  wait_until([&] { return decoder.idle_workers().size() == 1; });
  return decoder.idle_workers()[0];
}

MediaFault decode_image(MediaDecoder& decoder) {
  return fault_of(decoder.image(stored_file("420.jpg"), {}));
}

// The wait status of a program that does `deed` inside the sandbox; input is the byte "x".
int status_of_deed(const std::string& deed) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  std::string program = LAPIDARY_BINARY_DIR "/tests/sandbox_probe", argument = deed;
  char* arguments[] = {program.data(), argument.data(), nullptr};
  char* environment[] = {nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
  pid_t pid = -1;
  REQUIRE(::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environment) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[0]);
  ::close(ends[1]);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

}  // namespace

TEST_CASE("a worker that dies with a file costs that file", "[server][media]") {
  MediaDecoder decoder(real_workers());
  const pid_t first = only_worker(decoder);
  REQUIRE(::kill(first, SIGSTOP) == 0);
  MediaFault fault = MediaFault::none;
  std::thread client([&] { fault = decode_image(decoder); });
  wait_until([&] { return decoder.idle_workers().empty(); });
  REQUIRE(::kill(first, SIGKILL) == 0);
  client.join();
  CHECK(fault == MediaFault::crashed);
  CHECK(decode_image(decoder) == MediaFault::none);
  CHECK(only_worker(decoder) != first);
  CHECK(decoder.counts().workers_broken == 1);
}

TEST_CASE("a worker that died between two files costs none", "[server][media]") {
  MediaDecoder decoder(real_workers());
  const pid_t first = only_worker(decoder);
  REQUIRE(::kill(first, SIGKILL) == 0);
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, first, &ended, WEXITED | WNOWAIT) == 0);
  CHECK(decode_image(decoder) == MediaFault::none);
  CHECK(decoder.counts().workers_started == 2);
}

TEST_CASE("a worker that hangs is ended and replaced", "[server][media]") {
  MediaDecoderOptions options = real_workers();
  options.deadline = 300ms;
  MediaDecoder decoder(options);
  const pid_t first = only_worker(decoder);
  REQUIRE(::kill(first, SIGSTOP) == 0);
  CHECK(decode_image(decoder) == MediaFault::too_slow);
  wait_until([&] { return decoder.counts().workers_started == 2; });
  CHECK(only_worker(decoder) != first);
  CHECK(::kill(first, 0) == -1);
}

TEST_CASE("who waits too long, or is one too many, is told that others are being served",
          "[server][media]") {
  const bool too_long = GENERATE(true, false);
  MediaDecoderOptions options = real_workers();
  if (too_long) options.longest_wait = 10ms;
  if (!too_long) options.max_waiting = 0;
  MediaDecoder decoder(options);
  const pid_t worker = only_worker(decoder);
  REQUIRE(::kill(worker, SIGSTOP) == 0);
  MediaFault fault = MediaFault::crashed;
  std::thread client([&] { fault = decode_image(decoder); });
  wait_until([&] { return decoder.idle_workers().empty(); });
  CHECK(decode_image(decoder) == MediaFault::busy);
  CHECK(is_fault_of_server(MediaFault::busy));
  REQUIRE(::kill(worker, SIGCONT) == 0);
  client.join();
  CHECK(fault == MediaFault::none);
}

TEST_CASE("many threads share few workers, which are replaced in time", "[server][media]") {
  MediaDecoder decoder(real_workers(2));
  std::vector<std::thread> clients;
  std::vector<int> n_right(4, 0);
  for (int& right : n_right) {
    clients.emplace_back([&] {
      for (int i = 0; i < 75; ++i) right += decode_image(decoder) == MediaFault::none ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  for (const int right : n_right) CHECK(right == 75);
  // 300 files, of which a worker takes 100.
  CHECK(decoder.counts().workers_started >= 3);
  CHECK(decoder.counts().workers_broken == 0);
}

TEST_CASE("a program that is no worker is refused at start", "[server][media]") {
  for (const char* program : {"/bin/true", "/bin/cat", "/nonexistent/lapidary-media"}) {
    MediaDecoderOptions options = real_workers();
    options.program = program;
    CHECK_THROWS_AS(MediaDecoder(options), StartupError);
  }
  const ScratchFolder folder;
  const auto script = folder.write("liar", "#!/bin/sh\nprintf 'no worker at all' >&0\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  MediaDecoderOptions options = real_workers();
  options.program = script;
  CHECK_THROWS_WITH(MediaDecoder(options), Catch::Matchers::Contains("another build"));
}

TEST_CASE("the sandbox lets a worker compute and nothing else", "[server][media]") {
  CHECK(status_of_deed("nothing") == 0);
  CHECK(status_of_deed("read") == 0);
  for (const char* deed : {"open", "openat", "socket", "fork", "exec", "ptrace", "kill", "limits",
                           "write_elsewhere", "code"}) {
    INFO(deed);
    const int status = status_of_deed(deed);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSYS);
  }
  const int memory = status_of_deed("memory");
  CHECK((WIFEXITED(memory) && WEXITSTATUS(memory) == 1));
  const int time = status_of_deed("time");
  CHECK((WIFSIGNALED(time) && WTERMSIG(time) == SIGPROF));
}

TEST_CASE("a worker has no environment and one descriptor", "[server][media]") {
  MediaDecoder decoder(real_workers());
  const std::string folder = "/proc/" + std::to_string(only_worker(decoder));
  std::ifstream status(folder + "/status");
  const std::string text{std::istreambuf_iterator<char>(status), {}};
  CHECK(text.find("Seccomp:\t2") != std::string::npos);
  CHECK(text.find("NoNewPrivs:\t1") != std::string::npos);
  std::error_code unreadable;
  size_t n_descriptors = 0;
  // Not dumpable: only root may look.
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/fd", unreadable)) {
    n_descriptors += entry.is_directory() ? 0 : 1;
  }
  CHECK((unreadable || n_descriptors == 1));
}

TEST_CASE("an answer is believed as far as it was asked for", "[server][media]") {
  MediaRequestHead request;
  request.n_bytes = 10;
  CHECK(is_valid(request));
  MediaAnswerHead answer;
  answer.width = 10;
  answer.height = 5;
  answer.n_frames = 1;
  answer.n_bytes = 150;
  CHECK(is_valid(answer, request));
  const auto refused = [&](auto change) {
    MediaAnswerHead changed = answer;
    change(changed);
    return !is_valid(changed, request);
  };
  CHECK(refused([](auto& a) { a.magic = 1; }));
  CHECK(refused([](auto& a) { a.n_bytes = 151; }));
  CHECK(refused([](auto& a) { a.width = -10; }));
  CHECK(refused([](auto& a) { a.width = 1 << 30, a.height = 1 << 30, a.n_bytes = 0; }));
  CHECK(refused([](auto& a) { a.width = 8000, a.height = 8000, a.n_bytes = 192'000'000; }));
  CHECK(refused([](auto& a) { a.n_frames = 2, a.n_bytes = 300; }));
  CHECK(refused([](auto& a) { a.fault = static_cast<MediaFault>(99); }));
  CHECK(refused([](auto& a) { a.fault = MediaFault::damaged; }));
  request.n_bytes = request.limits.max_bytes + 1;
  CHECK_FALSE(is_valid(request));
}

}  // namespace lapidary
