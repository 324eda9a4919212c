// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
// The kernels of the device pipeline: they assign the work to threads; the headers hold the computations. All of it
// also compiles as host C++, for tests without a GPU.

#include "candidates.h"
#include "sampling.h"
#include "selection.h"

using namespace trt_perception;

namespace {

const unsigned int ALL_LANES = 0xffffffffu;
const int LANES = 32;

template <int LAYOUT, bool FILTERED>
__device__ void preprocess(const Sampling& sampling) {
  const int x = (blockIdx.x * blockDim.x + threadIdx.x) * PIXELS_OF_THREAD;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x == 0 && y == 0 && sampling.candidates) {
    sampling.candidates->count = 0;
    sampling.candidates->blocks_done = 0;
  }
  if (x < sampling.network_width && y < sampling.network_height) {
    preprocess_pixels<LAYOUT, FILTERED>(sampling, x, y);
  }
}

__device__ void append(const Decoding& decoding, const Candidate& candidate) {
  // At most one candidate per row: the list has room for all rows and cannot overflow.
  decoding.candidates[atomicAdd(&decoding.header->count, 1)] = candidate;
}

// Number of lanes that search for the best class of one row; a warp searches several rows at once.
const int GROUP_LANES = 8;

// Returns the best result of the lanes of a group.
__device__ Best best_of_group(Best best) {
  for (int distance = GROUP_LANES / 2; distance > 0; distance /= 2) {
    Best other;
    other.score = __shfl_xor_sync(ALL_LANES, best.score, distance);
    other.index = __shfl_xor_sync(ALL_LANES, best.index, distance);
    best = better(best, other);
  }
  return best;
}

// A few lanes test the objectness of one row each. Then each group of lanes reads the classes of one row that passed:
// memory is fast if neighbouring lanes read neighbouring classes. Rows that pass are often neighbours: with one row per
// lane, one warp would do most of the work.
template <typename T>
__device__ void decode_yolov5(const Decoding& decoding) {
  const int lane = threadIdx.x % LANES;
  const int first = (blockIdx.x * blockDim.x + threadIdx.x) / LANES * YOLOV5_ROWS_OF_WARP;
  const bool tests = lane < YOLOV5_ROWS_OF_WARP && first + lane < decoding.rows;
  unsigned int passed = __ballot_sync(ALL_LANES, tests && yolov5_passes<T>(decoding, first + lane));
  while (passed) {
    int row = -1;
    for (int group = 0; group < LANES / GROUP_LANES; ++group) {
      if (group == lane / GROUP_LANES && passed) {
        row = first + __ffs(passed) - 1;
      }
      passed &= passed - 1;
    }
    const int lane_of_group = lane % GROUP_LANES;
    const Best best =
        best_of_group(row < 0 ? no_best() : yolov5_best<T>(decoding, row, lane_of_group, GROUP_LANES));
    Candidate candidate;
    if (row >= 0 && lane_of_group == 0 && yolov5_candidate<T>(decoding, row, best, &candidate)) {
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

// A warp counts how many candidates come before one candidate, and marks those that would suppress it.
__device__ void compare(const Selection& selection, int row, int count) {
  const int lane = threadIdx.x % LANES;
  const FrameSettings& settings = *selection.settings;
  const Candidate candidate = selection.candidates[row];
  const Box box = box_of(candidate);
  const bool wanted = is_wanted(settings, candidate);
  const u64 key = sort_key(candidate);
  int rank = 0;
  u32 mask_of_lane = 0;  // the word whose index is the lane's number
  if (wanted) {
    // Read ahead: otherwise the warp functions make each round wait for its memory.
    Candidate next = selection.candidates[lane < count ? lane : row];
    for (int word = 0; word * MASK_BITS < count; ++word) {
      const Candidate other = next;
      const int number = word * MASK_BITS + lane;
      next = selection.candidates[number + MASK_BITS < count ? number + MASK_BITS : row];
      const bool before = number < count && is_wanted(settings, other) && sort_key(other) < key;
      const bool same_class = settings.class_agnostic || other.class_index == candidate.class_index;
      const u32 mask = __ballot_sync(ALL_LANES, before && selection.suppress &&
                                                    suppresses(box_of(other), box, same_class, settings.iou_threshold));
      rank += __popc(__ballot_sync(ALL_LANES, before));
      mask_of_lane = lane == word ? mask : mask_of_lane;
    }
  }
  Comparisons& comparisons = *selection.comparisons;
  comparisons.masks[lane][row] = mask_of_lane;
  const u32 words = __ballot_sync(ALL_LANES, mask_of_lane != 0);
  if (lane == 0) {
    comparisons.words[row] = words;
    comparisons.ranks[row] = wanted ? rank : NOT_WANTED;
  }
}

// Returns whether this block is the last of `blocks` to finish, so that it may read the results of all.
__device__ bool is_last(const Selection& selection, int blocks) {
  __shared__ bool last;
  __syncthreads();
  if (blocks > 1) {
    if (threadIdx.x == 0) {
      __threadfence();
      last = atomicAdd(&selection.header->blocks_done, 1) == blocks - 1;
      __threadfence();
    }
    __syncthreads();
  }
  return blocks == 1 || last;
}

// Returns whether greedy suppression keeps this thread's candidate. A candidate is removed if a kept one suppresses it,
// and kept if no open one could. The number of rounds is the length of the longest chain.
__device__ bool survives(const Selection& selection, bool open) {
  __shared__ u32 open_words[MASK_WORDS];
  __shared__ u32 kept_words[MASK_WORDS];
  const int me = threadIdx.x, lane = me % LANES, warp = me / LANES;
  const u32 words = open ? selection.comparisons->words[me] : 0u;
  bool kept = false;
  // Each round decides at least the best open candidate. The bound ends the loop even with invalid data.
  for (int round = 0; round < MOST_SELECTED; ++round) {
    const u32 open_lanes = __ballot_sync(ALL_LANES, open), kept_lanes = __ballot_sync(ALL_LANES, kept);
    if (lane == 0) {
      open_words[warp] = open_lanes;
      kept_words[warp] = kept_lanes;
    }
    __syncthreads();
    if (open) {
      u32 gone = 0, waits = 0;
      for (u32 left = words; left; left &= left - 1) {
        const int word = __ffs(left) - 1;
        const u32 mask = selection.comparisons->masks[word][me];
        gone |= mask & kept_words[word];
        waits |= mask & open_words[word];
      }
      kept = !gone && !waits;
      open = !gone && waits;
    }
    if (!__syncthreads_or(open)) {
      break;
    }
  }
  return kept;
}

// Returns the position of this thread's rank among the ranks of the `shown` threads; `*all` is their number.
__device__ int place_of(bool shown, int rank, int* all) {
  __shared__ u32 shown_ranks[MASK_WORDS];
  const int lane = threadIdx.x % LANES;
  if (threadIdx.x < MASK_WORDS) {
    shown_ranks[threadIdx.x] = 0;
  }
  __syncthreads();
  if (shown) {
    atomicOr(&shown_ranks[rank / MASK_BITS], 1u << rank % MASK_BITS);
  }
  __syncthreads();
  const u32 word = shown_ranks[lane];
  int up_to = __popc(word);  // in words 0 .. lane
  for (int distance = 1; distance < LANES; distance *= 2) {
    const int below = __shfl_up_sync(ALL_LANES, up_to, distance);
    up_to += lane >= distance ? below : 0;
  }
  *all = __shfl_sync(ALL_LANES, up_to, LANES - 1);
  const int mine = shown ? rank / MASK_BITS : 0;
  const int before = __shfl_sync(ALL_LANES, up_to - __popc(word), mine);
  const u32 lower = (1u << (shown ? rank % MASK_BITS : 0)) - 1u;
  return before + __popc(__shfl_sync(ALL_LANES, word, mine) & lower);
}

// Makes detections of the comparisons, in one block with one thread per candidate.
__device__ void write_selected(const Selection& selection, int count) {
  // Sort into shared memory first: many small writes over the bus are slow.
  __shared__ Box boxes[MOST_SELECTED];
  __shared__ float scores[MOST_SELECTED];
  __shared__ int class_indices[MOST_SELECTED];
  const int me = threadIdx.x;
  Candidate candidate = {};
  int rank = NOT_WANTED;
  if (me < count) {
    candidate = selection.candidates[me];
    rank = selection.comparisons->ranks[me];
  }
  const int not_finite = __syncthreads_or(me < count && !all_finite(candidate));
  const bool wanted = rank != NOT_WANTED;
  const bool kept = selection.suppress ? survives(selection, wanted) : wanted;
  Box box = {0.0f, 0.0f, 0.0f, 0.0f};
  const bool shown = kept && box_in_image(selection, box_of(candidate), &box);
  int all = 0;
  const int place = place_of(shown, rank, &all);
  const int most = selection.settings->max_detections;
  all = all < most ? all : most;
  if (shown && place < all) {
    boxes[place] = box;
    scores[place] = candidate.score;
    class_indices[place] = candidate.class_index;
  }
  __syncthreads();
  if (me < all) {
    write_detection(selection.selected, me, boxes[me], scores[me], class_indices[me]);
  }
  if (me == 0) {
    selection.selected->count = all;
    selection.selected->candidates = count;
    selection.selected->not_finite = not_finite;
  }
}

}  // namespace

#define PREPROCESS(NAME, LAYOUT)                                                     \
  extern "C" __global__ void preprocess_##NAME(const Sampling sampling) {            \
    preprocess<LAYOUT, false>(sampling);                                             \
  }                                                                                  \
  extern "C" __global__ void preprocess_##NAME##_filtered(const Sampling sampling) { \
    preprocess<LAYOUT, true>(sampling);                                              \
  }

PREPROCESS(packed1, PACKED1)
PREPROCESS(packed3, PACKED3)
PREPROCESS(packed4, PACKED4)
PREPROCESS(uyvy, UYVY)
PREPROCESS(yuyv, YUYV)
PREPROCESS(nv12, NV12)
PREPROCESS(nv21, NV21)

// The blocks must consist of whole warps.
extern "C" __global__ void decode_float32(const Decoding decoding) { decode<float>(decoding); }
extern "C" __global__ void decode_float16(const Decoding decoding) { decode<Half>(decoding); }

// MOST_SELECTED / LANES blocks of MOST_SELECTED threads: one warp for each possible candidate.
extern "C" __global__ void __launch_bounds__(1024, 1) select_detections(const Selection selection) {
  const int count = selection.header->count;
  if (count > MOST_SELECTED) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
      selection.selected->count = 0;
      selection.selected->candidates = count;
      selection.selected->not_finite = 0;
    }
    return;
  }
  const int warps = MOST_SELECTED / LANES, blocks = count > 0 ? (count + warps - 1) / warps : 1;
  if (static_cast<int>(blockIdx.x) >= blocks) {
    return;
  }
  const int row = blockIdx.x * warps + threadIdx.x / LANES;
  if (row < count) {
    compare(selection, row, count);
  }
  if (is_last(selection, blocks)) {
    write_selected(selection, count);
  }
}
