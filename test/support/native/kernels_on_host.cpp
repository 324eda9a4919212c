// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
//
// kernels.cu as a shared library for tests.

#include "cuda_on_host.h"
#include "kernels.cu"

using namespace trt_perception;

extern "C" int size_of_sampling() { return sizeof(Sampling); }
extern "C" int size_of_span() { return sizeof(Span); }
extern "C" int size_of_decoding() { return sizeof(Decoding); }
extern "C" int size_of_candidate() { return sizeof(Candidate); }
extern "C" int size_of_header() { return sizeof(CandidateHeader); }
extern "C" int size_of_settings() { return sizeof(FrameSettings); }
extern "C" int size_of_selection() { return sizeof(Selection); }
extern "C" int size_of_comparisons() { return sizeof(Comparisons); }
extern "C" int size_of_selected() { return sizeof(Selected); }

#define LAUNCH(KERNEL, ARGUMENT)                                                                  \
  extern "C" const char* launch_##KERNEL(const ARGUMENT* argument, const unsigned int* grid,      \
                                         const unsigned int* block) {                             \
    return cuda_on_host::launch<ARGUMENT>(KERNEL, *argument, grid, block);                        \
  }

LAUNCH(preprocess_packed1, Sampling)
LAUNCH(preprocess_packed1_filtered, Sampling)
LAUNCH(preprocess_packed3, Sampling)
LAUNCH(preprocess_packed3_filtered, Sampling)
LAUNCH(preprocess_packed4, Sampling)
LAUNCH(preprocess_packed4_filtered, Sampling)
LAUNCH(preprocess_uyvy, Sampling)
LAUNCH(preprocess_uyvy_filtered, Sampling)
LAUNCH(preprocess_yuyv, Sampling)
LAUNCH(preprocess_yuyv_filtered, Sampling)
LAUNCH(preprocess_nv12, Sampling)
LAUNCH(preprocess_nv12_filtered, Sampling)
LAUNCH(preprocess_nv21, Sampling)
LAUNCH(preprocess_nv21_filtered, Sampling)
LAUNCH(decode_float32, Decoding)
LAUNCH(decode_float16, Decoding)
LAUNCH(select_detections, Selection)

extern "C" unsigned short half_from_float(float value) { return to_half(value).bits; }
extern "C" float float_from_half(unsigned short bits) {
  Half half;
  half.bits = bits;
  return to_float(half);
}
