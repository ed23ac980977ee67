// Grammars with a real tokenizer, from a command line.
//   grammar_bench TOKENIZER walk|walk_ahead [SEED]
//       JSON schemas, one a line, from standard input; for each a line {"text": ...} that was drawn
//       from the masks alone, {"refused": reason, "path": ...}, or {"open": text} when it did not
//       end. Times go to standard error.
//       walk: each node's mask is made when it is first stood on. walk_ahead: a MaskMaker has had
//       its time before the first token, as a server's has during the prompt; "ahead" is that time.
// Draws are uniform over the allowed tokens; after a while whatever closes is preferred.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "engine/grammar/mask_maker.h"
#include "engine/grammar/matcher.h"
#include "engine/text/tokenizer.h"
#include "server/schema/grammar_compiler.h"

namespace lapidary {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

void print_times(const char* name, std::vector<double> times) {
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return times[static_cast<size_t>(part * static_cast<double>(times.size() - 1))];
  };
  std::fprintf(stderr, "%s: n %zu, p50 %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us\n", name,
               times.size(), at(0.5), at(0.9), at(0.99), times.back());
}

class Walker {
 public:
  Walker(const Tokenizer& tokenizer, const GrammarVocabulary& vocabulary, unsigned seed,
         bool works_ahead)
      : vocabulary_(vocabulary), random_(seed), works_ahead_(works_ahead) {
    for (const char* text : {"\"", "}", "]", ",", ":"}) {
      closers_.push_back(*tokenizer.token_id(text));
    }
  }

  OrderedJson walk(const std::string& schema) {
    const auto begin = Clock::now();
    const CompiledGrammar made = GrammarCompiler(vocabulary_).json_schema_text(schema);
    compile_times.push_back(microseconds(begin));
    if (const auto* refusal = std::get_if<GrammarRefusal>(&made)) {
      return {{"refused", refusal->reason}, {"path", refusal->path}};
    }
    const auto grammar = std::get<0>(made);
    if (works_ahead_) work_ahead(grammar);
    Matcher matcher(grammar);
    std::vector<uint32_t> mask(matcher.n_words());
    std::string text;
    for (int step = 0; step < kMaxSteps; ++step) {
      const auto before = Clock::now();
      matcher.allowed(mask);
      mask_times.push_back(microseconds(before));
      const int32_t token = draw(mask, step);
      const auto accepting = Clock::now();
      if (token < 0 || !matcher.accept(token)) return {{"broken", text}};
      accept_times.push_back(microseconds(accepting));
      if (matcher.is_ended()) return {{"text", text}};
      text += vocabulary_.bytes(token);
    }
    return {
        {"open", OrderedJson(text).dump(-1, ' ', false, OrderedJson::error_handler_t::replace)}};
  }

  std::vector<double> compile_times, ahead_times, mask_times, accept_times;

 private:
  static constexpr int kMaxSteps = 3000;
  static constexpr int kFreeSteps = 40;

  void work_ahead(const std::shared_ptr<const Grammar>& grammar) {
    const auto begin = Clock::now();
    mask_maker_.add(grammar);
    mask_maker_.wait_until_idle();
    ahead_times.push_back(microseconds(begin));
  }

  static bool has(const std::vector<uint32_t>& mask, int32_t id) {
    return ((mask[static_cast<size_t>(id) / 32] >> (id % 32)) & 1) != 0;
  }

  int32_t draw(const std::vector<uint32_t>& mask, int step) {
    const bool is_late = step > kFreeSteps;
    if (is_late || random_() % 4 == 0) {
      for (const int32_t stop : vocabulary_.stops()) {
        if (has(mask, stop)) return stop;
      }
      if (is_late || random_() % 2 == 0) {
        for (const int32_t id : closers_) {
          if (has(mask, id) && (id != closers_[3] || random_() % 2 == 0)) return id;
        }
      }
    }
    size_t n = 0;
    for (const uint32_t word : mask) n += static_cast<size_t>(std::popcount(word));
    if (n == 0) return -1;
    size_t chosen = random_() % n;
    for (size_t i = 0;; ++i) {
      const auto in_word = static_cast<size_t>(std::popcount(mask[i]));
      if (chosen >= in_word) {
        chosen -= in_word;
        continue;
      }
      uint32_t word = mask[i];
      for (; chosen > 0; --chosen) word &= word - 1;
      return static_cast<int32_t>(32 * i) + std::countr_zero(word);
    }
  }

  const GrammarVocabulary& vocabulary_;
  MaskMaker mask_maker_;
  std::mt19937 random_;
  const bool works_ahead_;
  std::vector<int32_t> closers_;
};

int run(int argc, char** argv) {
  const std::string mode = argc < 3 ? "" : argv[2];
  if (mode != "walk" && mode != "walk_ahead") {
    std::fprintf(stderr, "usage: grammar_bench TOKENIZER walk|walk_ahead [SEED] < SCHEMAS\n");
    return 2;
  }
  const Tokenizer tokenizer = Tokenizer::from_file(argv[1]);
  const GrammarVocabulary vocabulary(
      tokenizer, {*tokenizer.control_id("<eos>"), *tokenizer.control_id("<turn|>")});
  Walker walker(tokenizer, vocabulary, argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1,
                mode == "walk_ahead");
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << walker.walk(line).dump(-1, ' ', false, OrderedJson::error_handler_t::replace)
              << std::endl;
  }
  print_times("compile", walker.compile_times);
  print_times("ahead", walker.ahead_times);
  print_times("mask", walker.mask_times);
  print_times("accept", walker.accept_times);
  return 0;
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) { return lapidary::run(argc, argv); }
