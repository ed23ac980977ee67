// A client that sends whatever bytes a test wants and reads what comes back. Blocking, with a
// time-out on every read.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lapidary {

struct RawAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without the framing of chunks

  std::string header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? "" : it->second;
  }
};

class RawClient {
 public:
  explicit RawClient(int port, int timeout_s = 10) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval timeout{timeout_s, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  // False when the server hung up before it had read everything.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  static std::string post(const std::string& path, const std::string& body,
                          const std::string& headers = "") {
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
           headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string get(const std::string& path, const std::string& headers = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
  }

  RawAnswer ask(const std::string& request) {
    send(request);
    return read();
  }

  // One answer; status 0 when the server hung up or was silent for too long.
  RawAnswer read() {
    RawAnswer answer;
    std::string line;
    if (!read_line(line)) return answer;
    if (line.size() > 12) answer.status = std::atoi(line.c_str() + 9);
    while (read_line(line) && !line.empty()) {
      const size_t colon = line.find(": ");
      if (colon == std::string::npos) continue;
      std::string name = line.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      answer.headers[name] = line.substr(colon + 2);
    }
    if (answer.header("transfer-encoding") == "chunked") {
      read_chunks(answer.body);
    } else if (!answer.header("content-length").empty()) {
      read_bytes(answer.body, std::stoul(answer.header("content-length")));
    } else {
      do {
        take_all(answer.body);  // some of it came with the headers
      } while (fill());
    }
    return answer;
  }

  // Waits until this text has come.
  bool read_until(const std::string& text) {
    while (buffer_.find(text) == std::string::npos) {
      if (!fill()) return false;
    }
    return true;
  }

  // The server closes the connection, sooner than the time-out.
  bool hangs_up() {
    buffer_.clear();
    char byte;
    for (;;) {
      const ssize_t n = ::recv(fd_, &byte, 1, 0);
      if (n == 0) return true;
      if (n < 0) return errno == ECONNRESET;
    }
  }

 private:
  bool fill() {
    char bytes[4096];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(n));
    return true;
  }
  void take_all(std::string& out) {
    out += buffer_;
    buffer_.clear();
  }
  bool read_line(std::string& line) {
    while (buffer_.find("\r\n") == std::string::npos) {
      if (!fill()) return false;
    }
    const size_t end = buffer_.find("\r\n");
    line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return true;
  }
  bool read_bytes(std::string& out, size_t n) {
    while (buffer_.size() < n) {
      if (!fill()) return false;
    }
    out += buffer_.substr(0, n);
    buffer_.erase(0, n);
    return true;
  }
  void read_chunks(std::string& out) {
    std::string line;
    while (read_line(line)) {
      const size_t size = std::stoul(line, nullptr, 16);
      if (!read_bytes(out, size) || !read_line(line) || size == 0) return;
    }
  }

  int fd_;
  std::string buffer_;
};

}  // namespace lapidary
