#include "server/api/completions.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "server/api/answer_format.h"
#include "server/api/answer_sink.h"
#include "server/api/completion_request.h"
#include "server/api/fields.h"
#include "server/api/generation.h"
#include "server/api/json_text.h"
#include "server/http/request_policy.h"

namespace lapidary {
namespace {

class CompletionAnswer : public AnswerWriter {
 public:
  CompletionAnswer(const CompletionRequest& request, const Service& service)
      : service_(service),
        params_(request.params),
        echo_(request.echo),
        logprobs_(request.logprobs),
        prompts_(request.prompts),
        prompt_logprobs_(request.prompts.size()),
        started_(request.prompts.size() * static_cast<size_t>(request.params.n), false) {
    opening_ = AnswerHead{"cmpl-" + random_hex(32), "text_completion", params_.model, unix_time()}
                   .opening();
  }

  void on_prompt(size_t prompt, std::vector<TokenEvent> events) override {
    IncrementalDecoder decoder(service_.tokenizer);
    size_t offset = 0;
    for (TokenEvent& event : events) {
      prompt_logprobs_[prompt].push_back(
          {event.token, event.logprob, std::move(event.top), offset});
      offset += count_characters(decoder.push(event.token));
    }
  }

  void write_delta(SseWriter& sse, size_t choice, const ChoiceDelta& delta,
                   const Usage& usage) override {
    const bool echoes = echo_ && !started_[choice];
    const bool has_ids = params_.return_token_ids && !delta.tokens.empty();
    const bool is_last = delta.finish != FinishReason::none;
    if (!echoes && !delta.adds_something() && !has_ids && !is_last) return;
    WholeChoice part;
    part.add(delta);
    if (echoes) prepend_prompt(choice, part);
    std::string& out = sse.begin_frame();
    out += opening_;
    out += ",\"choices\":[";
    append_choice(out, choice, part, !started_[choice]);
    started_[choice] = true;
    out += ']';
    append_chunk_usage(out, params_, usage);
    out += '}';
    sse.end_frame();
  }

  void write_end(SseWriter& sse, const Usage& usage) override {
    if (params_.include_usage) {
      append_usage_chunk(sse.begin_frame(), opening_, usage);
      sse.end_frame();
    }
    sse.done();
  }

  std::string body(const std::vector<WholeChoice>& choices, const Usage& usage) override {
    std::string out = opening_ + ",\"choices\":[";
    for (size_t i = 0; i < choices.size(); ++i) {
      if (i > 0) out += ',';
      WholeChoice whole = choices[i];
      if (echo_) prepend_prompt(i, whole);
      append_choice(out, i, whole, true);
    }
    out += "],\"usage\":";
    append_usage(out, usage);
    out += '}';
    return out;
  }

 private:
  size_t prompt_of(size_t choice) const { return choice / static_cast<size_t>(params_.n); }

  void prepend_prompt(size_t choice, WholeChoice& whole) const {
    const size_t prompt = prompt_of(choice);
    whole.content.insert(0, prompts_[prompt].text);
    const auto& scored = prompt_logprobs_[prompt];
    whole.logprobs.insert(whole.logprobs.begin(), scored.begin(), scored.end());
  }

  void append_choice(std::string& out, size_t index, const WholeChoice& choice,
                     bool with_prompt_ids) const {
    out += "{\"index\":";
    append_json_integer(out, static_cast<int64_t>(index));
    out += ",\"text\":";
    append_json_string(out, choice.content);
    out += ",\"logprobs\":";
    if (logprobs_) {
      append_completion_logprobs(out, service_.tokenizer, choice.logprobs);
    } else {
      out += "null";
    }
    out += ",\"finish_reason\":";
    out += finish_text(choice.finish);
    append_stop_reason(out, choice.is_repetition);
    if (params_.return_token_ids) {
      out += ",\"token_ids\":";
      append_token_ids(out, choice.tokens);
      if (with_prompt_ids) {
        out += ",\"prompt_token_ids\":";
        append_token_ids(out, prompts_[prompt_of(index)].tokens);
      }
    }
    out += '}';
  }

  const Service& service_;
  const GenerationParams params_;
  const bool echo_, logprobs_;
  const std::vector<CompletionPrompt> prompts_;
  std::vector<std::vector<TokenChoice>> prompt_logprobs_;
  std::vector<bool> started_;
  std::string opening_;
};

std::vector<Request> engine_requests(const HttpRequest& http, const Service& service,
                                     const CompletionRequest& completion) {
  const GenerationParams& params = completion.params;
  const auto limit = static_cast<size_t>(service.options.max_sequences);
  if (completion.prompts.size() * static_cast<size_t>(params.n) > limit) {
    // All start together or none does, so waiting would not help.
    throw api_error::invalid_value("prompt", "this server takes at most " + std::to_string(limit) +
                                                 " choices over all prompts at once.");
  }
  std::vector<Request> requests;
  for (size_t i = 0; i < completion.prompts.size(); ++i) {
    Request request;
    request.id = http.id;
    request.tokens = completion.prompts[i].tokens;
    request.sampling = params.sampling;
    request.n = params.n;
    request.max_tokens = completion_room(params, service, request.tokens.size(), "prompt");
    request.stop_ids = params.stop_ids;
    request.rules = completion.rules;
    request.prompt_logprobs = completion.echo && completion.logprobs;
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace

HttpResponse handle_completions(const HttpRequest& http, const Service& service) {
  if (service.draining) throw api_error::draining();
  const nlohmann::json json = service.parse(http.body);
  const CompletionRequest completion = parse_completion_request(Fields(json), http.body, service);
  std::vector<Request> requests = engine_requests(http, service, completion);

  auto writer = std::make_shared<CompletionAnswer>(completion, service);
  auto generation = std::make_shared<Generation>(
      service, AssemblyOptions{.holds_answer = completion.rules && completion.rules->answer,
                               .stop = completion.params.stop,
                               .repetition = completion.params.repetition});
  generation->submit(std::move(requests), "prompt");
  if (completion.echo) {
    for (size_t i = 0; i < generation->n_choices(); ++i) {
      const auto prompt = i / static_cast<size_t>(completion.params.n);
      generation->choice(i).set_text_offset(count_characters(completion.prompts[prompt].text));
    }
  }
  return answer(http, service, completion.params, std::move(generation), std::move(writer));
}

}  // namespace lapidary
