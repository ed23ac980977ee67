// Load on a running server: for each concurrency, that many connections send streaming chat
// requests one after the other. Prints a table: requests/s, tokens/s, time to the first token, and
// from /proc the server's CPU per streamed token (of its connection threads, and of all) and its
// memory. Tokens are counted by the server (/ready), so that those of answers which are cut off at
// the end of a measurement count too.
//   load_generator PORT PID MODEL [--tokens N] [--seconds S] [--concurrency 1,8,32,128,512]
// One thread and epoll, so that it takes little from the server it measures.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int port = 0;
  int pid = 0;
  std::string model;
  int tokens = 64;
  double seconds = 10;
  std::vector<int> concurrency = {1, 8, 32, 128, 512};
};

// CPU seconds of the process's threads: of all, and of those that serve connections (they carry the
// name "http"). From schedstat, which counts nanoseconds: hundreds of threads that each did little
// would vanish in the clock ticks of stat.
struct Cpu {
  double all = 0, http = 0;
};

Cpu cpu_seconds(int pid) {
  Cpu cpu;
  std::error_code gone;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
    double nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    cpu.all += nanoseconds * 1e-9;
    if (name == "http") cpu.http += nanoseconds * 1e-9;
  }
  return cpu;
}

int64_t rss_kib(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6);
  }
  return 0;
}

// What one concurrency gave.
struct Result {
  int64_t requests = 0, refused = 0, failed = 0, tokens = 0;
  double seconds = 0;
  Cpu cpu;
  int64_t rss_kib = 0;
  std::vector<double> first_token_ms;
};

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
  }
  return fd;
}

int64_t generated_tokens(int port) {
  const int fd = connect_to(port);
  const std::string request = "GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n";
  std::string answer;
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char bytes[4096];
    for (ssize_t n; (n = ::recv(fd, bytes, sizeof bytes, 0)) > 0;) {
      answer.append(bytes, static_cast<size_t>(n));
    }
  }
  ::close(fd);
  const std::string key = "\"generated_tokens\":";
  const size_t at = answer.find(key);
  if (at == std::string::npos) throw std::runtime_error("no count of tokens at /ready");
  return std::atoll(answer.c_str() + at + key.size());
}

struct Client {
  int fd = -1;
  std::string received;
  Clock::time_point sent;
  bool has_first = false;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options) {
    const std::string body =
        "{\"model\":\"" + options.model +
        "\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me about rubies.\"}],"
        "\"stream\":true,\"ignore_eos\":true,\"temperature\":0,\"max_tokens\":" +
        std::to_string(options.tokens) + "}";
    request_ =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  Result run(int concurrency) {
    result_ = Result();
    epoll_ = epoll_create1(0);
    clients_.assign(static_cast<size_t>(concurrency), Client());
    for (size_t i = 0; i < clients_.size(); ++i) open(i);
    const Cpu before = cpu_seconds(options_.pid);
    const int64_t tokens = generated_tokens(options_.port);
    const auto start = Clock::now();
    const auto end = start + std::chrono::duration<double>(options_.seconds);
    for (size_t i = 0; i < clients_.size(); ++i) send(i);
    while (Clock::now() < end) poll_once();
    result_.tokens = generated_tokens(options_.port) - tokens;
    result_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const Cpu after = cpu_seconds(options_.pid);
    result_.cpu = {after.all - before.all, after.http - before.http};
    result_.rss_kib = rss_kib(options_.pid);
    for (Client& client : clients_) ::close(client.fd);
    ::close(epoll_);
    usleep(1'000'000);  // the server sees that they left
    return result_;
  }

 private:
  void open(size_t index) {
    Client& client = clients_[index];
    client = Client();
    client.fd = connect_to(options_.port);
    const int on = 1;
    setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(client.fd, F_SETFL, O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
  }

  void send(size_t index) {
    Client& client = clients_[index];
    client.sent = Clock::now();
    client.has_first = false;
    client.received.clear();
    if (::send(client.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size())) {
      ++result_.failed;
    }
  }

  void poll_once() {
    epoll_event events[256];
    const int n = epoll_wait(epoll_, events, 256, 100);
    for (int i = 0; i < n; ++i) receive(events[i].data.u64);
  }

  void receive(size_t index) {
    Client& client = clients_[index];
    char bytes[16384];
    const ssize_t n = ::recv(client.fd, bytes, sizeof bytes, 0);
    if (n <= 0) {
      ++result_.failed;
      ::close(client.fd);
      open(index);
      send(index);
      return;
    }
    client.received.append(bytes, static_cast<size_t>(n));
    if (!client.has_first && client.received.find("\"content\":\"") != std::string::npos) {
      client.has_first = true;
      result_.first_token_ms.push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - client.sent).count());
    }
    if (client.received.ends_with("0\r\n\r\n")) {
      ++result_.requests;
      send(index);
    } else if (client.received.starts_with("HTTP/1.1 503") && client.received.ends_with("}}")) {
      ++result_.refused;
      usleep(1000);
      send(index);
    }
  }

  const Options& options_;
  std::string request_;
  std::vector<Client> clients_;
  int epoll_ = -1;
  Result result_;
};

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

double us_per_token(double seconds, int64_t tokens) {
  return tokens > 0 ? 1e6 * seconds / static_cast<double>(tokens) : 0;
}

void print_row(int concurrency, const Result& r) {
  std::printf("%11d | %10.1f | %8.0f | %12.1f | %12.1f | %11.1f | %11.1f | %7.1f | %7ld | %6ld\n",
              concurrency, static_cast<double>(r.requests) / r.seconds,
              static_cast<double>(r.tokens) / r.seconds, percentile(r.first_token_ms, 0.5),
              percentile(r.first_token_ms, 0.99), us_per_token(r.cpu.http, r.tokens),
              us_per_token(r.cpu.all, r.tokens), static_cast<double>(r.rss_kib) / 1024,
              static_cast<long>(r.refused), static_cast<long>(r.failed));
  std::fflush(stdout);
}

Options parse(int argc, char** argv) {
  if (argc < 4) throw std::runtime_error("usage: load_generator PORT PID MODEL [flags]");
  Options options;
  options.port = std::atoi(argv[1]);
  options.pid = std::atoi(argv[2]);
  options.model = argv[3];
  for (int i = 4; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--tokens") options.tokens = std::atoi(value.c_str());
    if (flag == "--seconds") options.seconds = std::atof(value.c_str());
    if (flag == "--concurrency") {
      options.concurrency.clear();
      std::istringstream list(value);
      for (std::string item; std::getline(list, item, ',');) {
        options.concurrency.push_back(std::atoi(item.c_str()));
      }
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    std::printf("memory at rest: %.1f MiB\n", static_cast<double>(rss_kib(options.pid)) / 1024);
    std::printf(
        "concurrency | requests/s | tokens/s | TTFT p50 ms  | TTFT p99 ms  | "
        "HTTP us/tok | all us/tok  | RSS MiB | refused | failed\n");
    Load load(options);
    for (const int concurrency : options.concurrency) {
      print_row(concurrency, load.run(concurrency));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
