// Settings: where each value comes from, which win, and what is refused by name.
#include "config/serve_config.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "config/setting.h"
#include "config/startup_error.h"
#include "tests/catch.h"
#include "tests/scratch_folder.h"
#include "tests/thrown.h"

using namespace lapidary;

namespace {

ServeConfig parse(std::vector<const char*> flags, const Environment& environment = {}) {
  flags.insert(flags.begin(), "serve");
  return parse_serve_config(static_cast<int>(flags.size()), flags.data(), environment);
}

std::string refusal(const std::vector<const char*>& flags, const Environment& environment = {}) {
  return thrown_by<StartupError>([&] { parse(flags, environment); });
}

}  // namespace

TEST_CASE("without anything set every value is its default", "[config]") {
  const ServeConfig c = parse({});
  CHECK(c.host == "127.0.0.1");
  CHECK(c.port == 8000);
  CHECK(c.max_num_seqs == 256);
  CHECK(c.dtype == "auto");
  CHECK_FALSE(c.seed);
  CHECK(c.origins.at("port") == "default");
  CHECK(c.origins.size() == settings().size());
}

TEST_CASE("a flag beats the environment, that beats the file, that beats the default", "[config]") {
  const ScratchFolder folder;
  const std::string file =
      folder.write("s.toml", "port = 1\nhost = \"file\"\nthreads = 3\nmax-num-seqs = 9\n");
  const ServeConfig c = parse({"--config", file.c_str(), "--port", "4", "dir"},
                              {{"LAPIDARY_PORT", "2"}, {"LAPIDARY_HOST", "env"}});
  CHECK(c.port == 4);
  CHECK(c.host == "env");
  CHECK(c.threads == 3);
  CHECK(c.model == "dir");
  CHECK(c.origins.at("port") == "flag --port");
  CHECK(c.origins.at("host") == "environment LAPIDARY_HOST");
  CHECK(c.origins.at("threads") == "file " + file);
  CHECK(c.origins.at("dtype") == "default");
  // The file may be named by the environment too.
  CHECK(parse({}, {{"LAPIDARY_CONFIG", file}}).port == 1);
}

TEST_CASE("each setting can be set by flag, environment and file alike", "[config]") {
  const auto sample = [](const Setting& s) -> std::string {
    if (std::string(s.name) == "default-chat-template-kwargs") return "{}";
    if (std::string(s.name) == "max-num-batched-tokens") return "4096";
    if (!s.choices.empty()) return s.choices.back();
    if (s.max > 0) return std::to_string(static_cast<int>(std::min(s.max, 4000.0)));
    return "x";
  };
  for (const Setting& s : settings()) {
    INFO(s.name);
    const std::string value = std::string(s.name).ends_with("memory-utilization") ? "0.25"
                              : std::string(s.name) == "sse-ping-interval" ? "12"
                                                                           : sample(s);
    const std::string flag = std::string("--") + s.name;
    const ScratchFolder folder;
    const std::string file = folder.write("s.toml", std::string(s.name) + " = '" + value + "'\n");
    const std::string by_flag = toml_value(parse({flag.c_str(), value.c_str()}), s);
    CHECK(by_flag == toml_value(parse({}, {{s.environment_name(), value}}), s));
    CHECK(by_flag == toml_value(parse({"--config", file.c_str()}), s));
    CHECK_FALSE(by_flag.empty());
  }
}

TEST_CASE("counts take the suffixes that vLLM's users know", "[config]") {
  CHECK(parse_count("4096") == 4096);
  CHECK(parse_count("256k") == 256000);
  CHECK(parse_count("256K") == 262144);
  CHECK(parse_count("25.6k") == 25600);
  CHECK(parse_count("2G") == int64_t{2} << 30);
  CHECK(parse_count("2g") == 2000000000);
  CHECK(parse_count("1.5M") == 3 << 19);
  for (const char* bad : {"", "k", "-1", "1.5", "1e3", "0x10", "1kk", " 1", "1 ", "nan", "infk",
                          "9223372036854775808", "99999999999T", "1.0001k", "K1"}) {
    INFO(bad);
    CHECK_FALSE(parse_count(bad));
  }
  CHECK(parse({"--max-model-len", "256K"}).max_model_len == 262144);
  CHECK(parse({"--max-model-len", "auto"}).max_model_len == 0);
  CHECK(parse({"--kv-cache-memory-bytes=2G"}).kv_cache_memory_bytes == int64_t{2} << 30);
}

TEST_CASE("served names may be repeated or listed", "[config]") {
  const std::vector<std::string> both = {"a", "b"};
  CHECK(parse({"--served-model-name", "a", "--served-model-name", "b"}).served_model_names == both);
  const ServeConfig several = parse({"dir", "--served-model-name", "a", "b", "--port", "1"});
  CHECK(several.served_model_names == both);
  CHECK(several.model == "dir");
  CHECK(parse({"--served-model-name", "a,b"}).served_model_names == both);
  CHECK(parse({}, {{"LAPIDARY_SERVED_MODEL_NAME", "a,b"}}).served_model_names == both);
  const ScratchFolder folder;
  const std::string file = folder.write("s.toml", "served_model_name = [\"a\", \"b\"]\n");
  CHECK(parse({"--config", file.c_str()}).served_model_names == both);
  CHECK(contains(refusal({"--served-model-name", "a,,b"}), "served-model-name"));
}

TEST_CASE("flags that vLLM spells otherwise are understood", "[config]") {
  CHECK(parse({"-c", "4k"}).max_model_len == 4000);
  CHECK(parse({"--gpu-memory-utilization", "0.8"}).gpu_memory_utilization == 0.8);
  CHECK(parse({"--memory-utilization", "0.8"}).memory_utilization == 0.8);
}

TEST_CASE("values out of limits are refused with setting, source and limits", "[config]") {
  CHECK(contains(refusal({"--port", "65536"}), "port (flag --port) must be"));
  CHECK(contains(refusal({"--port", "-1"}), "from 0 to 65535"));
  CHECK(contains(refusal({"--port", "http"}), "\"http\""));
  CHECK(contains(refusal({}, {{"LAPIDARY_MAX_NUM_SEQS", "0"}}), "LAPIDARY_MAX_NUM_SEQS"));
  CHECK(contains(refusal({"--memory-utilization", "1.5"}), "memory-utilization"));
  CHECK(contains(refusal({"--memory-utilization", "nan"}), "memory-utilization"));
  CHECK(contains(refusal({"--dtype", "float16"}), "one of auto, bfloat16, float32"));
  CHECK(contains(refusal({"--host", ""}), "host"));
  CHECK(contains(refusal({"--max-num-batched-tokens", "100"}), "at least max-num-seqs"));
  CHECK(contains(refusal({"--default-chat-template-kwargs", "{"}), "valid JSON"));
  CHECK(contains(refusal({"--default-chat-template-kwargs", "{\"thinking\": true}"}), "thinking"));
  CHECK(contains(refusal({"--default-chat-template-kwargs", "{\"enable_thinking\": 1}"}),
                 "true or false"));
  CHECK(parse({"--default-chat-template-kwargs", "{\"enable_thinking\": true}"})
            .default_chat_template_kwargs == "{\"enable_thinking\": true}");
}

TEST_CASE("unknown names are refused with the nearest known one", "[config]") {
  const ScratchFolder folder;
  const auto file = [&](const std::string& text) {
    const std::string path = folder.write("s.toml", text);
    return refusal({"--config", path.c_str()});
  };
  CHECK(contains(file("max_model_length = 1\n"), "did you mean `max-model-len`?"));
  CHECK(contains(file("[server]\nport = 1\n"), "server"));
  CHECK(contains(file("port = [[1]]\n"), "`port`"));
  CHECK(contains(file("port = 1979-05-27\n"), "`port`"));
  CHECK(contains(file("port = \n"), "line 1"));
  CHECK(contains(refusal({"--config", "/no/such.toml"}), "/no/such.toml does not exist"));
  CHECK(contains(refusal({}, {{"LAPIDARY_MAX_MODEL_LENGTH", "1"}}),
                 "did you mean LAPIDARY_MAX_MODEL_LEN?"));
  CHECK_THROWS_AS(parse({"--prot", "1"}), CLI::ParseError);
}

TEST_CASE("what Kubernetes sets for a service of our name is no setting of ours", "[config]") {
  const ServeConfig c = parse({}, {{"LAPIDARY_PORT", "tcp://10.0.0.7:8000"},
                                   {"LAPIDARY_PORT_8000_TCP_ADDR", "10.0.0.7"},
                                   {"LAPIDARY_SERVICE_HOST", "10.0.0.7"},
                                   {"PATH", "/bin"}});
  CHECK(c.port == 8000);
  CHECK(c.origins.at("port") == "default");
}

TEST_CASE("--print-config prints a file that gives the same settings", "[config]") {
  const ServeConfig c = parse({"--print-config", "--port", "7", "--seed", "5", "dir\"x",
                               "--request-timeout", "1.5", "--served-model-name", "a,b"});
  CHECK(c.print_config);
  const std::string text = config_text(c);
  CHECK(contains(text, "# flag --port"));
  CHECK(contains(text, "# default"));
  const ScratchFolder folder;
  const std::string file = folder.write("s.toml", text);
  const ServeConfig again = parse({"--config", file.c_str()});
  for (const Setting& s : settings()) {
    INFO(s.name);
    CHECK(toml_value(again, s) == toml_value(c, s));
  }
}
