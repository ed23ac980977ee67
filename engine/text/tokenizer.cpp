#include "engine/text/tokenizer.h"

#include <mutex>
#include <utility>

#include "config/checked_json.h"
#include "engine/text/decoder.h"
#include "engine/text/encode_scratch.h"
#include "engine/text/tokenizer_json.h"

namespace lapidary {
namespace {

// Encodes runs of text in a lent work space.
class RunEncoder {
 public:
  RunEncoder(const TokenizerParts& parts, EncodeScratchPool& pool)
      : parts_(parts), pool_(pool), lease_(pool) {}

  void encode(std::string_view text, std::vector<int32_t>& ids) {
    const char* const text_end = text.data() + text.size();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = parts_.cuts.next_cut(text, begin);
      const std::string_view piece = text.substr(begin, end - begin);
      begin = end;
      if (piece.size() <= WordCache::kMaxKeyBytes) {
        encode_word(piece, text_end, ids);
      } else if (piece.size() <= EncodeScratchPool::kMaxPieceBytes) {
        merge((*lease_).merger, piece, ids);
      } else {
        const std::lock_guard turn(pool_.long_piece_turn());
        BytePairMerger merger;
        merge(merger, piece, ids);
      }
    }
  }

 private:
  void merge(BytePairMerger& merger, std::string_view piece, std::vector<int32_t>& ids) {
    merger.encode(parts_.vocabulary, parts_.merges, piece, ids);
  }

  void encode_word(std::string_view piece, const char* text_end, std::vector<int32_t>& ids) {
    EncodeScratch& scratch = *lease_;
    const WordCache::Key key = WordCache::key(piece, text_end);
    const std::span<const int32_t> known = scratch.words.find(key);
    if (!known.empty()) {
      ids.insert(ids.end(), known.begin(), known.end());
      return;
    }
    const size_t n_before = ids.size();
    merge(scratch.merger, piece, ids);
    scratch.words.insert(key, std::span(ids).subspan(n_before));
  }

  const TokenizerParts& parts_;
  EncodeScratchPool& pool_;
  EncodeScratchPool::Lease lease_;
};

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
  RunEncoder(*parts_, *scratch_).encode(text, ids);
}

std::vector<int32_t> Tokenizer::encode_with_control(std::string_view text) const {
  RunEncoder run(*parts_, *scratch_);
  std::vector<int32_t> ids;
  size_t begin = 0;
  while (const auto match = parts_->control.next_match(text, begin)) {
    run.encode(text.substr(begin, match->begin - begin), ids);
    ids.push_back(match->id);
    begin = match->begin + match->length;
  }
  run.encode(text.substr(begin), ids);
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
