// What the engine thread has to tell its readers, kept until it has time: waking a reader costs a
// system call, which a device that computes by itself hides. Order within a stream is kept.
// Engine thread only.
#pragma once

#include <memory>
#include <vector>

#include "engine/token_stream.h"

namespace lapidary {

class Outbox {
 public:
  void push(std::shared_ptr<TokenStream> stream, TokenEvent event);
  void end(std::shared_ptr<TokenStream> stream);  // no more events

  void send();  // all of it

 private:
  struct Message {
    std::shared_ptr<TokenStream> stream;
    TokenEvent event;
    bool is_end = false;
  };
  std::vector<Message> messages_;
};

}  // namespace lapidary
