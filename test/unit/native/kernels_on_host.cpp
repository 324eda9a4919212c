// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
//
// The kernels' arithmetic as a shared library for tests: kernels.cu's threads become loops.

#include "candidates.h"
#include "sampling.h"
#include "selection.h"

using namespace trt_perception;

namespace {

template <int LAYOUT>
void preprocess_all(const Sampling& sampling) {
  for (int y = 0; y < sampling.network_height; ++y) {
    for (int x = 0; x < sampling.network_width; ++x) {
      preprocess_pixel<LAYOUT>(sampling, x, y);
    }
  }
  if (sampling.counter) {
    *sampling.counter = 0;
  }
}

void append(const Decoding& decoding, const Candidate& candidate) {
  decoding.candidates[decoding.header->count++] = candidate;
}

// Rows from the last to the first: on the GPU they come in any order.
template <typename T>
void decode_all(const Decoding& decoding) {
  const int LANES = 32;
  for (int row = decoding.rows - 1; row >= 0; --row) {
    Candidate candidate;
    bool found = false;
    if (decoding.kind == YOLOV5) {
      if (yolov5_passes<T>(decoding, row)) {
        Best best = no_best();
        for (int lane = LANES - 1; lane >= 0; --lane) {
          best = better(best, yolov5_best<T>(decoding, row, lane, LANES));
        }
        found = yolov5_candidate<T>(decoding, row, best, &candidate);
      }
    } else if (decoding.kind == END_TO_END) {
      found = end_to_end_candidate<T>(decoding, row, &candidate);
    } else {
      found = yolov8_candidate<T>(decoding, row, &candidate);
    }
    if (found) {
      append(decoding, candidate);
    }
  }
}

Box box_of(const Candidate& candidate) {
  const Box box = {candidate.x_min, candidate.y_min, candidate.x_max, candidate.y_max};
  return box;
}

void select_all(const Selection& selection) {
  static Candidate sorted[MOST_SELECTED];
  static u64 keys[MOST_SELECTED];
  static bool gone[MOST_SELECTED];
  const FrameSettings& settings = *selection.settings;
  Selected& selected = *selection.selected;
  selected.candidates = selection.header->count;
  selected.count = selected.not_finite = 0;
  if (selected.candidates > MOST_SELECTED) {
    return;
  }
  int total = 0;
  for (int i = 0; i < selected.candidates; ++i) {
    const Candidate& candidate = selection.candidates[i];
    selected.not_finite |= !all_finite(candidate);
    const bool wanted = is_wanted(settings, candidate);
    keys[i] = wanted ? sort_key(candidate) : LAST_KEY;
    total += wanted;
  }
  for (int i = 0; i < selected.candidates; ++i) {
    if (keys[i] != LAST_KEY) {
      sorted[rank_of(keys, selected.candidates, keys[i])] = selection.candidates[i];
    }
    gone[i] = false;
  }
  for (int i = 0; i < total; ++i) {
    for (int j = i + 1; selection.suppress && !gone[i] && j < total; ++j) {
      const bool comparable = settings.class_agnostic || sorted[i].class_index == sorted[j].class_index;
      gone[j] = gone[j] || suppresses(box_of(sorted[i]), box_of(sorted[j]), comparable, settings.iou_threshold);
    }
    Box box;
    if (!gone[i] && box_in_image(selection, box_of(sorted[i]), &box) && selected.count < settings.max_detections) {
      write_detection(&selected, selected.count++, box, sorted[i].score, sorted[i].class_index);
    }
  }
}

}  // namespace

extern "C" int size_of_sampling() { return sizeof(Sampling); }
extern "C" int size_of_decoding() { return sizeof(Decoding); }
extern "C" int size_of_candidate() { return sizeof(Candidate); }
extern "C" int size_of_header() { return sizeof(CandidateHeader); }
extern "C" int size_of_settings() { return sizeof(FrameSettings); }
extern "C" int size_of_selection() { return sizeof(Selection); }
extern "C" int size_of_selected() { return sizeof(Selected); }

extern "C" void preprocess_packed1(const Sampling* sampling) { preprocess_all<PACKED1>(*sampling); }
extern "C" void preprocess_packed3(const Sampling* sampling) { preprocess_all<PACKED3>(*sampling); }
extern "C" void preprocess_packed4(const Sampling* sampling) { preprocess_all<PACKED4>(*sampling); }
extern "C" void preprocess_uyvy(const Sampling* sampling) { preprocess_all<UYVY>(*sampling); }
extern "C" void preprocess_yuyv(const Sampling* sampling) { preprocess_all<YUYV>(*sampling); }
extern "C" void preprocess_nv12(const Sampling* sampling) { preprocess_all<NV12>(*sampling); }
extern "C" void preprocess_nv21(const Sampling* sampling) { preprocess_all<NV21>(*sampling); }

extern "C" void decode_float32(const Decoding* decoding) { decode_all<float>(*decoding); }
extern "C" void decode_float16(const Decoding* decoding) { decode_all<Half>(*decoding); }
extern "C" void select_detections(const Selection* selection) { select_all(*selection); }

extern "C" unsigned short half_from_float(float value) { return to_half(value).bits; }
extern "C" float float_from_half(unsigned short bits) {
  Half half;
  half.bits = bits;
  return to_float(half);
}
