#include "server/api/responses_events.h"

#include "server/api/json_text.h"

namespace lapidary {
namespace {

struct EventNames {
  const char* delta;
  const char* done;
  const char* whole;  // the field of the done event that holds all of it
};

EventNames names_of(const AnswerBlock& block, bool is_summary) {
  switch (block.kind) {
    case BlockKind::call:
      return {"response.function_call_arguments.delta", "response.function_call_arguments.done",
              "arguments"};
    case BlockKind::thought:
      if (is_summary) {
        return {"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
                "text"};
      }
      return {"response.reasoning_text.delta", "response.reasoning_text.done", "text"};
    default:
      return {"response.output_text.delta", "response.output_text.done", "text"};
  }
}

void append_string(std::string& out, const char* field, std::string_view text) {
  out += ",\"";
  out += field;
  out += "\":";
  append_json_string(out, text);
}

}  // namespace

std::string& ResponsesEvents::begin(std::string_view event) {
  std::string& out = sse_->begin_frame(event);
  out += "{\"type\":\"";
  out += event;
  out += "\",\"sequence_number\":";
  append_json_integer(out, sequence_++);
  return out;
}

void ResponsesEvents::end(std::string& out) {
  out += '}';
  sse_->end_frame();
}

void ResponsesEvents::write_begun() {
  for (const char* event : {"response.created", "response.in_progress"}) {
    std::string& out = begin(event);
    out += ",\"response\":";
    format_.append_begun(out);
    end(out);
  }
}

void ResponsesEvents::write_ended(const std::vector<AnswerBlock>& blocks, FinishReason finish,
                                  const Usage& usage) {
  std::string& out =
      begin(finish == FinishReason::length ? "response.incomplete" : "response.completed");
  out += ",\"response\":";
  format_.append_ended(out, blocks, finish, usage);
  end(out);
}

void ResponsesEvents::write_failed(const std::vector<AnswerBlock>& blocks, const ApiError& error,
                                   const Usage& usage) {
  std::string& out = begin("response.failed");
  out += ",\"response\":";
  format_.append_failed(out, blocks, error, usage);
  end(out);
}

std::string& ResponsesEvents::begin_part(std::string_view event, size_t index,
                                         const AnswerBlock& block) {
  std::string& out = begin(event);
  append_string(out, "item_id", format_.item_id(index, block));
  out += ",\"output_index\":";
  append_json_integer(out, static_cast<int64_t>(index));
  if (block.kind != BlockKind::call) {
    out += is_summary(block) ? ",\"summary_index\":0" : ",\"content_index\":0";
  }
  return out;
}

void ResponsesEvents::write_item(std::string_view event, size_t index, const AnswerBlock& block,
                                 const char* status, bool is_announced) {
  std::string& out = begin(event);
  out += ",\"output_index\":";
  append_json_integer(out, static_cast<int64_t>(index));
  out += ",\"item\":";
  format_.append_item(out, index, block, status, is_announced);
  end(out);
}

void ResponsesEvents::write_part(std::string_view text_event, std::string_view summary_event,
                                 size_t index, const AnswerBlock& block, std::string_view text,
                                 std::span<const TokenChoice> logprobs) {
  if (block.kind == BlockKind::call) return;
  std::string& out = begin_part(is_summary(block) ? summary_event : text_event, index, block);
  out += ",\"part\":";
  format_.append_part(out, block, text, logprobs);
  end(out);
}

void ResponsesEvents::on_open(size_t index, const AnswerBlock& block) {
  write_item("response.output_item.added", index, block, "in_progress", true);
  write_part("response.content_part.added", "response.reasoning_summary_part.added", index, block,
             {}, {});
}

void ResponsesEvents::on_piece(size_t index, const AnswerBlock& block, std::string_view piece,
                               std::span<const TokenChoice> logprobs) {
  std::string& out = begin_part(names_of(block, is_summary(block)).delta, index, block);
  append_string(out, "delta", piece);
  if (block.kind == BlockKind::text) {
    out += ",\"logprobs\":";
    format_.append_logprobs(out, logprobs);
  }
  end(out);
}

void ResponsesEvents::on_close(size_t index, const AnswerBlock& block) {
  const EventNames names = names_of(block, is_summary(block));
  std::string& out = begin_part(names.done, index, block);
  append_string(out, names.whole, block.text);
  if (block.kind == BlockKind::call) append_string(out, "name", block.name);
  if (block.kind == BlockKind::text) {
    out += ",\"logprobs\":";
    format_.append_logprobs(out, block.logprobs);
  }
  end(out);
  write_part("response.content_part.done", "response.reasoning_summary_part.done", index, block,
             block.text, block.logprobs);
  write_item("response.output_item.done", index, block,
             finish_ == FinishReason::length ? "incomplete" : "completed", false);
}

}  // namespace lapidary
