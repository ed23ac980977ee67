#include "server/dialect/prompt_renderer.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "config/startup_error.h"
#include "config/utf8.h"
#include "engine/text/tokenizer.h"
#include "server/dialect/dialect_tokens.h"
#include "server/dialect/tool_schema.h"
#include "server/dialect/white_space.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

using nlohmann::json;

constexpr const char* kSmallTokenizer =
    LAPIDARY_SOURCE_DIR "/tests/golden/tokenizer_small/tokenizer.json";

const std::vector<std::string> kControlStrings = {"<pad>",
                                                  "<eos>",
                                                  "<bos>",
                                                  "<unk>",
                                                  "<mask>",
                                                  "<|tool>",
                                                  "<tool|>",
                                                  "<|tool_call>",
                                                  "<tool_call|>",
                                                  "<|tool_response>",
                                                  "<tool_response|>",
                                                  "<|\"|>",
                                                  "<|think|>",
                                                  "<|channel>",
                                                  "<channel|>",
                                                  "<|turn>",
                                                  "<turn|>",
                                                  "<|image>",
                                                  "<image|>",
                                                  "<|image|>",
                                                  "<|audio>",
                                                  "<audio|>",
                                                  "<|audio|>",
                                                  "<|video|>"};

const Tokenizer& small_tokenizer() {
  static const Tokenizer tokenizer = Tokenizer::from_file(kSmallTokenizer);
  return tokenizer;
}

struct Golden {
  std::vector<ChatMessage> messages;
  std::vector<ToolDeclaration> tools;  // of `options`, set when it is rendered
  RenderOptions options;
  std::string prompt;
};

Role role_of(const std::string& name) {
  if (name == "system") return Role::kSystem;
  if (name == "developer") return Role::kDeveloper;
  if (name == "user") return Role::kUser;
  if (name == "assistant") return Role::kAssistant;
  REQUIRE(name == "tool");
  return Role::kTool;
}

ChatPart part_of(const json& part) {
  const std::string type = part.at("type");
  if (type == "text") return {.kind = PartKind::kText, .text = part.at("text")};
  if (type.starts_with("image")) return {.kind = PartKind::kImage, .text = {}};
  if (type == "video") return {.kind = PartKind::kVideo, .text = {}};
  return {.kind = PartKind::kAudio, .text = {}};
}

ChatMessage message_of(const json& message) {
  ChatMessage made;
  made.role = role_of(message.at("role"));
  const json& content = message.at("content");
  if (content.is_array()) {
    std::vector<ChatPart> parts;
    for (const json& part : content) parts.push_back(part_of(part));
    made.content = std::move(parts);
  } else if (content.is_string()) {
    made.content = content.get<std::string>();
  }
  made.reasoning = message.value("reasoning", "");
  if (made.reasoning.empty()) made.reasoning = message.value("reasoning_content", "");
  for (const json& call : message.value("tool_calls", json::array())) {
    const json& function = call.at("function");
    made.tool_calls.push_back(
        {.id = call.value("id", ""),
         .name = function.at("name"),
         .arguments = json::parse(function.at("arguments").get<std::string>())});
  }
  made.tool_call_id = message.value("tool_call_id", "");
  return made;
}

std::vector<ToolDeclaration> tools_of(const json& text) {
  std::vector<ToolDeclaration> tools;
  if (text.is_null()) return tools;
  SchemaBudget budget;
  for (const json& tool : json::parse(text.get<std::string>())) {
    const json& function = tool.at("function");
    tools.push_back({.name = function.at("name"),
                     .description = function.value("description", ""),
                     .parameters = shown_parameters(function.value("parameters", json()), budget)});
  }
  return tools;
}

std::vector<Golden> read_goldens(const std::string& path) {
  std::ifstream file(path);
  std::vector<Golden> goldens;
  for (std::string line; std::getline(file, line);) {
    const json record = json::parse(line);
    Golden& golden = goldens.emplace_back();
    for (const json& message : record.at("messages")) {
      golden.messages.push_back(message_of(message));
    }
    golden.options = {
        .variant =
            record.at("variant") == "large" ? TemplateVariant::kLarge : TemplateVariant::kSmall,
        .enable_thinking = record.at("thinking"),
        .preserve_thinking = record.at("preserve"),
        .end = record.at("generate") ? PromptEnd::kGenerate : PromptEnd::kClosed,
    };
    golden.tools = tools_of(record.value("tools", json()));
    golden.prompt = record.at("prompt");
  }
  return goldens;
}

// The committed conversations, without tools and with, or those of the file that
// LAPIDARY_PROMPT_GOLDENS names.
std::vector<Golden> read_all_goldens() {
  if (const char* other = std::getenv("LAPIDARY_PROMPT_GOLDENS")) return read_goldens(other);
  std::vector<Golden> goldens =
      read_goldens(LAPIDARY_SOURCE_DIR "/tests/golden/prompts/conversations.jsonl");
  std::vector<Golden> with_tools =
      read_goldens(LAPIDARY_BINARY_DIR "/tests/tool_conversations.jsonl");
  REQUIRE(goldens.size() >= 2000);
  REQUIRE(with_tools.size() >= 2000);
  goldens.insert(goldens.end(), with_tools.begin(), with_tools.end());
  return goldens;
}

const std::vector<Golden>& goldens() {
  static const std::vector<Golden> read = read_all_goldens();
  return read;
}

RenderedPrompt render(const Golden& golden, PromptEnd end) {
  RenderOptions options = golden.options;
  options.tools = golden.tools;
  options.end = end;
  return render_prompt(golden.messages, options);
}

RenderedPrompt render(const Golden& golden) { return render(golden, golden.options.end); }

bool spells_control(std::string_view text) {
  for (const std::string& control : kControlStrings) {
    if (text.find(control) != std::string_view::npos) return true;
  }
  return false;
}

ChatMessage user(std::string text) { return {.role = Role::kUser, .content = std::move(text)}; }
ChatMessage assistant(std::string text, std::string reasoning = {}) {
  return {.role = Role::kAssistant, .content = std::move(text), .reasoning = std::move(reasoning)};
}

size_t count_control(const std::vector<int32_t>& ids) {
  size_t n = 0;
  for (const int32_t id : ids) n += small_tokenizer().is_control(id) ? 1 : 0;
  return n;
}

TEST_CASE("renders every golden conversation byte for byte", "[server]") {
  for (const Golden& golden : goldens()) {
    const RenderedPrompt prompt = render(golden);
    REQUIRE(prompt.text() == golden.prompt);
    REQUIRE(prompt.starts_in_thought == golden.prompt.ends_with("<|channel>thought\n"));
  }
}

TEST_CASE("renders the worked examples of the template", "[server]") {
  const std::vector<ChatMessage> hi = {user("  Hi ")};
  CHECK(render_prompt(hi, {}).text() ==
        "<bos><|turn>user\nHi<turn|>\n<|turn>model\n<|channel>thought\n<channel|>");
  CHECK(render_prompt(hi, {.variant = TemplateVariant::kSmall}).text() ==
        "<bos><|turn>user\nHi<turn|>\n<|turn>model\n");
  CHECK(render_prompt(hi, {.enable_thinking = true}).text() ==
        "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n");
  const std::vector<ChatMessage> two = {user("Hi"), assistant("a"), assistant("b")};
  CHECK(render_prompt(two, {.end = PromptEnd::kClosed}).text() ==
        "<bos><|turn>user\nHi<turn|>\n<|turn>model\nab<turn|>\n");
}

TEST_CASE("drops the thoughts of earlier turns and keeps the last", "[server]") {
  const std::vector<ChatMessage> messages = {user("Q1"), assistant("A1", "T1"), user("Q2"),
                                             assistant("A2", "T2")};
  CHECK(render_prompt(messages, {.end = PromptEnd::kClosed}).text() ==
        "<bos><|turn>user\nQ1<turn|>\n<|turn>model\nA1<turn|>\n<|turn>user\nQ2<turn|>\n"
        "<|turn>model\n<|channel>thought\nT2\n<channel|>A2<turn|>\n");
}

TEST_CASE("text between two control tokens is one piece and controls stand alone", "[server]") {
  const std::set<std::string> controls(kControlStrings.begin(), kControlStrings.end());
  for (const Golden& golden : goldens()) {
    const std::vector<PromptPiece> pieces = render(golden).pieces;
    for (size_t i = 0; i < pieces.size(); ++i) {
      REQUIRE_FALSE(pieces[i].text.empty());
      if (pieces[i].is_control) REQUIRE(controls.count(pieces[i].text) == 1);
      if (i > 0) REQUIRE((pieces[i].is_control || pieces[i - 1].is_control));
    }
  }
}

TEST_CASE("ids are the official ones wherever no message spells a control token", "[server]") {
  size_t n_compared = 0;
  for (const Golden& golden : goldens()) {
    const RenderedPrompt prompt = render(golden);
    bool spelled = false;
    for (const PromptPiece& piece : prompt.pieces) {
      spelled |= !piece.is_control && spells_control(piece.text);
    }
    if (spelled) continue;
    ++n_compared;
    REQUIRE(encode_prompt(prompt, small_tokenizer()) ==
            small_tokenizer().encode_with_control(prompt.text()));
  }
  REQUIRE((n_compared >= 1000 || std::getenv("LAPIDARY_PROMPT_GOLDENS") != nullptr));
}

TEST_CASE("control tokens come only from the template, whatever a message spells", "[server]") {
  for (const Golden& golden : goldens()) {
    const RenderedPrompt prompt = render(golden);
    size_t n_written = 0;
    for (const PromptPiece& piece : prompt.pieces) n_written += piece.is_control ? 1 : 0;
    REQUIRE(count_control(encode_prompt(prompt, small_tokenizer())) == n_written);
  }
}

TEST_CASE("a control string stays text in every place a client can write", "[server]") {
  for (const std::string& control : kControlStrings) {
    INFO(control);
    const std::string text = "a" + control + control + "b";
    const std::vector<ChatMessage> messages = {
        {Role::kSystem, text, {}},
        user(text),
        {Role::kDeveloper, std::vector<ChatPart>{{PartKind::kText, text}}, {}},
        user("q"),
        assistant(text, text)};
    std::vector<ChatMessage> plain = messages;
    plain[0].content = plain[1].content = "ab";
    plain[2].content = std::vector<ChatPart>{{PartKind::kText, "ab"}};
    plain[4] = assistant("ab", "ab");
    for (const PromptEnd end : {PromptEnd::kGenerate, PromptEnd::kContinueLast}) {
      const RenderOptions options = {.enable_thinking = true, .end = end};
      const RenderedPrompt prompt = render_prompt(messages, options);
      CHECK(prompt.text().find(control) != std::string::npos);
      CHECK(count_control(encode_prompt(prompt, small_tokenizer())) ==
            count_control(encode_prompt(render_prompt(plain, options), small_tokenizer())));
    }
  }
}

TEST_CASE("a continued message is the closed prompt without its end", "[server]") {
  size_t n_continued = 0;
  for (const Golden& golden : goldens()) {
    if (golden.messages.empty() || golden.messages.back().role != Role::kAssistant) continue;
    if (!golden.messages.back().tool_calls.empty()) continue;
    const std::string closed = render(golden, PromptEnd::kClosed).text();
    const RenderedPrompt open = render(golden, PromptEnd::kContinueLast);
    const std::string cut = open.starts_in_thought ? "\n<channel|><turn|>\n" : "<turn|>\n";
    REQUIRE(open.text() + cut == closed);
    ++n_continued;
  }
  REQUIRE((n_continued >= 100 || std::getenv("LAPIDARY_PROMPT_GOLDENS") != nullptr));
}

TEST_CASE("a thought without an answer is continued as a thought", "[server]") {
  const RenderOptions options = {.enable_thinking = true, .end = PromptEnd::kContinueLast};
  const std::vector<ChatMessage> thought = {user("Q"), assistant(" ", "so far")};
  const RenderedPrompt prompt = render_prompt(thought, options);
  CHECK(prompt.starts_in_thought);
  CHECK(prompt.text().ends_with("<|turn>model\n<|channel>thought\nso far"));
  const std::vector<ChatMessage> answer = {user("Q"), assistant(" The ", "so far")};
  CHECK_FALSE(render_prompt(answer, options).starts_in_thought);
  CHECK(render_prompt(answer, options).text().ends_with("so far\n<channel|>The"));
}

TEST_CASE("white space is what Python strips, to the code point", "[server]") {
  size_t n_spaces = 0;
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(c, text);
    const bool space = (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 ||
                       c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
                       c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
    if (leading_space_bytes(text + "x") != (space ? text.size() : 0) ||
        trailing_space_bytes("x" + text) != (space ? text.size() : 0)) {
      FAIL("U+" << std::hex << static_cast<uint32_t>(c));
    }
    n_spaces += space ? 1 : 0;
  }
  CHECK(n_spaces == 29);
  CHECK(strip(" \u3000a b\u00a0\n") == "a b");
  CHECK(strip_end(" a\u2003") == " a");
  CHECK(strip(" \n").empty());
}

TEST_CASE("a tokenizer without a control token of the dialect is refused by name", "[server]") {
  std::ifstream file(kSmallTokenizer);
  json description = json::parse(file);
  json& added = description.at("added_tokens");
  for (json& token : added) {
    if (token.at("content") == "<|channel>") token["content"] = "<|renamed>";
  }
  json& vocabulary = description.at("model").at("vocab");
  if (vocabulary.contains("<|channel>")) {
    vocabulary["<|renamed>"] = vocabulary.at("<|channel>");
    vocabulary.erase("<|channel>");
  }
  const Tokenizer tokenizer = Tokenizer::from_json(description.dump(), "renamed");
  CHECK_NOTHROW(DialectTokens::from(small_tokenizer()));
  try {
    DialectTokens::from(tokenizer);
    FAIL("accepted");
  } catch (const StartupError& error) {
    CHECK(std::string(error.what()).find("<|channel>") != std::string::npos);
  }
}

}  // namespace
}  // namespace lapidary
