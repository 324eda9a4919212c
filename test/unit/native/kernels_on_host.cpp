// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
//
// The kernels' arithmetic as a shared library for tests: kernels.cu's threads become loops.

#include "candidates.h"
#include "sampling.h"

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

}  // namespace

extern "C" int size_of_sampling() { return sizeof(Sampling); }
extern "C" int size_of_decoding() { return sizeof(Decoding); }
extern "C" int size_of_candidate() { return sizeof(Candidate); }
extern "C" int size_of_header() { return sizeof(CandidateHeader); }
extern "C" int size_of_settings() { return sizeof(FrameSettings); }

extern "C" void preprocess_packed1(const Sampling* sampling) { preprocess_all<PACKED1>(*sampling); }
extern "C" void preprocess_packed3(const Sampling* sampling) { preprocess_all<PACKED3>(*sampling); }
extern "C" void preprocess_packed4(const Sampling* sampling) { preprocess_all<PACKED4>(*sampling); }
extern "C" void preprocess_uyvy(const Sampling* sampling) { preprocess_all<UYVY>(*sampling); }
extern "C" void preprocess_yuyv(const Sampling* sampling) { preprocess_all<YUYV>(*sampling); }
extern "C" void preprocess_nv12(const Sampling* sampling) { preprocess_all<NV12>(*sampling); }
extern "C" void preprocess_nv21(const Sampling* sampling) { preprocess_all<NV21>(*sampling); }

extern "C" void decode_float32(const Decoding* decoding) { decode_all<float>(*decoding); }
extern "C" void decode_float16(const Decoding* decoding) { decode_all<Half>(*decoding); }

extern "C" unsigned short half_from_float(float value) { return to_half(value).bits; }
extern "C" float float_from_half(unsigned short bits) {
  Half half;
  half.bits = bits;
  return to_float(half);
}
