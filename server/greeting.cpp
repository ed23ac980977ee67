#include "server/greeting.h"

#include "server/api/json_text.h"

namespace lapidary {
namespace {

// As one word of a POSIX shell.
std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += "'\\''";
    } else {
      word += c;
    }
  }
  return word + "'";
}

}  // namespace

std::string server_url(const std::string& host, int port) {
  std::string name = host;
  if (host == "0.0.0.0") name = "127.0.0.1";
  if (host == "::" || host == "[::]") name = "::1";
  if (name.find(':') != std::string::npos && name.front() != '[') name = "[" + name + "]";
  return "http://" + name + ":" + std::to_string(port);
}

std::string greeting(const std::string& url, const std::string& model, int max_model_len) {
  std::string body = "{\"model\": ";
  append_json_string(body, model);
  body += ", \"messages\": [{\"role\": \"user\", \"content\": \"Who are you?\"}]}";
  // curl takes brackets for a pattern of its own unless told otherwise.
  const std::string no_patterns = url.find('[') == std::string::npos ? "" : "-g ";
  return "Lapidary serves " + model + " (" + std::to_string(max_model_len) +
         " tokens of context) on " + url + "\nTry:\n  curl " + no_patterns +
         shell_word(url + "/v1/chat/completions") + " -H 'Content-Type: application/json' -d " +
         shell_word(body) + "\n";
}

}  // namespace lapidary
