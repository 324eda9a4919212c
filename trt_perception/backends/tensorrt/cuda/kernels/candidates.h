// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
// Finds the few rows of a YOLO output tensor that may be detections.
#pragma once

#include "numeric.h"

namespace trt_perception {

// The layouts of heads/yolo.py, as Python passes them.
enum HeadKind { YOLOV5 = 0, YOLOV8 = 1, YOLOV8_TRANSPOSED = 2, END_TO_END = 3 };

// One candidate; the box is in network pixels. 32 bytes, mirrored by candidates.py.
struct alignas(16) Candidate {
  float x_min;
  float y_min;
  float x_max;
  float y_max;
  float score;
  int class_index;
  int row;  // of the output tensor; threads append in any order, and at equal scores the lower row comes first
  int reserved;
};

// The header before the candidates.
struct alignas(16) CandidateHeader {
  int count;
  int blocks_done;  // by the selection kernel
  int reserved[6];
};

// Words of the class filter, one bit per class.
const int CLASS_WORDS = 128;

// Settings that may change from frame to frame without a new capture; uploaded after a change. Mirrored by
// candidates.py.
struct FrameSettings {
  float output_threshold;  // the score threshold rounded to the output's type, in which NumPy compares
  float score_threshold;
  float iou_threshold;
  int class_agnostic;
  int max_detections;
  int filters_classes;  // whether to keep only classes whose bit is set
  int reserved[2];
  u32 classes[CLASS_WORDS];
};

// Arguments that do not change; mirrored by candidates.py, field by field.
struct Decoding {
  const void* output;
  CandidateHeader* header;
  Candidate* candidates;  // room for `rows`
  const FrameSettings* settings;
  int rows;
  int classes;
  int kind;          // HeadKind
  int element_type;  // ElementType
};

// Number of rows of a YOLOv5 output that a warp decodes; mirrored by candidates.py.
const int YOLOV5_ROWS_OF_WARP = 8;

struct Best {
  float score;
  int index;
};

TRT_PERCEPTION_HD Best no_best() {
  Best none;
  none.score = 0.0f;
  none.index = -1;
  return none;
}

// Returns the better of two, as NumPy's argmax: NaN first, then the higher score, then the lower index.
TRT_PERCEPTION_HD Best better(const Best& a, const Best& b) {
  if (a.index < 0 || b.index < 0) {
    return a.index < 0 ? b : a;
  }
  const bool a_nan = is_nan(a.score), b_nan = is_nan(b.score);
  if (a_nan != b_nan) {
    return a_nan ? a : b;
  }
  if (a_nan || a.score == b.score) {
    return a.index < b.index ? a : b;
  }
  return a.score > b.score ? a : b;
}

// Returns the best class among first, first + step, ...; two classes are `stride` elements apart.
template <typename T>
TRT_PERCEPTION_HD Best best_class(const T* scores, long long stride, int classes, int first, int step) {
  Best best = no_best();
  for (int index = first; index < classes; index += step) {
    Best next;
    next.score = to_float(scores[index * stride]);
    next.index = index;
    best = better(best, next);
  }
  return best;
}

// Converts cx, cy, w, h (`stride` elements apart) to corners.
template <typename T>
TRT_PERCEPTION_HD Candidate centred(const T* box, long long stride, float score, int class_index, int row) {
  const float x = to_float(box[0]), y = to_float(box[stride]);
  const float half_width = to_float(box[2 * stride]) / 2.0f, half_height = to_float(box[3 * stride]) / 2.0f;
  Candidate candidate;
  candidate.x_min = x - half_width;
  candidate.y_min = y - half_height;
  candidate.x_max = x + half_width;
  candidate.y_max = y + half_height;
  candidate.score = score;
  candidate.class_index = class_index;
  candidate.row = row;
  candidate.reserved = 0;
  return candidate;
}

// YOLOv5's first test: score = objectness * class <= objectness, so one comparison rejects most rows. Here and below
// NaN passes, so that a network that overflows is reported later.
template <typename T>
TRT_PERCEPTION_HD bool yolov5_passes(const Decoding& decoding, int row) {
  const T* values = static_cast<const T*>(decoding.output) + static_cast<long long>(row) * (5 + decoding.classes);
  return !(to_float(values[4]) < decoding.settings->output_threshold);
}

// Returns the best class of a row among those that one of `lanes` lanes searches.
template <typename T>
TRT_PERCEPTION_HD Best yolov5_best(const Decoding& decoding, int row, int lane, int lanes) {
  const T* values = static_cast<const T*>(decoding.output) + static_cast<long long>(row) * (5 + decoding.classes);
  return best_class(values + 5, 1, decoding.classes, lane, lanes);
}

// Writes the row to `candidate`; returns whether it is one.
template <typename T>
TRT_PERCEPTION_HD bool yolov5_candidate(const Decoding& decoding, int row, const Best& best, Candidate* candidate) {
  const T* values = static_cast<const T*>(decoding.output) + static_cast<long long>(row) * (5 + decoding.classes);
  const float score = multiply(to_float(values[4]), best.score);
  *candidate = centred(values, 1, score, best.index, row);
  return !(score < decoding.settings->score_threshold);
}

template <typename T>
TRT_PERCEPTION_HD bool yolov8_candidate(const Decoding& decoding, int row, Candidate* candidate) {
  const T* values = static_cast<const T*>(decoding.output);
  const bool transposed = decoding.kind == YOLOV8_TRANSPOSED;
  const long long stride = transposed ? 1 : decoding.rows;
  values += transposed ? static_cast<long long>(row) * (4 + decoding.classes) : row;
  const Best best = best_class(values + 4 * stride, stride, decoding.classes, 0, 1);
  if (best.score < decoding.settings->output_threshold) {
    return false;
  }
  *candidate = centred(values, stride, best.score, best.index, row);
  return true;
}

// Rounds ties to even, as np.rint; `value` must not be negative.
TRT_PERCEPTION_HD int round_to_even(float value) {
  const int whole = static_cast<int>(value);
  const float rest = value - static_cast<float>(whole);
  return whole + ((rest > 0.5f || (rest == 0.5f && (whole & 1))) ? 1 : 0);
}

template <typename T>
TRT_PERCEPTION_HD bool end_to_end_candidate(const Decoding& decoding, int row, Candidate* candidate) {
  const T* values = static_cast<const T*>(decoding.output) + static_cast<long long>(row) * 6;
  const float score = to_float(values[4]), class_index = to_float(values[5]);
  if (score < decoding.settings->output_threshold) {
    return false;
  }
  bool finite = is_finite(score) && is_finite(class_index);
  for (int i = 0; i < 4; ++i) {
    finite = finite && is_finite(to_float(values[i]));
  }
  // Some exporters fill unused rows with zeros or with class -1.
  if (finite && !(score > 0.0f && class_index >= 0.0f)) {
    return false;
  }
  candidate->x_min = to_float(values[0]);
  candidate->y_min = to_float(values[1]);
  candidate->x_max = to_float(values[2]);
  candidate->y_max = to_float(values[3]);
  // A value that is not finite must stay visible, but the conversion of the class to int would lose it.
  candidate->score = finite ? score : float_of(0x7fc00000u);
  candidate->class_index = finite ? round_to_even(class_index) : 0;
  candidate->row = row;
  candidate->reserved = 0;
  return true;
}

}  // namespace trt_perception
