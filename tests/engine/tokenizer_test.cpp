#include "engine/text/tokenizer.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "config/startup_error.h"
#include "config/utf8.h"
#include "engine/text/decoder.h"
#include "engine/text/tokenizer_json.h"
#include "tests/catch.h"
#include "tests/reference/byte_pair.h"

using namespace lapidary;
using nlohmann::json;

namespace {

const std::string kGolden = LAPIDARY_SOURCE_DIR "/tests/golden/";

struct Subject {
  std::string name, path;
};

const std::vector<Subject> kSubjects = {
    {"gemma4", LAPIDARY_BINARY_DIR "/tests/gemma4.tokenizer.json"},
    {"small", kGolden + "tokenizer_small/tokenizer.json"},
    {"unsplit", kGolden + "tokenizer/unsplit.tokenizer.json"},
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

const Tokenizer& tokenizer(size_t subject) {
  static const std::vector<Tokenizer> all = [] {
    std::vector<Tokenizer> loaded;
    for (const Subject& s : kSubjects) loaded.push_back(Tokenizer::from_file(s.path));
    return loaded;
  }();
  return all[subject];
}

struct Golden {
  std::string text;
  std::vector<int32_t> text_ids, control_ids;
};

const std::vector<Golden>& goldens(size_t subject) {
  static const std::vector<std::vector<Golden>> all = [] {
    std::vector<std::vector<Golden>> read_all;
    for (const Subject& s : kSubjects) {
      std::vector<Golden>& cases = read_all.emplace_back();
      for (const json& row : json::parse(read(kGolden + "tokenizer/" + s.name + ".golden.json"))) {
        cases.push_back({row[0], row[1], row[2].is_null() ? row[1] : row[2]});
      }
    }
    return read_all;
  }();
  return all[subject];
}

std::string with_spaces(std::string_view text) {
  std::string spaced;
  for (size_t at = 0; at < text.size();) {
    const bool is_mark = text.substr(at, 3) == "\u2581";
    spaced.push_back(is_mark ? ' ' : text[at]);
    at += is_mark ? 3 : 1;
  }
  return spaced;
}

std::string bytes_of(const Tokenizer& t, const std::vector<int32_t>& ids) {
  std::string bytes;
  for (const int32_t id : ids) bytes += t.token_bytes(id);
  return bytes;
}

bool holds_control(const Tokenizer& t, const std::vector<int32_t>& ids) {
  for (const int32_t id : ids) {
    if (t.is_control(id)) return true;
  }
  return false;
}

// Parts of the golden texts, cut anywhere (inside code points too), and random bytes.
std::string random_text(std::mt19937& random, size_t subject, size_t n_parts) {
  std::string text;
  for (size_t i = 0; i < n_parts; ++i) {
    const std::string& from = goldens(subject)[random() % goldens(subject).size()].text;
    if (random() % 8 == 0) {
      for (size_t k = random() % 6; k > 0; --k) text.push_back(static_cast<char>(random()));
    } else if (!from.empty()) {
      const size_t begin = random() % from.size();
      text += from.substr(begin, 1 + random() % 30);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("encodes as the official library does", "[engine][tokenizer]") {
  for (size_t subject = 0; subject < kSubjects.size(); ++subject) {
    const Tokenizer& t = tokenizer(subject);
    REQUIRE(goldens(subject).size() > 900);
    for (const Golden& golden : goldens(subject)) {
      INFO(kSubjects[subject].name << ": " << json(golden.text).dump());
      CHECK(t.encode(golden.text) == golden.text_ids);
      CHECK(t.encode_with_control(golden.text) == golden.control_ids);
    }
  }
}

TEST_CASE("decoding what was encoded gives the text back", "[engine][tokenizer]") {
  for (size_t subject = 0; subject < kSubjects.size(); ++subject) {
    const Tokenizer& t = tokenizer(subject);
    for (const Golden& golden : goldens(subject)) {
      INFO(kSubjects[subject].name << ": " << json(golden.text).dump());
      CHECK(t.decode(golden.text_ids, true) == with_spaces(golden.text));
      CHECK(t.decode(golden.control_ids, false) == with_spaces(golden.text));
    }
  }
}

TEST_CASE("S-04: text never becomes a control token", "[engine][tokenizer]") {
  for (size_t subject = 0; subject < kSubjects.size(); ++subject) {
    const Tokenizer& t = tokenizer(subject);
    int n_control = 0;
    for (int32_t id = 0; id < t.vocab_size(); ++id) {
      if (!t.is_control(id)) continue;
      ++n_control;
      const std::string spelled(t.token_text(id));
      for (const std::string& text : {spelled, spelled + spelled, "a" + spelled, spelled + "\n",
                                      " " + spelled + " ", "<|turn>user\n" + spelled}) {
        INFO(text);
        CHECK_FALSE(holds_control(t, t.encode(text)));
        CHECK(holds_control(t, t.encode_with_control(text)));
      }
    }
    CHECK(n_control == 24);
    for (const Golden& golden : goldens(subject)) {
      CHECK_FALSE(holds_control(t, t.encode(golden.text)));
    }
  }
}

TEST_CASE("encoding equals merging pair by pair over the whole text", "[engine][tokenizer]") {
  std::mt19937 random(1);
  for (size_t subject = 0; subject < kSubjects.size(); ++subject) {
    const TokenizerParts parts = read_tokenizer_json(read(kSubjects[subject].path), "file");
    for (int i = 0; i < 1500; ++i) {
      const std::string text = random_text(random, subject, 1 + random() % 12);
      INFO(kSubjects[subject].name
           << ": " << json(text).dump(-1, ' ', true, json::error_handler_t::replace));
      CHECK(tokenizer(subject).encode(text) ==
            reference::byte_pair_ids(parts.vocabulary, parts.merges, text));
    }
  }
}

TEST_CASE("no byte of any text is lost", "[engine][tokenizer]") {
  std::mt19937 random(2);
  for (size_t subject = 0; subject < kSubjects.size(); ++subject) {
    for (int i = 0; i < 1000; ++i) {
      std::string text(random() % 100, '\0');
      for (char& c : text) c = static_cast<char>(random());
      CHECK(bytes_of(tokenizer(subject), tokenizer(subject).encode(text)) == with_spaces(text));
    }
  }
}

TEST_CASE("invalid UTF-8 becomes one byte token a byte", "[engine][tokenizer]") {
  const Tokenizer& t = tokenizer(0);
  const int32_t a = *t.token_id("a");
  CHECK(t.encode("a\xFF\xC3"
                 "a\xF0\x9F\xA6") ==
        std::vector<int32_t>{a, 238 + 0xFF, 238 + 0xC3, a, 238 + 0xF0, 238 + 0x9F, 238 + 0xA6});
  CHECK(t.encode("\xED\xA0\x80") == std::vector<int32_t>{238 + 0xED, 238 + 0xA0, 238 + 0x80});
}

TEST_CASE("a megabyte without a place to cut is encoded", "[engine][tokenizer]") {
  // Anything quadratic would keep this test busy for hours.
  std::mt19937 random(3);
  const size_t n = 1 << 20;
  std::string letters(n, 'a'), spaces(n, ' '), newlines(n, '\n'), brackets(n, '<');
  for (char& c : letters) c = static_cast<char>('a' + random() % 26);
  std::string same(n, 'a'), byte(n, '\xF0');
  for (size_t subject = 0; subject < kSubjects.size(); ++subject) {
    const Tokenizer& t = tokenizer(subject);
    for (const std::string& text : {letters, spaces, newlines, brackets, same, byte}) {
      CHECK(bytes_of(t, t.encode(text)) == text);
    }
  }
  CHECK(tokenizer(0).encode(newlines).size() == n / 31 + (n % 31 > 0));
}

TEST_CASE("many different words push each other out of the cache unharmed", "[engine][tokenizer]") {
  const Tokenizer& t = tokenizer(1);
  const TokenizerParts parts = read_tokenizer_json(read(kSubjects[1].path), "file");
  std::mt19937 random(4);
  std::string text;
  std::vector<int32_t> wanted;
  for (int i = 0; i < 40'000; ++i) {
    std::string word = " ";
    for (size_t k = 1 + random() % 36; k > 0; --k) {
      word.push_back(static_cast<char>('a' + random() % 26));
    }
    const std::vector<int32_t> ids = reference::byte_pair_ids(parts.vocabulary, parts.merges, word);
    wanted.insert(wanted.end(), ids.begin(), ids.end());
    text += word;
  }
  CHECK(t.encode(text) == wanted);
  CHECK(t.encode(text) == wanted);
}

TEST_CASE("encodes in many threads at once", "[engine][tokenizer]") {
  std::vector<std::thread> threads;
  std::vector<int> differences(20);
  for (size_t i = 0; i < differences.size(); ++i) {
    threads.emplace_back([&differences, i] {
      for (const Golden& golden : goldens(1)) {
        differences[i] += tokenizer(1).encode(golden.text) != golden.text_ids;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(differences == std::vector<int>(20));
}

TEST_CASE("names the tokens of the real vocabulary", "[engine][tokenizer]") {
  const Tokenizer& t = tokenizer(0);
  CHECK(t.vocab_size() == 262144);
  CHECK(t.control_id("<|turn>") == 105);
  CHECK(t.control_id("<|image|>") == 258880);
  CHECK_FALSE(t.control_id("Hello"));
  CHECK(t.token_id("Hello") == 9259);
  CHECK(t.token_text(26352) == "\u2581Hello");
  CHECK(t.token_bytes(26352) == " Hello");
  CHECK(t.token_text(238 + 10) == "<0x0A>");
  CHECK(t.token_bytes(238 + 10) == "\n");
  for (const int32_t outside : {-1, 262144, INT32_MIN, INT32_MAX}) {
    CHECK(t.token_text(outside).empty());
    CHECK(t.token_bytes(outside).empty());
    CHECK_FALSE(t.is_control(outside));
  }
}

TEST_CASE("decoding holds back what may become valid", "[engine][tokenizer]") {
  const Tokenizer& t = tokenizer(0);
  IncrementalDecoder decoder(t);
  CHECK(decoder.push(478).empty());
  CHECK(decoder.push(397).empty());
  CHECK(decoder.push(404).empty());
  CHECK(decoder.holds_back());
  CHECK(decoder.push(391) == "\U0001F999");
  CHECK_FALSE(decoder.holds_back());
  CHECK(decoder.push(26352) == " Hello");
  CHECK(decoder.push(478).empty());
  CHECK(decoder.push(106).empty());  // a control token that is skipped
  CHECK(decoder.push(26352) == "\uFFFD Hello");
  CHECK(decoder.push(478).empty());
  CHECK(decoder.finish() == "\uFFFD");
  CHECK(decoder.finish().empty());
  CHECK(IncrementalDecoder(t, false).push(106) == "<turn|>");
  CHECK(IncrementalDecoder(t).push(-5).empty());
}

TEST_CASE("invalid bytes decode to one U+FFFD for each maximal part", "[engine][tokenizer]") {
  const Tokenizer& t = tokenizer(0);
  const std::vector<std::pair<std::string, std::string>> cases = {
      // The examples of the Unicode standard, section 3.9.
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFDA"},
      {"\xF0\x9F\xA6", "\uFFFD"},
      {"\xE2\x96\x81", "\u2581"},  // spelled in bytes it stays what it is
      {"\xF4\x8F\xBF\xBF\x7F", "\U0010FFFF\x7F"},
  };
  for (const auto& [bytes, text] : cases) {
    std::vector<int32_t> ids;
    for (const char c : bytes) ids.push_back(238 + static_cast<unsigned char>(c));
    CHECK(t.decode(ids, true) == text);
  }
}

TEST_CASE("streamed text is valid UTF-8 at every step", "[engine][tokenizer]") {
  std::mt19937 random(5);
  const Tokenizer& t = tokenizer(1);
  for (int round = 0; round < 300; ++round) {
    IncrementalDecoder decoder(t, false);
    std::vector<int32_t> ids;
    std::string text;
    for (int i = 0; i < 40; ++i) {
      const bool byte = random() % 2 == 0;
      ids.push_back(static_cast<int32_t>(byte ? 238 + random() % 256 : random() % 1010));
      const std::string part = decoder.push(ids.back());
      for (size_t at = 0; at < part.size();) {
        const int length = read_utf8(part, at).length;
        REQUIRE(length > 0);
        at += static_cast<size_t>(length);
      }
      text += part;
    }
    CHECK(text + decoder.finish() == t.decode(ids, false));
  }
}

TEST_CASE("merges may be written in the older form", "[engine][tokenizer]") {
  json file = json::parse(read(kSubjects[1].path));
  for (json& merge : file["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  const Tokenizer t = Tokenizer::from_json(file.dump(), "file");
  for (const Golden& golden : goldens(1)) CHECK(t.encode(golden.text) == golden.text_ids);
}

TEST_CASE("entries may be written with escapes", "[engine][tokenizer]") {
  json file = json::parse(read(kSubjects[1].path));
  file["model"]["vocab"]["\U0001F48E\"\u00a0\u2028"] = 1003;
  file["model"]["vocab"]["\U0001F48E"] = 1004;
  const Tokenizer t = Tokenizer::from_json(file.dump(-1, ' ', true), "file");
  CHECK(t.token_text(1003) == "\U0001F48E\"\u00a0\u2028");
  CHECK(t.encode("\U0001F48E") == std::vector<int32_t>{1004});
  for (const Golden& golden : goldens(1)) {
    if (golden.text.find("\U0001F48E") == std::string::npos) {
      CHECK(t.encode(golden.text) == golden.text_ids);
    }
  }
}

TEST_CASE("the longest control token is read from a text", "[engine][tokenizer]") {
  json file = json::parse(read(kSubjects[1].path));
  for (const auto& [text, id] : {std::pair("<|gem", 1003), {"<|gem|>", 1004}, {"<|gem|", 1005}}) {
    file["added_tokens"].push_back({{"id", id}, {"content", text}});
  }
  const Tokenizer t = Tokenizer::from_json(file.dump(), "file");
  CHECK(t.vocab_size() == 1006);
  CHECK(t.encode_with_control("<|gem|><|gem|<|gem<|gem||>").size() ==
        3 + 1 + t.encode("|>").size());
  CHECK(t.encode_with_control("<|gem|><|gem|<|gem") == std::vector<int32_t>{1004, 1005, 1003});
}

TEST_CASE("S-11: other tokenizer files are refused in words", "[engine][tokenizer]") {
  struct Case {
    std::string reason;
    std::function<void(json&)> change;
  };
  const std::vector<Case> cases = {
      {"model.type is \"Unigram\"", [](json& f) { f["model"]["type"] = "Unigram"; }},
      {"no \"model\"", [](json& f) { f.erase("model"); }},
      {"not an object", [](json& f) { f["model"] = 3; }},
      {"not an object", [](json& f) { f = json::array(); }},
      {"byte_fallback", [](json& f) { f["model"]["byte_fallback"] = false; }},
      {"dropout", [](json& f) { f["model"]["dropout"] = 0.1; }},
      {"ignore_merges", [](json& f) { f["model"]["ignore_merges"] = true; }},
      {"end_of_word_suffix", [](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }},
      {"normalizer", [](json& f) { f["normalizer"] = nullptr; }},
      {"normalizer",
       [](json& f) {
         f["normalizer"] = {{"type", "NFKC"}};
       }},
      {"pre_tokenizer",
       [](json& f) {
         f["pre_tokenizer"] = {{"type", "Whitespace"}};
       }},
      {"decoder",
       [](json& f) {
         f["decoder"] = {{"type", "ByteLevel"}};
       }},
      {"model.vocab is not an object", [](json& f) { f["model"]["vocab"] = json::array(); }},
      {"no \"vocab\"", [](json& f) { f["model"].erase("vocab"); }},
      {"model.merges is not a list", [](json& f) { f["model"]["merges"] = "a b"; }},
      {"byte token <0x0A>",
       [](json& f) {
         f["model"]["vocab"].erase("<0x0A>");
         f["model"]["vocab"]["other"] = 248;
       }},
      {"no entry has the id 700",
       [](json& f) {
         for (auto& [text, id] : f["model"]["vocab"].items()) {
           if (id == 700) id = 2000;
         }
       }},
      {"same id", [](json& f) { f["model"]["vocab"]["other"] = 700; }},
      {"id that is not", [](json& f) { f["model"]["vocab"]["other"] = -1; }},
      {"id that is not", [](json& f) { f["model"]["vocab"]["other"] = 1e9; }},
      {"id that is not", [](json& f) { f["model"]["vocab"]["other"] = "7"; }},
      {"id that is not", [](json& f) { f["model"]["vocab"]["other"] = UINT64_MAX; }},
      {"is empty", [](json& f) { f["model"]["vocab"][""] = 1003; }},
      {"not in the vocabulary",
       [](json& f) {
         f["model"]["merges"].push_back({"qq", "qqq"});
       }},
      {"there twice",
       [](json& f) { f["model"]["merges"].push_back(json(f["model"]["merges"][0])); }},
      {"not two strings", [](json& f) { f["model"]["merges"].push_back("ab"); }},
      {"not two strings", [](json& f) { f["model"]["merges"].push_back("a b c"); }},
      {"not two strings", [](json& f) { f["model"]["merges"].push_back({"a"}); }},
      {"not two strings",
       [](json& f) {
         f["model"]["merges"].push_back({"a", "b", "c"});
       }},
      {"not two strings",
       [](json& f) {
         f["model"]["merges"].push_back({"a", 1});
       }},
      {"not two strings", [](json& f) { f["model"]["merges"].push_back(json::object()); }},
      {"control or byte token",
       [](json& f) {
         f["model"]["vocab"]["<bo"] = 1003;
         f["model"]["merges"].push_back({"<bo", "s>"});
         f["model"]["vocab"]["s>"] = 1004;
       }},
      {"control or byte token",
       [](json& f) {
         f["model"]["merges"].push_back({"<0x0A>", "a"});
       }},
      {"one character",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 1003}, {"content", "\u00b6"}});
       }},
      {"holds a space",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 1003}, {"content", "a b"}});
       }},
      {"is a byte token",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 248}, {"content", "<0x0A>"}});
       }},
      {"same id",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 700}, {"content", "other"}});
       }},
      {"there twice",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 1003}, {"content", "<bos>"}});
       }},
      {"no id or no content",
       [](json& f) {
         f["added_tokens"].push_back({{"id", 1.5}});
       }},
      {"not a list", [](json& f) { f["added_tokens"] = 1; }},
      {"lstrip", [](json& f) { f["added_tokens"][0]["lstrip"] = true; }},
  };
  const json good = json::parse(read(kSubjects[1].path));
  CHECK_NOTHROW(Tokenizer::from_json(good.dump(), "name.json"));
  for (const Case& c : cases) {
    INFO(c.reason);
    json file = good;
    c.change(file);
    try {
      Tokenizer::from_json(file.dump(), "name.json");
      FAIL_CHECK("was accepted");
    } catch (const StartupError& error) {
      const std::string sentence = error.what();
      INFO(sentence);
      CHECK(sentence.substr(0, 11) == "name.json: ");
      CHECK(sentence.find(c.reason) != std::string::npos);
    }
  }
}

TEST_CASE("S-11: a truncated tokenizer file is refused wherever it ends", "[engine][tokenizer]") {
  const std::string good = read(kSubjects[1].path);
  const size_t end = good.find_last_of('}');
  for (size_t size = 0; size <= end; size += size < 3000 ? 7 : 997) {
    CHECK_THROWS_AS(Tokenizer::from_json(good.substr(0, size), "file"), StartupError);
  }
  CHECK_THROWS_AS(Tokenizer::from_file("/nonexistent/tokenizer.json"), StartupError);
  CHECK_THROWS_AS(Tokenizer::from_file("/"), StartupError);
}
