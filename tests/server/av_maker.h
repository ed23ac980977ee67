// Audio and video files for tests, written by FFmpeg's encoders into memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lapidary {

// `samples`: one channel, repeated in each. Names as FFmpeg has them. Empty: this FFmpeg has no
// such encoder.
std::vector<uint8_t> make_audio_file(const std::string& muxer, const std::string& encoder,
                                     const std::vector<float>& samples, int rate, int channels);

// Frame i is of one gray, the luma value `lumas[i]`.
std::vector<uint8_t> make_video_file(const std::string& muxer, const std::string& encoder,
                                     int width, int height, int fps,
                                     const std::vector<uint8_t>& lumas);

}  // namespace lapidary
