// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
//
// The GPU's side of the device pipeline: which thread does what. What is computed is in the headers, which also
// compile as host C++.

#include "candidates.h"
#include "sampling.h"

using namespace trt_perception;

namespace {

const unsigned int ALL_LANES = 0xffffffffu;
const int LANES = 32;

template <int LAYOUT>
__device__ void preprocess(const Sampling& sampling) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x == 0 && y == 0 && sampling.counter) {
    *sampling.counter = 0;
  }
  if (x < sampling.network_width && y < sampling.network_height) {
    preprocess_pixel<LAYOUT>(sampling, x, y);
  }
}

__device__ void append(const Decoding& decoding, const Candidate& candidate) {
  // At most one candidate a row: the list, which has room for all rows, cannot overflow.
  decoding.candidates[atomicAdd(&decoding.header->count, 1)] = candidate;
}

__device__ Best best_of_warp(Best best) {
  for (int distance = LANES / 2; distance > 0; distance /= 2) {
    Best other;
    other.score = __shfl_xor_sync(ALL_LANES, best.score, distance);
    other.index = __shfl_xor_sync(ALL_LANES, best.index, distance);
    best = better(best, other);
  }
  return best;
}

// Each lane tests the objectness of its row; the whole warp then reads the classes of each row that passed, since
// neighbouring lanes reading neighbouring classes is what memory is fast at.
template <typename T>
__device__ void decode_yolov5(const Decoding& decoding) {
  const int lane = threadIdx.x % LANES;
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned int passed = __ballot_sync(ALL_LANES, row < decoding.rows && yolov5_passes<T>(decoding, row));
  while (passed) {
    const int next = __ffs(passed) - 1;
    passed &= passed - 1;
    const int passed_row = row - lane + next;
    const Best best = best_of_warp(yolov5_best<T>(decoding, passed_row, lane, LANES));
    Candidate candidate;
    if (lane == 0 && yolov5_candidate<T>(decoding, passed_row, best, &candidate)) {
      append(decoding, candidate);
    }
  }
}

template <typename T>
__device__ void decode(const Decoding& decoding) {
  if (decoding.kind == YOLOV5) {
    decode_yolov5<T>(decoding);
    return;
  }
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= decoding.rows) {
    return;
  }
  Candidate candidate;
  const bool found = decoding.kind == END_TO_END ? end_to_end_candidate<T>(decoding, row, &candidate)
                                                 : yolov8_candidate<T>(decoding, row, &candidate);
  if (found) {
    append(decoding, candidate);
  }
}

}  // namespace

#define PREPROCESS(NAME, LAYOUT)                                              \
  extern "C" __global__ void preprocess_##NAME(const Sampling sampling) {     \
    preprocess<LAYOUT>(sampling);                                             \
  }

PREPROCESS(packed1, PACKED1)
PREPROCESS(packed3, PACKED3)
PREPROCESS(packed4, PACKED4)
PREPROCESS(uyvy, UYVY)
PREPROCESS(yuyv, YUYV)
PREPROCESS(nv12, NV12)
PREPROCESS(nv21, NV21)

// Blocks of whole warps.
extern "C" __global__ void decode_float32(const Decoding decoding) { decode<float>(decoding); }
extern "C" __global__ void decode_float16(const Decoding decoding) { decode<Half>(decoding); }
