#include "server/api/parse_output.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "server/api/chat_format.h"
#include "server/api/fields.h"
#include "server/api/request_params.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTokens = 1 << 20;
constexpr size_t kMaxBytes = 4 << 20;

std::vector<int32_t> output_ids(const Fields& record, const Service& service) {
  if (const Json* ids = record.array("token_ids", 0, kMaxTokens)) {
    return parse_token_ids(*ids, record.path("token_ids"), service.config.vocab);
  }
  const auto text = record.text("text", kMaxBytes);
  if (!text) throw api_error::missing_parameter("token_ids");
  return service.tokenizer.encode_with_control(*text);
}

// Whether a channel is open at the end of this text.
bool ends_in_thought(const std::string& prompt_tail, const Service& service) {
  const DialectTokens& d = service.dialect;
  const std::vector<int32_t> ids = service.tokenizer.encode_with_control(prompt_tail);
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    if (*id == d.channel_open) return true;
    if (*id == d.channel_close || *id == d.turn_open || *id == d.call_open ||
        *id == d.response_open) {
      return false;
    }
  }
  return false;
}

// The output as the engine would hand it over: up to its first stop token, or else ended as told.
std::vector<TokenEvent> events_of(const std::vector<int32_t>& ids, bool has_tools, bool was_cut,
                                  const Service& service) {
  std::vector<int32_t> stops = service.config.ids.eos;
  if (has_tools) stops.push_back(service.dialect.response_open);
  std::vector<TokenEvent> events;
  for (const int32_t id : ids) {
    TokenEvent& event = events.emplace_back();
    event.token = id;
    if (std::find(stops.begin(), stops.end(), id) == stops.end()) continue;
    event.finish = FinishReason::stop;
    return events;
  }
  if (was_cut && !events.empty()) {
    events.back().finish = FinishReason::length;
  } else {
    TokenEvent& end = events.emplace_back();
    end.token = -1;
    end.finish = was_cut ? FinishReason::length : FinishReason::stop;
  }
  return events;
}

void merge(ChoiceDelta next, ChoiceDelta& delta) {
  delta.reasoning += next.reasoning;
  delta.content += next.content;
  for (ToolCallDelta& call : next.calls) {
    if (call.name.empty() && !delta.calls.empty()) {
      delta.calls.back().arguments += call.arguments;
    } else {
      delta.calls.push_back(std::move(call));
    }
  }
}

// How many tokens the next delta takes, for ever.
class ChunkSizes {
 public:
  explicit ChunkSizes(const Fields& record) {
    const Json* sizes = record.array("chunks", 0, kMaxTokens);
    if (sizes == nullptr) return;
    for (size_t i = 0; i < sizes->size(); ++i) {
      const std::string path = record.path("chunks") + "[" + std::to_string(i) + "]";
      sizes_.push_back(checked_integer((*sizes)[i], path, 1, kMaxTokens));
    }
  }
  int64_t next() { return at_ < sizes_.size() ? sizes_[at_++] : 1; }

 private:
  std::vector<int64_t> sizes_;
  size_t at_ = 0;
};

void append_deltas(std::string& out, const ChoiceDelta& delta, const ChatShape& shape) {
  if (!delta.adds_something()) return;
  for_each_delta(delta, shape, [&](const auto& append) {
    out += ',';
    append(out);
  });
}

}  // namespace

std::string parse_output(const Json& record, const Service& service) {
  const Fields fields(record);
  const auto tools = std::make_shared<const ToolRequest>(parse_tools(fields));
  const bool was_cut = fields.choice("finish_reason", {"stop", "length"}) == "length";
  fields.boolean("thinking");
  const ChatShape shape{service.options.reasoning_field, tools->is_legacy};
  ChoiceAssembler choice(service.tokenizer,
                         {.dialect = &service.dialect,
                          .starts_in_thought = ends_in_thought(
                              fields.text("prompt_tail", kMaxBytes).value_or(""), service),
                          .hide_thoughts = !fields.boolean("include_reasoning").value_or(true),
                          .tools = tools});
  ChunkSizes sizes(fields);
  WholeChoice whole;
  std::string deltas;
  append_role_delta(deltas);
  ChoiceDelta chunk;
  int64_t left = sizes.next();
  for (const TokenEvent& event :
       events_of(output_ids(fields, service), !tools->tools.empty(), was_cut, service)) {
    ChoiceDelta delta = choice.push(event);
    whole.add(delta);
    merge(std::move(delta), chunk);
    if (--left > 0 && !choice.finished()) continue;
    append_deltas(deltas, std::exchange(chunk, {}), shape);
    left = sizes.next();
    if (choice.finished()) break;
  }
  std::string out = "{\"message\":";
  append_message(out, whole, shape);
  out += ",\"finish_reason\":";
  out += chat_finish_text(whole.finish, !whole.calls.empty(), shape);
  out += ",\"deltas\":[" + deltas + "]}";
  return out;
}

}  // namespace lapidary
