// What `serve` prints once it listens: where, and a command to try that can be pasted into a shell
// whatever the host and the model are called. Pure, any thread.
#pragma once

#include <string>

namespace lapidary {

// Where a client on this machine finds a server that listens on `host`: "http://[::1]:8000".
std::string server_url(const std::string& host, int port);

std::string greeting(const std::string& url, const std::string& model, int max_model_len);

}  // namespace lapidary
