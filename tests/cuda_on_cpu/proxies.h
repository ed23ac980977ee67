// Shared memory as the asynchronous proxy (bulk copies, wgmma) sees it: what threads have written
// shows there only behind a proxy fence; what bulk copies write shows in both. Kept for dynamic
// shared memory, where alone bulk copies and wgmma may work.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_on_cpu {

// The 32-bit address of a place in dynamic shared memory.
uint32_t shared_address(const void* place);

// n bytes at such an address, as the asynchronous proxy sees them.
const unsigned char* async_view(uint32_t address, size_t n);

// fence.proxy.async: what has been written until now, by whomever, shows.
void proxy_fence();

// A bulk copy of n bytes will come to `to`: what threads wrote there must be behind a fence.
void expect_async_write(const void* to, size_t n);
// By a bulk copy.
void async_write(void* to, const void* from, size_t n);

void begin_proxies();  // of a block

}  // namespace cuda_on_cpu
