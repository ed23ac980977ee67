#include "server/schema/ordered_text.h"

#include <cstdint>
#include <string>
#include <utility>

namespace lapidary {
namespace {

// Builds the value at the path and passes over everything else.
class PathReader : public OrderedJson::json_sax_t {
 public:
  explicit PathReader(const std::vector<std::string_view>& path)
      : path_(path), is_next_(path.empty()) {}

  OrderedJson take() { return std::move(value_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool v) override { return add(v); }
  bool number_integer(int64_t v) override { return add(v); }
  bool number_unsigned(uint64_t v) override { return add(v); }
  bool number_float(double v, const std::string&) override { return add(v); }
  bool string(std::string& v) override { return add(std::move(v)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(OrderedJson::object()); }
  bool start_array(size_t) override { return open(OrderedJson::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const OrderedJson::exception&) override {
    return false;
  }

  bool key(std::string& name) override {
    if (!open_.empty()) {
      key_ = std::move(name);
    } else if (depth_ == matched_ + 1 && matched_ < path_.size() && name == path_[matched_]) {
      is_next_ = true;
    }
    return true;
  }

 private:
  // False: it has all that is wanted.
  bool add(OrderedJson&& value) {
    if (open_.empty()) {
      if (!std::exchange(is_next_, false) || matched_ + 1 < path_.size()) return true;
      value_ = std::move(value);
      return false;
    }
    append(std::move(value));
    return true;
  }

  bool open(OrderedJson&& empty) {
    if (!open_.empty()) {
      open_.push_back(append(std::move(empty)));
      return true;
    }
    ++depth_;
    if (!std::exchange(is_next_, false)) return true;
    if (++matched_ < path_.size()) return true;
    value_ = std::move(empty);
    open_.push_back(&value_);
    return true;
  }

  bool close() {
    if (!open_.empty()) {
      open_.pop_back();
      return !open_.empty();
    }
    --depth_;
    return depth_ > matched_;  // what was on the way has ended without it
  }

  // Stays where it is until its container is closed: nothing else is added to that meanwhile.
  OrderedJson* append(OrderedJson&& value) {
    OrderedJson& holder = *open_.back();
    if (holder.is_array()) {
      holder.push_back(std::move(value));
      return &holder.back();
    }
    using Members = std::vector<OrderedJson::object_t::value_type>;
    Members& members = holder.get_ref<OrderedJson::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }

  const std::vector<std::string_view>& path_;
  size_t depth_ = 0;    // containers around, outside the value
  size_t matched_ = 0;  // keys of the path that were entered
  bool is_next_;        // the next value is at the next key of the path
  std::string key_;
  std::vector<OrderedJson*> open_;  // containers of the value
  OrderedJson value_;
};

}  // namespace

OrderedJson ordered_value(std::string_view text, const std::vector<std::string_view>& path) {
  PathReader reader(path);
  OrderedJson::sax_parse(text, &reader);
  return reader.take();
}

}  // namespace lapidary
