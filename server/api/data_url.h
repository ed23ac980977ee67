// A `data:` URL with base64 in it (RFC 2397, RFC 4648), as clients put files into a request. What
// it says of the type counts for nothing: the bytes do. Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lapidary {

// Strict: the standard alphabet, at most two signs of padding, no white space, no bits left over.
std::optional<std::string> decode_base64(std::string_view text);

// The bytes. Throws ApiError with `path` for any other scheme, for what is no base64, and for no
// bytes at all. Nothing is ever fetched.
std::string data_url_bytes(std::string_view url, const std::string& path);

}  // namespace lapidary
