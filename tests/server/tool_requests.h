// Requests with the tools f and g, and answers of raw tokens that call them.
#pragma once

#include <string>
#include <vector>

#include "tests/server/api_world.h"

namespace lapidary {

constexpr char kCall[] = "<|tool_call>call:f{a:<|\"|>x<|\"|>,n:1.50}<tool_call|>";

inline std::string function(const std::string& name, const std::string& more = "") {
  return R"({"type":"function","function":{"name":")" + name + '"' + more + "}}";
}

inline nlohmann::json tool_request(const std::string& more = "{}") {
  nlohmann::json body = chat_request();
  body["tools"] = nlohmann::json::parse("[" + function("f") + "," + function("g") + "]");
  body.update(nlohmann::json::parse(more));
  return body;
}

// The engine says these tokens and ends as told: by the stop token `<|tool_response>`, or cut.
inline void say_raw(ApiWorld& world, const std::string& raw,
                    FinishReason finish = FinishReason::stop) {
  const std::vector<int32_t> ids = world.tokenizer.encode_with_control(raw);
  world.engine.set_script([ids, finish, &world](const Request& request) {
    std::vector<TokenEvent> events;
    for (const int32_t id : ids) events.push_back(ApiWorld::token(request, 0, id));
    if (finish == FinishReason::stop) {
      events.push_back(ApiWorld::token(request, 0, world.service.dialect.response_open));
    }
    events.back().finish = finish;
    return events;
  });
}

}  // namespace lapidary
