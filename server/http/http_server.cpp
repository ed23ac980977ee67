#include "server/http/http_server.h"

#include <httplib.h>

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "config/startup_error.h"
#include "server/api/api_error.h"
#include "server/http/connection_pool.h"
#include "server/http/peer_limit.h"
#include "server/http/request_policy.h"

namespace lapidary {
namespace {

constexpr int kBacklog = 4096;
constexpr size_t kMaxPathBytes = 256;

// What this thread is doing for its connection; the library's callbacks have no room for it.
struct Exchange {
  Connection* connection = nullptr;
  std::string request_id;
  bool routed = false;  // our handlers saw the request, so its framing is understood
  bool close = false;
  bool answered = false;  // some of an answer was written
  // For the log: the route's own path, since a client's may hold anything.
  std::string method, path;
  ErrorForm form = ErrorForm::openai;  // of the route
  int status = 0;
};
thread_local Exchange* exchange = nullptr;

// The library's view of a Connection. Methods of newer versions are there too, hence no `override`.
class ConnectionStream : public httplib::Stream {
 public:
  explicit ConnectionStream(Connection& connection) : connection_(connection) {}

  bool is_readable() const { return connection_.readable(); }
  bool wait_readable() const { return connection_.readable(); }
  bool is_writable() const { return !connection_.peer_gone(); }
  bool wait_writable() const { return !connection_.peer_gone(); }
  bool is_peer_alive() const { return !connection_.peer_gone(); }
  ssize_t read(char* out, size_t size) { return connection_.read(out, size); }
  ssize_t write(const char* bytes, size_t size) {
    exchange->answered = true;
    return connection_.write({bytes, size}) ? static_cast<ssize_t>(size) : -1;
  }
  // No names or addresses are made for a request: nothing here uses them.
  void get_remote_ip_and_port(std::string&, int&) const {}
  void get_local_ip_and_port(std::string&, int&) const {}
  // Old versions refuse descriptors that select(2) cannot take, but only this class waits on it.
  socket_t socket() const { return connection_.fd() < FD_SETSIZE ? connection_.fd() : 0; }
  time_t duration() const { return 0; }

 private:
  Connection& connection_;
};

// Versions differ in what TaskQueue::enqueue returns.
class PoolQueue : public httplib::TaskQueue {
 public:
  using Result = decltype(std::declval<httplib::TaskQueue&>().enqueue(std::function<void()>{}));

  // `on_shutdown` tells the connections that nobody waits for them any longer.
  PoolQueue(size_t max_threads, std::function<void()> on_shutdown)
      : on_shutdown_(std::move(on_shutdown)), pool_(max_threads) {}

  Result enqueue(std::function<void()> job) override {
    pool_.run(std::move(job));
    return static_cast<Result>(true);
  }
  void shutdown() override {
    on_shutdown_();
    pool_.shutdown();
  }

 private:
  const std::function<void()> on_shutdown_;
  ConnectionPool pool_;
};

class SinkWriter : public BodyWriter {
 public:
  SinkWriter(httplib::DataSink& sink, Connection& connection)
      : sink_(sink), connection_(connection) {}

  bool write(std::string_view bytes) override {
    // An empty write would end the body.
    if (alive_ && !bytes.empty()) alive_ = sink_.write(bytes.data(), bytes.size());
    return alive_;
  }
  bool client_gone() override { return !alive_ || connection_.peer_gone(); }
  void close_connection() override { exchange->close = true; }

 private:
  httplib::DataSink& sink_;
  Connection& connection_;
  bool alive_ = true;
};

void set_body(httplib::Response& response, int status, const std::string& body,
              const std::string& content_type) {
  response.status = status;
  response.set_content(body, content_type);
}

void set_error(httplib::Response& response, const ApiError& error) {
  if (exchange->form == ErrorForm::anthropic) {
    set_body(response, error.anthropic_status(), error.anthropic_body(exchange->request_id),
             "application/json");
  } else {
    set_body(response, error.status, error.body(), "application/json");
  }
  if (error.retry_after_s > 0) {
    response.set_header("Retry-After", std::to_string(error.retry_after_s));
  }
  // What both official clients look for before they try again by themselves.
  if (error.is_final) response.set_header("x-should-retry", "false");
  if (error.close) exchange->close = true;
}

// Answers that the library gives by itself (a bad request line, a wrong range) have no body.
ApiError library_error(int status) {
  switch (exchange->connection->fault()) {
    case ReadFault::line_too_long:
      return api_error::bad_http(414, "invalid_request", "The request's URL is too long.");
    case ReadFault::head_too_large:
      return api_error::bad_http(431, "invalid_request", "The request's headers are too large.");
    case ReadFault::too_slow:
      return api_error::bad_http(408, "request_timeout", "The request came too slowly.");
    case ReadFault::stopping:
      return api_error::draining();
    default:
      break;
  }
  if (status >= 500) return api_error::internal();
  return api_error::bad_http(status, "invalid_request", "The HTTP request is malformed.");
}

std::string read_body(const httplib::ContentReader& reader, size_t max_bytes) {
  std::string body;
  bool too_large = false;
  const bool complete = reader([&](const char* data, size_t size) {
    too_large = body.size() + size > max_bytes;
    if (!too_large) body.append(data, size);
    return !too_large;
  });
  const ReadFault fault = exchange->connection->fault();
  if (too_large || fault == ReadFault::body_too_large) throw api_error::body_too_large(max_bytes);
  if (fault == ReadFault::too_slow) {
    throw api_error::bad_http(408, "request_timeout", "The request's body came too slowly.");
  }
  if (fault == ReadFault::stopping) throw api_error::draining();
  if (fault == ReadFault::malformed) {
    throw api_error::bad_http(400, "invalid_request", "The chunks of the request are malformed.");
  }
  if (!complete) {
    throw api_error::bad_http(400, "invalid_request", "The request's body is incomplete.");
  }
  return body;
}

// An answer that does not go through the library; the connection ends behind it.
void write_error(Connection& connection, const ApiError& error) {
  const std::string body = error.body();
  std::string text =
      "HTTP/1.1 " + std::to_string(error.status) +
      " Error\r\nContent-Type: application/json\r\nX-Request-Id: " + exchange->request_id +
      "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  if (error.retry_after_s > 0) {
    text += "Retry-After: " + std::to_string(error.retry_after_s) + "\r\n";
  }
  connection.write(text + "\r\n" + body);
  exchange->status = error.status;
  exchange->close = true;
}

// Descriptors for every connection, where the system lets us have them.
void raise_descriptor_limit(size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
    spdlog::warn("Only {} open files are allowed; fewer connections than --max-connections fit.",
                 limit.rlim_cur);
  }
}

}  // namespace

class HttpServer::Listener : public httplib::Server {
 public:
  explicit Listener(HttpOptions options)
      : options_(std::move(options)),
        stop_fd_(::eventfd(0, EFD_CLOEXEC)),
        peers_(options_.max_connections) {
    policy_.max_body_bytes = options_.limits.body_bytes;
    policy_.allowed_hosts = RequestPolicy::hosts_of(options_.host);
    set_payload_max_length(options_.limits.body_bytes);
    set_keep_alive_max_count(options_.max_requests_per_connection);
    set_keep_alive_timeout(
        std::chrono::duration_cast<std::chrono::seconds>(options_.limits.idle).count());
    new_task_queue = [this] {
      return new PoolQueue(options_.max_connections, [this] { end_connections(); });
    };
    set_socket_options([this](socket_t fd) {
      const int on = 1;
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      listen_fd_ = fd;
    });
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      return admit(request, response);
    });
    set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
      response.set_header("X-Request-Id", exchange->request_id);
      if (exchange->form == ErrorForm::anthropic) {
        response.set_header("request-id", exchange->request_id);
      }
      exchange->status = response.status;
      if (!exchange->close) return;
      response.headers.erase("Keep-Alive");
      response.headers.erase("Connection");
      response.set_header("Connection", "close");
    });
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      set_error(response, library_error(response.status));
    });
    set_exception_handler([](const httplib::Request&, httplib::Response& response,
                             std::exception_ptr) { set_error(response, api_error::internal()); });
  }

  ~Listener() override { ::close(stop_fd_); }

  void add_route(const std::string& method, const std::string& path, HttpHandler handler,
                 ErrorForm form) {
    const bool prefix = path.ends_with("/*");
    const std::string plain = prefix ? path.substr(0, path.size() - 1) : path;
    routes_.push_back({method, plain, prefix, form});
    const std::string pattern = prefix ? plain + "[\\s\\S]+" : plain;  // `.` takes no line ends
    const auto shared = std::make_shared<HttpHandler>(std::move(handler));
    if (method == "GET") {
      Get(pattern, [this, shared](const httplib::Request& request, httplib::Response& response) {
        answer(request, response, *shared, {});
      });
    } else {
      Post(pattern, [this, shared](const httplib::Request& request, httplib::Response& response,
                                   const httplib::ContentReader& reader) {
        try {
          answer(request, response, *shared, read_body(reader, policy_.max_body_bytes));
        } catch (const ApiError& error) {
          set_error(response, error);
        }
      });
    }
  }

  int take_address() {
    raise_descriptor_limit(options_.max_connections + 256);
    const bool any = options_.port == 0;
    const int port = any ? bind_to_any_port(options_.host)
                         : (bind_to_port(options_.host, options_.port) ? options_.port : -1);
    if (port <= 0) {
      throw StartupError("Cannot listen on " + options_.host + " port " +
                         std::to_string(options_.port) + ": " + std::strerror(errno) +
                         ". Choose another --port or --host.");
    }
    // The library's own backlog is 5 in old versions; listening once more raises it.
    ::listen(listen_fd_, kBacklog);
    return port;
  }

  bool serve() {
    const bool ended_well = listen_after_bind();
    listen_fd_ = -1;  // the library closed it
    return ended_well || stopping_;
  }

  // The library's own stop() does nothing until its loop has begun, and closes a descriptor that
  // the loop may have closed already. A socket that is shut down fails the loop's accept(), now or
  // when it comes to it.
  void stop_serving() {
    stopping_ = true;
    end_connections();
    ::shutdown(listen_fd_, SHUT_RDWR);
  }

  int active() const { return active_.load(); }

 private:
  struct Route {
    std::string method, path;
    bool prefix = false;
    ErrorForm form = ErrorForm::openai;

    bool matches(std::string_view other) const {
      return prefix ? other.size() > path.size() && other.starts_with(path) : other == path;
    }
  };

  void end_connections() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(stop_fd_, &one, sizeof one);
  }

  // The library calls this on a pool thread for every accepted socket.
  bool process_and_close_socket(socket_t fd) override {
    Connection connection(fd, options_.limits, stop_fd_);
    Exchange mine;
    mine.connection = &connection;
    exchange = &mine;
    const PeerLimit::Place place = peers_.enter(PeerLimit::peer_of(fd));
    if (ConnectionPool::is_refusing() || !place) {
      mine.request_id = new_request_id();
      write_error(connection, api_error::overloaded());
      connection.hang_up();  // a refusal must not wait for its client
    } else {
      serve_requests(connection);
      if (mine.close) connection.abandon_input();
    }
    exchange = nullptr;
    return true;
  }

  void serve_requests(Connection& connection) {
    ConnectionStream stream(connection);
    for (size_t left = options_.max_requests_per_connection; left > 0; --left) {
      if (!connection.wait_for_request()) return;
      const auto start = std::chrono::steady_clock::now();
      *exchange = Exchange{.connection = &connection, .request_id = new_request_id()};
      active_.fetch_add(1);
      bool client_closes = false, ok = false;
      try {
        ok = process(*this, stream, left == 1, client_closes);
      } catch (const std::exception& error) {
        spdlog::error("request {}: {}", exchange->request_id, error.what());
      }
      if (!ok && !exchange->answered && connection.fault() > ReadFault::closed) {
        write_error(connection, library_error(400));  // the library says nothing to half a line
      }
      active_.fetch_sub(1);
      log_request(start);
      // A request that never reached routing was not understood: its rest may be anything.
      if (!exchange->routed || connection.fault() != ReadFault::none) exchange->close = true;
      if (!ok || client_closes || exchange->close) return;
    }
  }

  // One line a request; what probes ask for all the time is for debugging only.
  static void log_request(std::chrono::steady_clock::time_point start) {
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    const bool is_probe = exchange->path == "/health" || exchange->path == "/ready";
    spdlog::log(is_probe ? spdlog::level::debug : spdlog::level::info, "{} {} {} {} {:.1f} ms",
                exchange->request_id, exchange->method.empty() ? "-" : exchange->method,
                exchange->path.empty() ? "-" : exchange->path, exchange->status, took.count());
  }

  // The library's entry point, which newer versions gave more parameters.
  template <typename Self>
  static bool process(Self& self, ConnectionStream& stream, bool last, bool& closed) {
    const std::function<void(httplib::Request&)> prepare = [](httplib::Request& request) {
      request.headers.erase("Accept-Encoding");  // or answers would be compressed
      request.ranges.clear();
    };
    if constexpr (requires { self.process_request(stream, last, closed, prepare); }) {
      return self.process_request(stream, last, closed, prepare);
    } else {
      return self.process_request(stream, "", 0, "", 0, last, closed, prepare);
    }
  }

  HandlerResponse admit(const httplib::Request& request, httplib::Response& response) {
    exchange->routed = true;
    const std::string id = request.get_header_value("X-Request-Id");
    if (is_request_id(id)) exchange->request_id = id;
    const RequestHead head{request.method, request.version, [&](const char* name) {
                             std::vector<std::string> values;
                             const auto range = request.headers.equal_range(name);
                             for (auto it = range.first; it != range.second; ++it) {
                               values.push_back(it->second);
                             }
                             return values;
                           }};
    // The route first: it says in which form any error is told.
    const std::optional<ApiError> no_route = find_route(request, response);
    std::optional<ApiError> error = policy_.check(head);
    if (!error) error = no_route;
    // A body that nobody is going to read must not be taken for the next request.
    const bool has_body =
        request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
    if (has_body && (error || request.method != "POST")) exchange->close = true;
    if (!error && request.has_header("Transfer-Encoding")) exchange->connection->expect_chunks();
    if (!error) return HandlerResponse::Unhandled;
    set_error(response, *error);
    return HandlerResponse::Handled;
  }

  std::optional<ApiError> find_route(const httplib::Request& request,
                                     httplib::Response& response) const {
    if (request.path.size() > kMaxPathBytes) {
      return api_error::unknown_url(request.method, request.path);
    }
    std::string allowed;
    for (const Route& route : routes_) {
      if (!route.matches(request.path)) continue;
      exchange->method = route.method;
      exchange->path = route.path;
      exchange->form = route.form;
      if (route.method == request.method) return std::nullopt;
      if (route.method == "GET" && request.method == "HEAD") return std::nullopt;
      allowed = route.method;
    }
    if (allowed.empty()) return api_error::unknown_url(request.method, request.path);
    response.set_header("Allow", allowed);
    return api_error::method_not_allowed(request.method, request.path);
  }

  void answer(const httplib::Request& request, httplib::Response& response,
              const HttpHandler& handler, std::string body) {
    HttpRequest view;
    view.method = request.method;
    view.path = request.path;
    view.body = std::move(body);
    view.id = exchange->request_id;
    view.client_gone = [connection = exchange->connection] { return connection->peer_gone(); };
    try {
      HttpResponse answer = handler(view);
      for (const auto& [name, value] : answer.headers) response.set_header(name, value);
      if (answer.stream) {
        start_stream(request, response, std::move(answer));
      } else {
        set_body(response, answer.status, answer.body, answer.content_type);
      }
    } catch (const ApiError& error) {
      set_error(response, error);
    } catch (const std::exception& error) {
      spdlog::error("request {}: {}", view.id, error.what());
      set_error(response, api_error::internal());
    }
  }

  void start_stream(const httplib::Request& request, httplib::Response& response,
                    HttpResponse answer) {
    response.status = answer.status;
    const auto write_all = [stream = std::move(answer.stream), connection = exchange->connection](
                               size_t, httplib::DataSink& sink) {
      SinkWriter writer(sink, *connection);
      stream(writer);
      if (writer.client_gone()) return false;
      sink.done();
      return true;
    };
    if (request.version == "HTTP/1.0") {  // has no chunks: the end of the connection is the end
      exchange->close = true;
      response.set_content_provider(answer.content_type, write_all);
    } else {
      response.set_chunked_content_provider(answer.content_type, write_all);
    }
  }

  const HttpOptions options_;
  const int stop_fd_;
  PeerLimit peers_;
  RequestPolicy policy_;
  std::vector<Route> routes_;
  std::atomic<int> listen_fd_{-1};
  std::atomic<bool> stopping_{false};
  std::atomic<int> active_{0};
};

HttpServer::HttpServer(HttpOptions options)
    : listener_(std::make_unique<Listener>(std::move(options))) {}
HttpServer::~HttpServer() = default;

void HttpServer::route(const std::string& method, const std::string& path, HttpHandler handler,
                       ErrorForm form) {
  listener_->add_route(method, path, std::move(handler), form);
}
int HttpServer::bind() { return listener_->take_address(); }
bool HttpServer::run() { return listener_->serve(); }
void HttpServer::stop() { listener_->stop_serving(); }
int HttpServer::active_requests() const { return listener_->active(); }

}  // namespace lapidary
