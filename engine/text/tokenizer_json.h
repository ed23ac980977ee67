// Reads tokenizer.json, the Hugging Face form, into the tables that encoding and decoding use.
// Holds the one list of what is required of such a file; anything else is refused with
// StartupError.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/text/control_tokens.h"
#include "engine/text/cut_table.h"
#include "engine/text/merge_table.h"
#include "engine/text/vocabulary.h"

namespace lapidary {

struct TokenizerParts {
  Vocabulary vocabulary;
  MergeTable merges;
  CutTable cuts;
  ControlTokens control;
};

// The published files have 15 to 32 MB.
inline constexpr size_t kMaxTokenizerBytes = size_t{512} << 20;

// `name` stands for the file in error messages.
TokenizerParts read_tokenizer_json(std::string_view json, const std::string& name);

}  // namespace lapidary
