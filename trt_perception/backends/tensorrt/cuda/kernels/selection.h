// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
// Makes detections of candidates: order, non-maximum suppression, image pixels. The arithmetic is that of
// YoloHead.select (heads/yolo.py) on the host.
#pragma once

#include "candidates.h"

namespace trt_perception {

// With more candidates than this, the host selects.
const int MOST_SELECTED = 1024;
const int MASK_BITS = 32;
const int MASK_WORDS = MOST_SELECTED / MASK_BITS;
const int NOT_WANTED = -1;

// The result for the host, in page-locked memory that the kernel writes. Mirrored by selection.py.
struct Selected {
  int count;       // of the detections that follow, the highest score first
  int candidates;  // number of candidates; more than MOST_SELECTED: nothing was selected
  int not_finite;  // whether a candidate was not finite
  int reserved[5];
  float boxes[MOST_SELECTED][4];  // x_min, y_min, x_max, y_max in image pixels
  float scores[MOST_SELECTED];
  long long class_indices[MOST_SELECTED];
};

// The results of each candidate's warp; mirrored by selection.py.
struct Comparisons {
  u32 masks[MASK_WORDS][MOST_SELECTED];  // [word][candidate]: one bit per other candidate, set if that suppresses it
  u32 words[MOST_SELECTED];              // for each candidate: which words of its masks are not 0
  int ranks[MOST_SELECTED];              // number of candidates before it, NOT_WANTED if it is not wanted
};

// Arguments that do not change; mirrored by selection.py, field by field.
// For x and y: image = (network - target) / scale + crop.
struct Selection {
  CandidateHeader* header;
  const Candidate* candidates;
  const FrameSettings* settings;
  Comparisons* comparisons;
  Selected* selected;
  double target[2];
  double scale[2];
  double crop[2];
  double limit[2];  // width and height of the image
  int suppress;     // 0 for heads whose network suppresses
  int reserved;
};

struct Box {
  float x_min;
  float y_min;
  float x_max;
  float y_max;
};

TRT_PERCEPTION_HD Box box_of(const Candidate& candidate) {
  const Box box = {candidate.x_min, candidate.y_min, candidate.x_max, candidate.y_max};
  return box;
}

TRT_PERCEPTION_HD bool all_finite(const Candidate& candidate) {
  return is_finite(candidate.x_min) && is_finite(candidate.y_min) && is_finite(candidate.x_max) &&
         is_finite(candidate.y_max) && is_finite(candidate.score);
}

// Scores of 0 are left out, as cv::dnn::NMSBoxes does.
TRT_PERCEPTION_HD bool is_wanted(const FrameSettings& settings, const Candidate& candidate) {
  if (!(candidate.score > 0.0f)) {
    return false;
  }
  if (!settings.filters_classes) {
    return true;
  }
  const int word = candidate.class_index / MASK_BITS;
  return candidate.class_index >= 0 && word < CLASS_WORDS &&
         (settings.classes[word] >> (candidate.class_index % MASK_BITS) & 1u);
}

// Ascending keys mean descending scores, and ascending rows at equal scores: no two keys are equal.
TRT_PERCEPTION_HD u64 sort_key(const Candidate& candidate) {
  return static_cast<u64>(~bits_of(candidate.score)) << 32 | static_cast<u32>(candidate.row);
}

TRT_PERCEPTION_HD float smaller(float a, float b) { return a < b ? a : b; }

TRT_PERCEPTION_HD float larger(float a, float b) { return a < b ? b : a; }

TRT_PERCEPTION_HD double side(float low, float high) {
  return high > low ? add(static_cast<double>(high), -static_cast<double>(low)) : 0.0;
}

TRT_PERCEPTION_HD double area(const Box& box) {
  return multiply(side(box.x_min, box.x_max), side(box.y_min, box.y_max));
}

TRT_PERCEPTION_HD bool is_tiny(const Box& box) {
  return !(box.x_max - box.x_min > 1e-6f && box.y_max - box.y_min > 1e-6f);
}

// Returns the length of the overlap of two overlapping intervals, computed as in cv::Rect_.
TRT_PERCEPTION_HD double common_side(float a_low, float a_high, float b_low, float b_high) {
  const double a_side = side(a_low, a_high), b_side = side(b_low, b_high);
  const double shift = a_low < b_low ? side(a_low, b_low) : side(b_low, a_low);
  const double rest = add(a_low < b_low ? a_side : b_side, -shift);
  const double other = a_low < b_low ? b_side : a_side;
  return rest < other ? rest : other;
}

// Returns whether `a` suppresses `b`, as in cv::dnn::NMSBoxes: cv::jaccardDistance in double, comparison in float.
TRT_PERCEPTION_HD bool suppresses_exactly(const Box& a, const Box& b, bool overlap, float threshold) {
  const double SMALLEST_AREA = 2.220446049250313e-16;  // sum of both areas; below it OpenCV assumes full overlap
  const double both = add(area(a), area(b));
  if (both <= SMALLEST_AREA) {
    return threshold < 1.0f;
  }
  if (!overlap) {
    return false;
  }
  const double common = multiply(
      common_side(a.x_min, a.x_max, b.x_min, b.x_max), common_side(a.y_min, a.y_max, b.y_min, b.y_max));
  const double distance = add(1.0, -(common / add(both, -common)));
  return !(add(1.0f, -static_cast<float>(distance)) <= threshold);
}

// The same, but with double only if float cannot decide: a GPU has few double units.
TRT_PERCEPTION_HD bool suppresses(const Box& a, const Box& b, bool same_class, float threshold) {
  // MARGIN is many times the rounding error of the terms below. Sizes outside float's range are decided in double.
  const float MARGIN = 1e-5f, SMALLEST = 1e-20f, LARGEST = 1e30f;
  const float a_width = a.x_max - a.x_min, a_height = a.y_max - a.y_min;
  const float b_width = b.x_max - b.x_min, b_height = b.y_max - b.y_min;
  const bool overlap = same_class && a_width > 0.0f && a_height > 0.0f && b_width > 0.0f && b_height > 0.0f &&
                       a.x_min < b.x_max && b.x_min < a.x_max && a.y_min < b.y_max && b.y_min < a.y_max;
  if (!overlap) {
    const bool may_be_nothing = same_class && is_tiny(a) && is_tiny(b);
    return may_be_nothing && suppresses_exactly(a, b, false, threshold);
  }
  const float width = smaller(a.x_max, b.x_max) - larger(a.x_min, b.x_min);
  const float height = smaller(a.y_max, b.y_max) - larger(a.y_min, b.y_min);
  const float common = width * height;
  const float all = a_width * a_height + b_width * b_height - common;
  const float excess = common - threshold * all;
  if (all > SMALLEST && all < LARGEST && (excess > MARGIN * all || excess < -MARGIN * all)) {
    return excess > 0.0f;
  }
  return suppresses_exactly(a, b, true, threshold);
}

TRT_PERCEPTION_HD double to_image(const Selection& selection, int axis, float value) {
  const double position =
      add(add(static_cast<double>(value), -selection.target[axis]) / selection.scale[axis], selection.crop[axis]);
  const double low = position > 0.0 ? position : 0.0;
  return low < selection.limit[axis] ? low : selection.limit[axis];
}

// Converts the box to image pixels and clips it; returns false if it lies outside the image.
TRT_PERCEPTION_HD bool box_in_image(const Selection& selection, const Box& box, Box* result) {
  const double x_min = to_image(selection, 0, box.x_min), y_min = to_image(selection, 1, box.y_min);
  const double x_max = to_image(selection, 0, box.x_max), y_max = to_image(selection, 1, box.y_max);
  result->x_min = static_cast<float>(x_min);
  result->y_min = static_cast<float>(y_min);
  result->x_max = static_cast<float>(x_max);
  result->y_max = static_cast<float>(y_max);
  return x_max > x_min && y_max > y_min;
}

TRT_PERCEPTION_HD void write_detection(Selected* selected, int index, const Box& box, float score, int class_index) {
  float* target = selected->boxes[index];
  target[0] = box.x_min;
  target[1] = box.y_min;
  target[2] = box.x_max;
  target[3] = box.y_max;
  selected->scores[index] = score;
  selected->class_indices[index] = class_index;
}

}  // namespace trt_perception
