#include "engine/text/tokenizer_json.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "config/json_scan.h"
#include "config/startup_error.h"
#include "engine/text/json_reader.h"

namespace lapidary {
namespace {

using nlohmann::json;

constexpr JsonLimits kFileLimits{.max_bytes = kMaxTokenizerBytes,
                                 .max_depth = 64,
                                 .max_values = 20'000'000,
                                 .reject_duplicate_keys = false};  // checked entry by entry
// All but the two long lists are small; keeps the trees so.
constexpr size_t kMaxTreeBytes = 8 << 20;

class FileReader {
 public:
  FileReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  TokenizerParts read();

 private:
  using Members = std::map<std::string, std::string_view>;  // key -> the text of its value

  [[noreturn]] void refuse(const std::string& what) const {
    throw StartupError(name_ + ": " + what + ".");
  }
  void require(bool condition, const std::string& what) const {
    if (!condition) refuse(what);
  }

  Members members(std::string_view object, const std::string& where) const;
  json tree(const Members& from, const std::string& key) const;

  void check_model(const Members& model) const;
  void check_pipeline(const Members& top) const;
  void read_vocabulary(std::string_view text);
  void place(std::string spelling, std::optional<long long> id);
  void read_added_tokens(const json& added);
  void check_entries() const;
  void read_merges(std::string_view text);
  void add_merge(const std::string& left, const std::string& right, size_t number);

  std::string_view text_;
  const std::string& name_;
  std::vector<std::string> spellings_;  // by id; empty where no entry has come yet
  std::vector<std::pair<std::string, int32_t>> added_;
  TokenizerParts parts_;
};

FileReader::Members FileReader::members(std::string_view object, const std::string& where) const {
  JsonReader reader(object);
  require(reader.kind() == JsonReader::Kind::kObject, where + " is not an object");
  Members found;
  std::string key;
  reader.enter();
  while (reader.next_key(key)) {
    const bool is_new = found.emplace(key, reader.read_raw()).second;
    if (!is_new) refuse("an object has the key " + json(key).dump() + " twice, in " + where);
  }
  return found;
}

json FileReader::tree(const Members& from, const std::string& key) const {
  const auto member = from.find(key);
  if (member == from.end()) return nullptr;
  require(member->second.size() <= kMaxTreeBytes, "\"" + key + "\" is too long");
  return json::parse(member->second);
}

// What makes the merges mean what the published Gemma tokenizers mean by them.
void FileReader::check_model(const Members& model) const {
  const json type = tree(model, "type");
  require(type == "BPE", "model.type is " + type.dump() + ", but only \"BPE\" can be read");
  const auto must_be = [&](const char* key, const json& wanted) {
    const json value = tree(model, key);
    require(value == wanted, std::string("model.") + key + " is " + value.dump() + ", but only " +
                                 wanted.dump() + " is supported");
  };
  must_be("byte_fallback", true);
  for (const char* key :
       {"dropout", "ignore_merges", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const json value = tree(model, key);
    const bool is_off = value.is_null() || value == false || value == "" || value == 0.0;
    require(is_off, std::string("model.") + key + " is not supported");
  }
}

// The steps around the merges. A post-processor would add tokens such as <bos>; whoever builds a
// prompt does that, so it does not matter here.
void FileReader::check_pipeline(const Members& top) const {
  const std::string mark(kWordMarkUtf8);
  const json normalizer = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}};
  require(tree(top, "normalizer") == normalizer,
          "the normalizer is not the one of Gemma, which replaces each space by U+2581");
  const json pre_tokenizer = {{"type", "Split"},
                              {"pattern", {{"String", " "}}},
                              {"behavior", "MergedWithPrevious"},
                              {"invert", false}};
  const json found = tree(top, "pre_tokenizer");
  require(found.is_null() || found == pre_tokenizer,
          "the pre_tokenizer is not the one of Gemma, which splits at spaces");
  const json decoders =
      json::array({{{"type", "Replace"}, {"pattern", {{"String", mark}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}});
  require(tree(top, "decoder") == json({{"type", "Sequence"}, {"decoders", decoders}}),
          "the decoder is not the one of Gemma (Replace, ByteFallback, Fuse)");
}

void FileReader::place(std::string spelling, std::optional<long long> id) {
  const auto entry = [&] { return "the entry " + json(spelling).dump(); };
  if (spelling.empty()) refuse("an entry of the vocabulary is empty");
  if (!id || *id < 0 || *id >= static_cast<long long>(MergeTable::kMaxIds)) {
    refuse(entry() + " has an id that is not from 0 to " + std::to_string(MergeTable::kMaxIds - 1));
  }
  const auto i = static_cast<size_t>(*id);
  if (i >= spellings_.size()) spellings_.resize(i + 1);
  if (!spellings_[i].empty()) {
    refuse(entry() + " has the same id as " + json(spellings_[i]).dump());
  }
  spellings_[i] = std::move(spelling);
}

void FileReader::read_vocabulary(std::string_view text) {
  JsonReader reader(text);
  require(reader.kind() == JsonReader::Kind::kObject, "model.vocab is not an object");
  std::string spelling;
  reader.enter();
  while (reader.next_key(spelling)) place(spelling, reader.read_integer());
}

void FileReader::read_added_tokens(const json& added) {
  require(added.is_array(), "\"added_tokens\" is not a list");
  for (const json& token : added) {
    require(token.is_object() && token.contains("id") && token["id"].is_number_integer() &&
                token.contains("content") && token["content"].is_string(),
            "an added token has no id or no content");
    const std::string content = token["content"];
    const std::string entry = "the added token " + json(content).dump();
    require(
        content.find(' ') == std::string::npos && content.find(kWordMarkUtf8) == std::string::npos,
        entry + " holds a space, which is not supported");
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      require(!token.contains(flag) || token[flag] == false,
              entry + " has " + flag + " set, which is not supported");
    }
    const auto id = token["id"].get<int64_t>();
    const bool known = id >= 0 && id < static_cast<int64_t>(spellings_.size()) &&
                       spellings_[static_cast<size_t>(id)] == content;
    if (!known) place(content, id);
    added_.emplace_back(content, static_cast<int32_t>(id));
  }
}

// A user's text must never become a control token (whatever merges a file lists), and every text
// must have an encoding.
void FileReader::check_entries() const {
  const Vocabulary& vocabulary = parts_.vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    require(vocabulary.byte_id(static_cast<unsigned char>(byte)) != Vocabulary::kNone,
            std::string("the vocabulary lacks the byte token <0x") +
                kDigits[static_cast<size_t>(byte >> 4)] + kDigits[static_cast<size_t>(byte & 15)] +
                ">");
  }
  for (const auto& [content, id] : added_) {
    const std::string entry = "the added token " + json(content).dump();
    require(!Vocabulary::spelled_byte(content), entry + " is a byte token");
    size_t n_code_points = 0;
    for (const char c : content) n_code_points += (c & 0xC0) != 0x80;
    require(n_code_points > 1, entry + " is one character, which text could spell");
  }
}

void FileReader::add_merge(const std::string& left, const std::string& right, size_t number) {
  const auto merge = [&] {
    return "merge " + std::to_string(number) + " (" + json(left).dump() + ", " +
           json(right).dump() + ")";
  };
  const auto id_of = [&](const std::string& spelling) {
    const int32_t id = parts_.vocabulary.find(spelling);
    if (id == Vocabulary::kNone) {
      refuse(merge() + " names " + json(spelling).dump() + ", which is not in the vocabulary");
    }
    if (parts_.control.contains(id) || Vocabulary::spelled_byte(spelling)) {
      refuse(merge() + " uses or builds a control or byte token");
    }
    return id;
  };
  const int32_t left_id = id_of(left), right_id = id_of(right), result_id = id_of(left + right);
  if (!parts_.merges.add(left_id, right_id, result_id)) refuse(merge() + " is there twice");
}

void FileReader::read_merges(std::string_view text) {
  JsonReader counter(text);
  require(counter.kind() == JsonReader::Kind::kArray, "model.merges is not a list");
  size_t n_merges = 0;
  counter.enter();
  for (; counter.next_element(); ++n_merges) counter.read_raw();
  require(n_merges <= MergeTable::kMaxMerges,
          "there are more than " + std::to_string(MergeTable::kMaxMerges) + " merges");
  parts_.merges = MergeTable(n_merges);

  JsonReader reader(text);
  std::string left, right;
  reader.enter();
  for (size_t number = 0; reader.next_element(); ++number) {
    const auto check = [&](bool is_well_formed) {
      if (is_well_formed) return;
      refuse("merge " + std::to_string(number) + " is not two strings, nor one with one space");
    };
    if (reader.kind() == JsonReader::Kind::kString) {
      reader.read_string(left);
      const size_t space = left.find(' ');
      check(space != std::string::npos && left.find(' ', space + 1) == std::string::npos);
      right = left.substr(space + 1);
      left.resize(space);
    } else {
      check(reader.kind() == JsonReader::Kind::kArray);
      reader.enter();
      for (std::string* half : {&left, &right}) {
        check(reader.next_element() && reader.kind() == JsonReader::Kind::kString);
        reader.read_string(*half);
      }
      check(!reader.next_element());
    }
    add_merge(left, right, number);
  }
}

TokenizerParts FileReader::read() {
  if (const std::optional<JsonFault> fault = scan_json(text_, kFileLimits)) {
    refuse("not valid JSON: " + fault->reason + " (byte " + std::to_string(fault->offset) + ")");
  }
  const Members top = members(text_, "the file");
  require(top.contains("model"), "there is no \"model\"");
  const Members model = members(top.at("model"), "\"model\"");
  check_model(model);
  check_pipeline(top);
  require(model.contains("vocab") && model.contains("merges"),
          "\"model\" has no \"vocab\" or no \"merges\"");
  read_vocabulary(model.at("vocab"));
  if (top.contains("added_tokens")) read_added_tokens(tree(top, "added_tokens"));

  const auto hole = std::find(spellings_.begin(), spellings_.end(), "");
  require(hole == spellings_.end(),
          "no entry has the id " + std::to_string(hole - spellings_.begin()));
  std::vector<std::string_view> sorted(spellings_.begin(), spellings_.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twin = std::adjacent_find(sorted.begin(), sorted.end());
  require(twin == sorted.end(),
          "the entry " + (twin == sorted.end() ? "" : json(*twin).dump()) + " is there twice");
  sorted.clear();

  parts_.vocabulary = Vocabulary(spellings_);
  check_entries();
  for (const auto& [content, id] : added_) parts_.control.add(content, id);
  read_merges(model.at("merges"));
  parts_.cuts = CutTable(parts_.vocabulary, parts_.merges);
  return std::move(parts_);
}

}  // namespace

TokenizerParts read_tokenizer_json(std::string_view json, const std::string& name) {
  return FileReader(json, name).read();
}

}  // namespace lapidary
