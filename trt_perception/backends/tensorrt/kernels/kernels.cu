// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
//
// The GPU's side of the device pipeline: which thread does what. What is computed is in the headers. All of it also
// compiles as host C++, which is how it is tested without a GPU.

#include "candidates.h"
#include "sampling.h"
#include "selection.h"

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

// The candidates that are kept, sorted by score.
struct Sorted {
  Box boxes[MOST_SELECTED];
  float scores[MOST_SELECTED];
  int class_indices[MOST_SELECTED];
};

// For each row of `sorted` a mask of the later ones that it would suppress. Each warp takes a row at a time, each of
// its lanes one of 32 pairs.
__device__ void fill_masks(const Selection& selection, const Sorted& sorted, int total) {
  const int lane = threadIdx.x % LANES, words = (total + MASK_BITS - 1) / MASK_BITS;
  const bool agnostic = selection.settings->class_agnostic != 0;
  const float threshold = selection.settings->iou_threshold;
  for (int row = threadIdx.x / LANES; row < total; row += MOST_SELECTED / LANES) {
    const Box box = sorted.boxes[row];
    const int class_index = sorted.class_indices[row];
    for (int word = row / MASK_BITS; word < words; ++word) {
      const int column = word * MASK_BITS + lane;
      const bool gone = column > row && column < total &&
                        suppresses(box, sorted.boxes[column],
                                   agnostic || class_index == sorted.class_indices[column], threshold);
      const u32 mask = __ballot_sync(ALL_LANES, gone);
      if (lane == 0) {
        selection.masks[row * MASK_WORDS + word] = mask;
      }
    }
  }
}

// Greedy suppression by one warp, 32 rows at a time: lane w holds which rows of word w are gone. Fills `kept`.
__device__ void resolve_masks(const Selection& selection, int total, u32* kept) {
  const int lane = threadIdx.x, words = (total + MASK_BITS - 1) / MASK_BITS;
  u32 gone = 0;
  for (int word = 0; word < words; ++word) {
    const int first = word * MASK_BITS;
    const u32 present = total - first >= MASK_BITS ? ALL_LANES : (1u << (total - first)) - 1u;
    const u32 diagonal = first + lane < total ? selection.masks[(first + lane) * MASK_WORDS + word] : 0u;
    u32 left = present & ~__shfl_sync(ALL_LANES, gone, word);
    u32 stays = 0;
    while (left) {
      const int next = __ffs(left) - 1;
      stays |= 1u << next;
      left &= ~(__shfl_sync(ALL_LANES, diagonal, next) | 1u << next);
    }
    if (lane == 0) {
      kept[word] = stays;
    }
    if (lane > word && lane < words) {
#pragma unroll 8
      for (int row = 0; row < MASK_BITS; ++row) {
        gone |= stays >> row & 1u ? selection.masks[(first + row) * MASK_WORDS + lane] : 0u;
      }
    }
    __syncwarp();
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

// One block of MOST_SELECTED threads.
extern "C" __global__ void __launch_bounds__(1024, 1) select_detections(const Selection selection) {
  __shared__ u64 keys[MOST_SELECTED];
  __shared__ Sorted sorted;
  __shared__ u32 kept[MASK_WORDS];
  __shared__ int shown_of_warp[MASK_WORDS];
  const int me = threadIdx.x, lane = me % LANES, warp = me / LANES;
  const int count = selection.header->count;
  if (count > MOST_SELECTED) {
    if (me == 0) {
      selection.selected->count = 0;
      selection.selected->candidates = count;
      selection.selected->not_finite = 0;
    }
    return;
  }
  Candidate candidate;
  bool wanted = false, finite = true;
  if (me < count) {
    candidate = selection.candidates[me];
    finite = all_finite(candidate);
    wanted = is_wanted(*selection.settings, candidate);
    keys[me] = wanted ? sort_key(candidate) : LAST_KEY;
  }
  const int not_finite = __syncthreads_or(!finite);
  const int total = __syncthreads_count(wanted);
  if (wanted) {
    const int rank = rank_of(keys, count, keys[me]);
    const Box box = {candidate.x_min, candidate.y_min, candidate.x_max, candidate.y_max};
    sorted.boxes[rank] = box;
    sorted.scores[rank] = candidate.score;
    sorted.class_indices[rank] = candidate.class_index;
  }
  __syncthreads();
  if (selection.suppress) {
    fill_masks(selection, sorted, total);
    __syncthreads();
    if (warp == 0) {
      resolve_masks(selection, total, kept);
    }
    __syncthreads();
  }
  Box box = {0.0f, 0.0f, 0.0f, 0.0f};
  const bool shown = me < total && (!selection.suppress || (kept[warp] >> lane & 1u)) &&
                     box_in_image(selection, sorted.boxes[me], &box);
  const u32 shown_lanes = __ballot_sync(ALL_LANES, shown);
  if (lane == 0) {
    shown_of_warp[warp] = __popc(shown_lanes);
  }
  __syncthreads();
  int index = __popc(shown_lanes & ((1u << lane) - 1u)), all = 0;
  for (int other = 0; other < MASK_WORDS; ++other) {
    index += other < warp ? shown_of_warp[other] : 0;
    all += shown_of_warp[other];
  }
  const int most = selection.settings->max_detections;
  if (shown && index < most) {
    write_detection(selection.selected, index, box, sorted.scores[me], sorted.class_indices[me]);
  }
  if (me == 0) {
    selection.selected->count = all < most ? all : most;
    selection.selected->candidates = count;
    selection.selected->not_finite = not_finite;
  }
}
