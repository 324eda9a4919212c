// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
// Reads one pixel of a camera's frame and converts it as OpenCV's cvtColor does.
#pragma once

#include "numeric.h"

namespace trt_perception {

// The memory layouts of the incoming frame, as Python passes them. Sampling (sampling.h) defines the colour order of a
// packed layout.
enum SourceLayout { PACKED1 = 0, PACKED3 = 1, PACKED4 = 2, UYVY = 3, YUYV = 4, NV12 = 5, NV21 = 6 };

// One frame in device memory; two rows are `step` bytes apart. The chroma of NV12 and NV21 follows
// the luma's `height` rows, in rows of the same step.
struct Source {
  const u8* data;
  int width;
  int height;
  int step;
};

// Up to three channels, in the source's order; YUV becomes blue, green, red; PACKED1 uses only the first.
struct Pixel {
  int channel[3];
};

// BT.601, limited range, with OpenCV's fixed-point coefficients of 20 bits (modules/imgproc/src/color_yuv).
TRT_PERCEPTION_HD Pixel yuv_to_bgr(int y, int u, int v) {
  const int SHIFT = 20;
  const int CY = 1220542, CUB = 2116026, CUG = -409993, CVG = -852492, CVR = 1673527;
  const int luma = (y > 16 ? y - 16 : 0) * CY + (1 << (SHIFT - 1));
  u -= 128;
  v -= 128;
  Pixel pixel;
  pixel.channel[0] = saturate_u8((luma + CUB * u) >> SHIFT);
  pixel.channel[1] = saturate_u8((luma + CVG * v + CUG * u) >> SHIFT);
  pixel.channel[2] = saturate_u8((luma + CVR * v) >> SHIFT);
  return pixel;
}

// Two pixels share U Y0 V Y1 (UYVY) or Y0 U Y1 V (YUYV). An odd width may end in half a pair without V: V then comes
// from the pair to the left, or is neutral if there is none, as in frame.py.
template <int CHROMA, int LUMA>
TRT_PERCEPTION_HD Pixel load_yuv422(const Source& source, const u8* row, int x) {
  const u8* pair = row + (x >> 1) * 4;
  const int y = pair[LUMA + (x & 1) * 2];
  const int u = pair[CHROMA];
  const bool half = (x | 1) >= source.width && (x | 1) * 2 + 2 > source.step;
  const int v = !half ? pair[CHROMA + 2] : (x >= 2 ? pair[CHROMA - 2] : 128);
  return yuv_to_bgr(y, u, v);
}

template <int U, int V>
TRT_PERCEPTION_HD Pixel load_nv(const Source& source, const u8* row, int x, int y) {
  const u8* chroma = source.data + (static_cast<long long>(source.height) + (y >> 1)) * source.step + (x & ~1);
  return yuv_to_bgr(row[x], chroma[U], chroma[V]);
}

template <int CHANNELS>
TRT_PERCEPTION_HD Pixel load_packed(const u8* row, int x) {
  const u8* first = row + x * CHANNELS;
  Pixel pixel;
  for (int c = 0; c < 3; ++c) {
    pixel.channel[c] = first[CHANNELS == 1 ? 0 : c];
  }
  return pixel;
}

template <int LAYOUT>
TRT_PERCEPTION_HD Pixel load_pixel(const Source& source, int x, int y) {
  const u8* row = source.data + static_cast<long long>(y) * source.step;
  switch (LAYOUT) {
    case PACKED1: return load_packed<1>(row, x);
    case PACKED3: return load_packed<3>(row, x);
    case PACKED4: return load_packed<4>(row, x);
    case UYVY: return load_yuv422<0, 1>(source, row, x);
    case YUYV: return load_yuv422<1, 0>(source, row, x);
    case NV12: return load_nv<0, 1>(source, row, x, y);
    default: return load_nv<1, 0>(source, row, x, y);
  }
}

}  // namespace trt_perception
