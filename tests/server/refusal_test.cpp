// What happens at the edges of a server's life: too many connections, stopping, a lost socket.

#include <dirent.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "server/http/chunk_guard.h"
#include "server/http/peer_limit.h"
#include "server/shutdown_signals.h"
#include "tests/server/running_server.h"

// Last: the CHECK of Catch2 is wanted here, not that of kernels/check.h.
#include "tests/catch.h"

namespace lapidary {
namespace {

using std::chrono::milliseconds;

std::string chat() { return RawClient::post("/v1/chat/completions", chat_request().dump()); }

int open_descriptors() {
  int n = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++n;
  closedir(folder);
  return n;
}

// Of this process; the first one found.
int listening_socket() {
  for (int fd = 3; fd < 1024; ++fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0) return fd;
  }
  return -1;
}

std::vector<std::unique_ptr<RawClient>> connect_many(int port, int n, const std::string& bytes) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < n; ++i) {
    clients.push_back(std::make_unique<RawClient>(port));
    clients.back()->send(bytes);
  }
  return clients;
}

HttpOptions few_connections(size_t n) {
  HttpOptions options = RunningServer::fast_options();
  options.max_connections = n;
  options.limits.head_time = milliseconds(60'000);
  options.limits.grace = milliseconds(60'000);
  return options;
}

sockaddr_storage address(int family, const char* text) {
  sockaddr_storage storage{};
  storage.ss_family = static_cast<sa_family_t>(family);
  void* out = family == AF_INET
                  ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(storage).sin_addr)
                  : static_cast<void*>(&reinterpret_cast<sockaddr_in6&>(storage).sin6_addr);
  REQUIRE(inet_pton(family, text, out) == 1);
  return storage;
}

PeerLimit::Peer peer(int family, const char* text) {
  return PeerLimit::peer_of(address(family, text));
}

// However the bytes are cut.
bool is_well_framed(std::string_view body) {
  ChunkGuard whole, single;
  bool good = true;
  for (size_t i = 0; i < body.size(); ++i) good = single.take(body.substr(i, 1));
  REQUIRE(whole.take(body) == good);
  return good;
}

}  // namespace

TEST_CASE("no descriptor stays behind when refusals pile up", "[server]") {
  RunningServer server(few_connections(4));
  const int before = open_descriptors();
  {
    const auto held = connect_many(server.port, 4, "GET /health HTTP/1.1\r\n");
    const auto extra = connect_many(server.port, 400, chat());
    for (const auto& client : extra) CHECK(client->hangs_up());
  }
  CHECK(eventually([&] { return open_descriptors() == before; }));
  CHECK(RawClient(server.port).ask(chat()).status == 200);
}

TEST_CASE("silent clients do not delay the refusal of the next one", "[server]") {
  RunningServer server(few_connections(1));
  const auto held = connect_many(server.port, 1, "GET /health HTTP/1.1\r\n");
  REQUIRE(eventually([&] { return server.active_requests() == 1; }));
  // Each of them would cost the time for which a connection lingers, were it waited for.
  const auto silent = connect_many(server.port, 200, "");
  RawClient next(server.port);
  const RawAnswer answer = next.read();  // within its ten seconds
  CHECK(answer.status == 503);
  CHECK(answer.header("retry-after") == "1");
  CHECK(answer.header("x-request-id").starts_with("req_"));
}

TEST_CASE("stopping cuts an upload in its head and in its body", "[server]") {
  RunningServer server(few_connections(8));
  RawClient head(server.port), body(server.port);
  head.send("POST /v1/chat/completions HTTP/1.1\r\nHost: loc");
  body.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{");
  REQUIRE(eventually([&] { return server.active_requests() == 2; }));
  server.stop();  // would wait for a minute
  CHECK(head.read().status == 503);
  CHECK(body.read().status == 503);
}

TEST_CASE("a stop before the server runs is not lost", "[server]") {
  HttpServer server(RunningServer::fast_options());
  server.bind();
  server.stop();
  CHECK(server.run());
}

TEST_CASE("a server whose listening socket fails says so", "[server]") {
  RunningServer server;
  RawClient idle(server.port);
  REQUIRE(idle.ask(RawClient::get("/health")).status == 200);
  REQUIRE(::shutdown(listening_socket(), SHUT_RDWR) == 0);
  CHECK(!server.wait());
}

TEST_CASE("an unfinished request line is answered when its time is over", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  client.send("POST /v1/chat/completions HTT");
  const RawAnswer answer = client.read();
  CHECK(answer.status == 408);
  CHECK(answer.header("content-type") == "application/json");
}

TEST_CASE("an error in a stream ends its connection", "[server]") {
  RunningServer server;
  server.world.engine.set_script([](const Request& request) {
    TokenEvent end;
    end.finish = FinishReason::cancelled;
    return std::vector<TokenEvent>{ApiWorld::token(request, 0, 300), end};
  });
  RawClient client(server.port);
  nlohmann::json body = chat_request();
  body["stream"] = true;
  const RawAnswer answer = client.ask(RawClient::post("/v1/chat/completions", body.dump()));
  CHECK(frames(answer.body).back().contains("error"));
  CHECK(client.hangs_up());
}

TEST_CASE("one address holds half of the connections, loopback all", "[server]") {
  PeerLimit limit(4);
  const auto some = peer(AF_INET, "192.0.2.1");
  const auto first = limit.enter(some);
  {
    const auto second = limit.enter(peer(AF_INET6, "::ffff:192.0.2.1"));
    CHECK(second);
    CHECK(!limit.enter(some));
    CHECK(limit.enter(peer(AF_INET, "192.0.2.2")));
  }
  CHECK(limit.enter(some));

  CHECK(peer(AF_INET6, "2001:db8::1") == peer(AF_INET6, "2001:db8::2:3"));
  CHECK(peer(AF_INET6, "2001:db8::1") != peer(AF_INET6, "2001:db8:0:1::1"));
  PeerLimit tight(1);
  for (const auto& loopback : {peer(AF_INET, "127.0.0.1"), peer(AF_INET6, "::1")}) {
    const auto one = tight.enter(loopback);
    CHECK(tight.enter(loopback));
  }
}

TEST_CASE("only plain chunks are well framed", "[server]") {
  for (const char* good : {"2\r\n{}\r\n0\r\n\r\n", "A;x=y\r\n0123456789\r\n0\r\n\r\n",
                           "1 \r\n\n\r\n0\r\n\r\n", "3\r\n\r\n\r\r\n0\r\nX: y\r\n\r\n"}) {
    CAPTURE(good);
    CHECK(is_well_framed(good));
  }
  for (const char* bad : {"-2\r\n", "+2\r\n", " 2\r\n", "0x2\r\n", "\r\n", "2\n{}", "2\r{}",
                          "2\r\n{}x", "2\r\n{}\n", "1234567890123456\r\n", "2;\n\r\n"}) {
    CAPTURE(bad);
    CHECK(!is_well_framed(bad));
  }
}

TEST_CASE("a foreign SIGUSR1 does not make the server deaf to SIGTERM", "[server]") {
  std::atomic<int> shutdowns{0};
  {
    ShutdownSignals signals;
    signals.arm([&] { ++shutdowns; });
    ::kill(::getpid(), SIGUSR1);
    // Only once the first is taken: signals of different kinds have no order.
    REQUIRE(eventually([] {
      sigset_t pending;
      sigpending(&pending);
      return sigismember(&pending, SIGUSR1) == 0;
    }));
    ::kill(::getpid(), SIGTERM);
    CHECK(eventually([&] { return shutdowns == 1; }));
  }
  CHECK(shutdowns == 1);
}

}  // namespace lapidary
