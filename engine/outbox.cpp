#include "engine/outbox.h"

#include <utility>

namespace lapidary {

void Outbox::push(std::shared_ptr<TokenStream> stream, TokenEvent event) {
  messages_.push_back({.stream = std::move(stream), .event = std::move(event)});
}

void Outbox::end(std::shared_ptr<TokenStream> stream) {
  messages_.push_back({.stream = std::move(stream), .event = {}, .is_end = true});
}

void Outbox::send() {
  for (Message& message : messages_) {
    if (message.is_end) {
      message.stream->end();
    } else {
      message.stream->push(std::move(message.event));
    }
  }
  messages_.clear();
}

}  // namespace lapidary
