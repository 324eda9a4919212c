// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
// The part of CUDA that kernels.cu uses, on the CPU: kernels.cu itself is compiled and runs thread by thread.
// Each thread of a block is a separate context that runs until it waits for the others of its warp or block. Blocks,
// warps and lanes run in random order, and shared memory holds garbage when a block begins. So code fails if it depends
// on the order, or waits in only one branch. Memory order between processors (__threadfence) is not tested. A block may
// have up to 1024 threads, and whole warps if a warp waits.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(threads, blocks)
#define __shared__ static __attribute__((section("cuda_shared")))

// The linker's names for the start and end of the section.
extern "C" char __start_cuda_shared[] __attribute__((visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((visibility("hidden")));

namespace cuda_on_host {

const int LANES = 32, MOST_THREADS = 1024, MOST_WARPS = MOST_THREADS / LANES;
const size_t STACK_BYTES = 1 << 16;

struct Index {
  unsigned int x, y, z;
};

enum State { READY, AT_WARP, AT_BLOCK, DONE };

struct Thread {
  ucontext_t start;
  jmp_buf place;
  State state;
  bool begun;
  Index index;
  const char* waits_in;  // name of the function, equal for all threads that wait together
  uint64_t given;
};

struct Machine {
  Thread threads[MOST_THREADS];
  uint64_t taken[MOST_WARPS][LANES];  // values that the lanes passed to the last function of their warp
  uint64_t taken_by_block;            // sum of the values that the threads passed to the last barrier
  jmp_buf scheduler;
  int current, count;
  void (*run)(const void* kernel, const void* argument);
  const void* kernel;
  const void* argument;
  bool made;
  uint64_t random;
};

static Machine machine;
static Index threadIdx, blockIdx, blockDim, gridDim;

inline uint32_t random_number() {
  machine.random ^= machine.random << 13;
  machine.random ^= machine.random >> 7;
  machine.random ^= machine.random << 17;
  return static_cast<uint32_t>(machine.random >> 32);
}

// A random order of 0 .. count - 1.
inline void shuffle(int* order, int count) {
  for (int i = 0; i < count; ++i) {
    const int j = static_cast<int>(random_number() % (i + 1));
    order[i] = order[j];
    order[j] = i;
  }
}

inline void leave(State state) {
  Thread& thread = machine.threads[machine.current];
  thread.state = state;
  if (!_setjmp(thread.place)) {
    _longjmp(machine.scheduler, 1);
  }
}

// A context runs one kernel after the other.
inline void thread_main() {
  for (;;) {
    machine.run(machine.kernel, machine.argument);
    leave(DONE);
  }
}

inline void make_contexts() {
  for (int i = 0; i < MOST_THREADS; ++i) {
    Thread& thread = machine.threads[i];
    getcontext(&thread.start);
    thread.start.uc_stack.ss_sp =
        mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    thread.start.uc_stack.ss_size = STACK_BYTES;
    thread.start.uc_link = nullptr;
    makecontext(&thread.start, thread_main, 0);
    thread.begun = false;
  }
  machine.made = true;
  machine.random = 88172645463325252ull;
}

inline void resume(int index) {
  Thread& thread = machine.threads[index];
  machine.current = index;
  threadIdx = thread.index;
  if (!_setjmp(machine.scheduler)) {
    if (thread.begun) {
      _longjmp(thread.place, 1);
    }
    thread.begun = true;
    setcontext(&thread.start);
  }
}

inline int count_of(int first, int end, State state) {
  int count = 0;
  for (int i = first; i < end; ++i) {
    count += machine.threads[i].state == state;
  }
  return count;
}

// Returns whether the threads first .. end - 1 in state `waiting` wait in the same function.
inline bool together(int first, int end, State waiting) {
  const char* function = nullptr;
  for (int i = first; i < end; ++i) {
    const Thread& thread = machine.threads[i];
    if (thread.state == waiting) {
      if (function && std::strcmp(function, thread.waits_in) != 0) {
        return false;
      }
      function = thread.waits_in;
    }
  }
  return true;
}

// Runs one block; returns nullptr, or an error of the kernel.
inline const char* run_block() {
  std::memset(__start_cuda_shared, 0xcd, __stop_cuda_shared - __start_cuda_shared);
  const int warps = (machine.count + LANES - 1) / LANES;
  for (int i = 0; i < machine.count; ++i) {
    Thread& thread = machine.threads[i];
    thread.state = READY;
    thread.index.x = i % blockDim.x;
    thread.index.y = i / blockDim.x;
    thread.index.z = 0;
  }
  while (count_of(0, machine.count, DONE) < machine.count) {
    bool progress = false;
    int warp_order[MOST_WARPS], lane_order[LANES];
    shuffle(warp_order, warps);
    for (int w = 0; w < warps; ++w) {
      const int first = warp_order[w] * LANES, end = std::min(first + LANES, machine.count);
      shuffle(lane_order, end - first);
      for (int l = 0; l < end - first; ++l) {
        const int index = first + lane_order[l];
        if (machine.threads[index].state == READY) {
          progress = true;
          resume(index);
        }
      }
      const int waiting = count_of(first, end, AT_WARP);
      if (waiting == 0) {
        continue;
      }
      if (waiting < LANES) {
        return "only some lanes of a warp wait for the others";
      }
      if (!together(first, end, AT_WARP)) {
        return "the lanes of a warp wait in different functions";
      }
      for (int i = first; i < end; ++i) {
        machine.taken[warp_order[w]][i - first] = machine.threads[i].given;
        machine.threads[i].state = READY;
      }
      progress = true;
    }
    const int waiting = count_of(0, machine.count, AT_BLOCK);
    if (waiting > 0 && waiting + count_of(0, machine.count, DONE) == machine.count) {
      if (waiting < machine.count) {
        return "threads have ended while others wait for the block";
      }
      if (!together(0, machine.count, AT_BLOCK)) {
        return "the threads of a block wait in different functions";
      }
      machine.taken_by_block = 0;
      for (int i = 0; i < machine.count; ++i) {
        machine.taken_by_block += machine.threads[i].given;
        machine.threads[i].state = READY;
      }
      progress = true;
    }
    if (!progress) {
      return "deadlock: the threads wait for each other";
    }
  }
  return nullptr;
}

template <typename ARGUMENT>
void run_kernel(const void* kernel, const void* argument) {
  (*static_cast<void (*const*)(const ARGUMENT)>(kernel))(*static_cast<const ARGUMENT*>(argument));
}

// Runs a kernel; returns nullptr, or an error of the kernel.
template <typename ARGUMENT>
const char* launch(void (*kernel)(const ARGUMENT), const ARGUMENT& argument, const unsigned int* grid,
                   const unsigned int* block) {
  static int order[1 << 20];
  if (!machine.made) {
    make_contexts();
  }
  gridDim = {grid[0], grid[1], 1};
  blockDim = {block[0], block[1], 1};
  machine.count = static_cast<int>(block[0] * block[1]);
  const int blocks = static_cast<int>(grid[0] * grid[1]);
  if (machine.count > MOST_THREADS || blocks > 1 << 20) {
    return "too many threads or blocks";
  }
  machine.run = run_kernel<ARGUMENT>;
  machine.kernel = &kernel;
  machine.argument = &argument;
  shuffle(order, blocks);
  for (int i = 0; i < blocks; ++i) {
    blockIdx = {order[i] % grid[0], order[i] / grid[0], 0};
    const char* wrong = run_block();
    if (wrong) {
      // Some threads stopped inside the kernel: new contexts are needed.
      machine.made = false;
      return wrong;
    }
  }
  return nullptr;
}

inline const uint64_t* exchange(const char* function, uint64_t given) {
  Thread& thread = machine.threads[machine.current];
  thread.given = given;
  thread.waits_in = function;
  leave(AT_WARP);
  return machine.taken[machine.current / LANES];
}

inline uint64_t gather(const char* function, uint64_t given) {
  Thread& thread = machine.threads[machine.current];
  thread.given = given;
  thread.waits_in = function;
  leave(AT_BLOCK);
  return machine.taken_by_block;
}

inline int my_lane() { return machine.current % LANES; }

template <typename T>
uint64_t pack(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <typename T>
T unpack(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace cuda_on_host

using cuda_on_host::blockDim;
using cuda_on_host::blockIdx;
using cuda_on_host::gridDim;
using cuda_on_host::threadIdx;

inline unsigned int __ballot_sync(unsigned int, bool holds) {
  const uint64_t* given = cuda_on_host::exchange("__ballot_sync", holds);
  unsigned int mask = 0;
  for (int lane = 0; lane < cuda_on_host::LANES; ++lane) {
    mask |= static_cast<unsigned int>(given[lane]) << lane;
  }
  return mask;
}

template <typename T>
T __shfl_sync(unsigned int, T value, int lane) {
  const uint64_t* given = cuda_on_host::exchange("__shfl_sync", cuda_on_host::pack(value));
  return cuda_on_host::unpack<T>(given[lane % cuda_on_host::LANES]);
}

template <typename T>
T __shfl_up_sync(unsigned int, T value, int distance) {
  const uint64_t* given = cuda_on_host::exchange("__shfl_up_sync", cuda_on_host::pack(value));
  const int lane = cuda_on_host::my_lane();
  return cuda_on_host::unpack<T>(given[lane < distance ? lane : lane - distance]);
}

template <typename T>
T __shfl_xor_sync(unsigned int, T value, int mask) {
  const uint64_t* given = cuda_on_host::exchange("__shfl_xor_sync", cuda_on_host::pack(value));
  return cuda_on_host::unpack<T>(given[cuda_on_host::my_lane() ^ mask]);
}

inline void __syncwarp() { cuda_on_host::exchange("__syncwarp", 0); }

inline void __syncthreads() { cuda_on_host::gather("__syncthreads", 0); }

inline int __syncthreads_or(bool holds) { return cuda_on_host::gather("__syncthreads_or", holds) != 0; }

inline int __syncthreads_count(bool holds) {
  return static_cast<int>(cuda_on_host::gather("__syncthreads_count", holds));
}

inline void __threadfence() {}

inline int __ffs(unsigned int value) { return __builtin_ffs(static_cast<int>(value)); }

inline int __popc(unsigned int value) { return __builtin_popcount(value); }

template <typename T>
T atomicAdd(T* place, T value) {
  const T before = *place;
  *place = before + value;
  return before;
}

template <typename T>
T atomicOr(T* place, T value) {
  const T before = *place;
  *place = before | value;
  return before;
}
