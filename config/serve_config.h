// Everything that can be set: one table of settings, each a flag (--max-model-len), an environment
// variable (LAPIDARY_MAX_MODEL_LEN) and a TOML key (max-model-len), with default, limits and help.
// A flag beats the environment, that beats the file, that beats the default. Read once at start.
// Refuses (StartupError naming the source and the setting): values out of limits, unknown TOML keys
// and unknown LAPIDARY_* variables (with the nearest name).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lapidary {

struct ServeConfig {
  std::string model;  // a folder, or an id "org/name" in the Hugging Face cache
  std::string host = "127.0.0.1";
  int port = 8000;                              // 0: any free port
  std::vector<std::string> served_model_names;  // empty: the model as given

  int64_t max_model_len = 0;           // tokens of prompt and answer; 0: by model and memory
  int64_t max_num_seqs = 256;          // running at once
  int64_t max_num_batched_tokens = 0;  // of one step; 0: by the device
  int64_t max_image_tokens = 280;      // soft tokens of one image; 0: no images
  int64_t max_queued_requests = 256;
  int64_t max_connections = 1024;  // HTTP connections at once

  std::string device = "auto";          // auto, cpu, cuda
  std::string dtype = "auto";           // auto, bfloat16, float32
  std::string kv_cache_dtype = "auto";  // auto, bfloat16, float32, fp8
  int64_t kv_cache_memory_bytes = 0;    // 0: from the two below
  double memory_utilization = 0.5;      // CPU: share of the memory left beside the weights
  double gpu_memory_utilization = 0.9;  // GPU: share of all its memory, weights included
  std::string load_format = "auto";     // auto, safetensors, dummy
  int64_t threads = 0;                  // compute threads; 0: one a physical core
  std::string cpu_isa = "auto";         // auto, generic, avx2, avx512, avx512bf16, neon
  std::string cuda_path = "portable";   // portable, hopper

  std::string generation_config = "auto";  // auto: the checkpoint's; none; or a folder
  std::optional<int64_t> seed;             // of requests without one; none: random for each
  std::string template_variant = "auto";   // auto, large, small
  // JSON object; what a request's chat_template_kwargs start from.
  std::string default_chat_template_kwargs = "{}";
  std::string reasoning_field = "reasoning_content";  // reasoning_content, reasoning, both
  // An answer that goes in a circle of at most so many tokens is ended (0: none is) ...
  int64_t repetition_max_period = 64;
  int64_t repetition_min_tokens = 512;  // ... when this many have gone so

  int64_t max_body_bytes = 0;       // 0: by what the model takes
  double request_timeout_s = 0;     // 0: none
  double drain_timeout_s = 30;      // after SIGTERM
  double sse_ping_interval_s = 15;  // keep-alive comments while nothing is streamed; 0: none

  std::string log_level = "info";   // trace, debug, info, warning, error
  std::string log_format = "text";  // text, json

  // Where each value came from, by flag name without dashes: "default", "flag --port",
  // "environment LAPIDARY_PORT", "file server.toml".
  std::map<std::string, std::string> origins;
  bool print_config = false;  // --print-config: print and leave
};

using Environment = std::map<std::string, std::string>;

// The variables of this process.
Environment process_environment();

// The settings as options of a (sub)command: construct before CLI11 parses, resolve() after. The
// App must outlive it. Every subcommand that needs a model uses this.
class ServeFlags {
 public:
  explicit ServeFlags(CLI::App& app);
  ServeFlags(const ServeFlags&) = delete;
  ServeFlags& operator=(const ServeFlags&) = delete;

  ServeConfig resolve(const Environment& environment) const;

 private:
  std::string model_;
  std::string config_file_;
  bool print_config_ = false;
  std::map<std::string, std::vector<std::string>> given_;  // by flag name
};

// Program name and flags, without a subcommand. Throws CLI::ParseError (--help included) and
// StartupError.
ServeConfig parse_serve_config(int argc, const char* const* argv, const Environment& environment);

// A TOML file with every value, its origin as a comment.
std::string config_text(const ServeConfig& config);

// "4096", "256k" (thousands), "256K" (1024s); m, g, t likewise; "25.6k". None if it is no such
// whole number or does not fit 63 bits.
std::optional<int64_t> parse_count(const std::string& text);

}  // namespace lapidary
