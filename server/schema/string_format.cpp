#include "server/schema/string_format.h"

namespace lapidary {
namespace {

const std::string kYear = "(000[1-9]|00[1-9]\\d|0[1-9]\\d{2}|[1-9]\\d{3})";
const std::string kDate =
    kYear +
    "-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)"
    "|02-(0[1-9]|1\\d|2[0-8]))";
const std::string kClock = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?";
const std::string kZone = "(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
const std::string kByte = "(25[0-5]|2[0-4]\\d|1\\d{2}|[1-9]?\\d)";
const std::string kIpv4 = kByte + "(\\." + kByte + "){3}";
const std::string kGroup = "[0-9a-fA-F]{1,4}";
const std::string kLabel = "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?";

// Eight groups, or fewer around one `::` that stands for two or more.
std::string ipv6() {
  std::string text = "(" + kGroup + "(:" + kGroup + "){7}";
  for (int n_before = 0; n_before <= 6; ++n_before) {
    text += "|";
    if (n_before > 0) {
      text += kGroup + "(:" + kGroup + "){" + std::to_string(n_before - 1) + "}";
    }
    text += "::";
    const int n_after = 6 - n_before;
    if (n_after > 0) {
      text += "(" + kGroup + "(:" + kGroup + "){0," + std::to_string(n_after - 1) + "})?";
    }
  }
  return text + ")";
}

// A scheme and a host, then what is longest: at most 8 + 5 * 33 + 5 + 192 + 65 + 33 characters.
std::string uri(bool is_bounded) {
  return "(https?|ftp)://" + kLabel + "(\\." + kLabel + "){0,4}(:[1-9]\\d{0,3})?" +
         (is_bounded ? "(/[A-Za-z0-9._~+/-]{0,191})?(\\?[A-Za-z0-9._~=&+-]{0,64})?"
                       "(#[A-Za-z0-9._~-]{0,32})?"
                     : "(/[A-Za-z0-9._~+-]*)*(\\?[A-Za-z0-9._~=&+-]*)?(#[A-Za-z0-9._~-]*)?");
}

// Appendix A of RFC 3339: units follow one another without a gap.
std::string duration() {
  const auto units = [](std::string_view letters) {
    std::string text;
    for (auto letter = letters.rbegin(); letter != letters.rend(); ++letter) {
      text = std::string("\\d{1,5}") + *letter + (text.empty() ? "" : "(" + text + ")?");
    }
    return text;
  };
  const std::string time = "T(" + units("HMS") + "|" + units("MS") + "|" + units("S") + ")";
  const std::string date = "(" + units("YMD") + "|" + units("MD") + "|" + units("D") + ")";
  return "P(" + date + "(" + time + ")?|" + time + "|\\d{1,5}W)";
}

}  // namespace

bool is_free_format(std::string_view format) {
  return format == "password" || format == "binary" || format == "path" || format == "file-path" ||
         format == "directory-path";
}

std::optional<std::string> format_pattern(std::string_view format,
                                          std::optional<size_t> max_length) {
  if (format == "date") return kDate;
  if (format == "time") return kClock + kZone;
  if (format == "date-time") return kDate + "T" + kClock + kZone;
  if (format == "uuid") return "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
  if (format.size() == 5 && format.starts_with("uuid") && format[4] >= '1' && format[4] <= '8') {
    return std::string("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-") + format[4] +
           "[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}";
  }
  if (format == "ipv4") return kIpv4;
  if (format == "ipv6") return ipv6();
  if (format == "ipvanyaddress") return "(" + kIpv4 + "|" + ipv6() + ")";
  if (format == "email") {
    return "[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,31})?@" + kLabel + "(\\." + kLabel +
           "){0,2}\\.[A-Za-z]{2,12}";
  }
  if (format == "uri" || format == "uri-reference") return uri(max_length.value_or(0) >= 512);
  if (format == "hostname") return kLabel + "(\\." + kLabel + "){0,4}";
  if (format == "duration") return duration();
  if (format == "byte" || format == "base64") {
    return "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?";
  }
  return std::nullopt;
}

}  // namespace lapidary
