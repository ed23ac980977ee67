#include "server/api/schema_order.h"

#include <utility>

#include "server/schema/ordered_text.h"

namespace lapidary {

std::string chat_schema_text(std::string_view text,
                             const std::vector<std::string_view>& format_path) {
  OrderedJson chat = OrderedJson::object();
  OrderedJson format = ordered_value(text, format_path);
  if (format.is_object()) {
    const auto schema = format.find("schema");
    OrderedJson holder = OrderedJson::object();
    if (schema != format.end()) holder["schema"] = *schema;
    format["json_schema"] = std::move(holder);
    chat["response_format"] = std::move(format);
  }
  OrderedJson extras = ordered_value(text, {"structured_outputs"});
  if (!extras.is_null()) chat["structured_outputs"] = std::move(extras);
  return chat.empty() ? std::string() : chat.dump();
}

}  // namespace lapidary
