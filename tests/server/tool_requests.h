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
  world.say_raw(raw, finish, world.service.dialect.response_open);
}

}  // namespace lapidary
