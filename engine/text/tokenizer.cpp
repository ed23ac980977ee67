#include "engine/text/tokenizer.h"

#include <utility>

#include "config/checked_json.h"
#include "engine/text/decoder.h"
#include "engine/text/encode_scratch.h"
#include "engine/text/tokenizer_json.h"

namespace lapidary {
namespace {

void encode_run(const TokenizerParts& parts, std::string_view text, EncodeScratch& scratch,
                std::vector<int32_t>& ids) {
  const char* const text_end = text.data() + text.size();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = parts.cuts.next_cut(text, begin);
    const std::string_view piece = text.substr(begin, end - begin);
    begin = end;
    if (piece.size() > WordCache::kMaxKeyBytes) {
      scratch.merger.encode(parts.vocabulary, parts.merges, piece, ids);
      continue;
    }
    const WordCache::Key key = WordCache::key(piece, text_end);
    std::span<const int32_t> known = scratch.words.find(key);
    if (known.empty()) {
      const size_t n_before = ids.size();
      scratch.merger.encode(parts.vocabulary, parts.merges, piece, ids);
      scratch.words.insert(key, std::span(ids).subspan(n_before));
    } else {
      ids.insert(ids.end(), known.begin(), known.end());
    }
  }
}

}  // namespace

Tokenizer Tokenizer::from_file(const std::filesystem::path& path) {
  return from_json(read_small_file(path, kMaxTokenizerBytes), path.string());
}

Tokenizer Tokenizer::from_json(std::string_view json, const std::string& name) {
  return Tokenizer(std::make_unique<const TokenizerParts>(read_tokenizer_json(json, name)));
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts)
    : parts_(std::move(parts)), scratch_(std::make_unique<EncodeScratchPool>()) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  encode(text, ids);
  return ids;
}

void Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  EncodeScratchPool::Lease scratch(*scratch_);
  encode_run(*parts_, text, *scratch, ids);
}

std::vector<int32_t> Tokenizer::encode_with_control(std::string_view text) const {
  EncodeScratchPool::Lease scratch(*scratch_);
  std::vector<int32_t> ids;
  size_t begin = 0;
  while (const auto match = parts_->control.next_match(text, begin)) {
    encode_run(*parts_, text.substr(begin, match->begin - begin), *scratch, ids);
    ids.push_back(match->id);
    begin = match->begin + match->length;
  }
  encode_run(*parts_, text.substr(begin), *scratch, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_control) const {
  IncrementalDecoder decoder(*this, skip_control);
  std::string text;
  for (const int32_t id : ids) decoder.push(id, text);
  text += decoder.finish();
  return text;
}

int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

std::optional<int32_t> Tokenizer::control_id(std::string_view text) const {
  return parts_->control.find(text);
}

bool Tokenizer::is_control(int32_t id) const { return id >= 0 && parts_->control.contains(id); }

std::string_view Tokenizer::token_text(int32_t id) const {
  return id >= 0 && id < vocab_size() ? parts_->vocabulary.text(id) : std::string_view();
}

std::string_view Tokenizer::token_bytes(int32_t id) const {
  return id >= 0 && id < vocab_size() ? parts_->vocabulary.bytes(id) : std::string_view();
}

std::optional<int32_t> Tokenizer::token_id(std::string_view token_text) const {
  const int32_t id = parts_->vocabulary.find(token_text);
  if (id == Vocabulary::kNone) return std::nullopt;
  return id;
}

}  // namespace lapidary
