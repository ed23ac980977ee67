// The list of bugs that the runtime must catch.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace planted {

enum class Needs { nothing, address_sanitizer, undefined_sanitizer, thread_sanitizer };

struct PlantedBug {
  std::string name;
  Needs needs = Needs::nothing;
  // Runs the kernel, with its bug or without; whether what it wrote is right.
  std::function<bool(bool planted)> run;
};

std::vector<PlantedBug> planted_bugs();
std::vector<PlantedBug> planted_hopper_bugs();

}  // namespace planted
