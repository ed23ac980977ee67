// Work under way beside a block's threads: copies whose end an mbarrier tells. It is done at once
// or, in a schedule with late copies, only when no thread can go on without; then in any order. In
// random orders some are late, others not.
#pragma once

#include <functional>

namespace cuda_on_cpu {

constexpr unsigned kNobody = ~0U;

// `owner`: the thread that finish_background() is to find it by.
void in_background(unsigned owner, std::function<void()> work);

// Does what is under way for this thread.
void finish_background(unsigned owner);
bool has_background(unsigned owner);

// Called by the block alone.
void begin_background();
bool advance_background();  // does one piece of work; false: there is none
void end_background();

}  // namespace cuda_on_cpu
