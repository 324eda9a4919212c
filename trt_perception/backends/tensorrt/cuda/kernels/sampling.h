// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
// Computes pixels of the network's input from a frame: resizes, pads, reorders colours, normalises.
#pragma once

#include "candidates.h"
#include "source.h"

namespace trt_perception {

// The samples of the source for one column (or row) of the target: two neighbours and their weights, which are
// OpenCV's INTER_LINEAR coefficients in units of 1/2048. Computed once for a frame size (resampling.py).
struct Taps {
  int first;
  int second;
  int first_weight;
  int second_weight;
};

// The samples of the source for one column (or row) of the target with an antialiasing filter: `count` neighbours, and
// where their weights begin in Sampling::weights. Computed once for a frame size (resampling.py).
struct Span {
  int first;
  int count;
  int weights;
};

// Arguments that do not change from frame to frame; mirrored by resampling.py, field by field.
struct Sampling {
  const u8* source;
  const Taps* columns;  // target_width elements
  const Taps* rows;     // target_height elements
  const Span* column_spans;  // the same for the filtered kernels
  const Span* row_spans;
  const int* weights;  // in units of 1 / 2^FILTER_BITS
  void* tensor;
  CandidateHeader* candidates;  // cleared for the decoding that follows; may be null
  int source_width;
  int source_height;
  int source_step;
  int network_width;
  int network_height;
  int target_x;
  int target_y;
  int target_width;
  int target_height;
  int channels;       // 1 or 3
  int element_type;   // ElementType
  int nhwc;           // else NCHW
  int reversed;       // whether source and network have opposite colour orders
  int red;            // index of red in the source's pixel, 0 or 2; blue is at 2 - red
  int source_is_grey;
  int padding;        // value of the pixels outside the target
  float gain[3];      // x = pixel * gain + bias, in the network's colour order
  float bias[3];
};

// OpenCV's bilinear arithmetic on uint8: products of 11 bits each, and the truncations of its vertical pass
// (modules/imgproc/src/resize.cpp: HResizeLinear, VResizeLinear with FixedPtCast).
TRT_PERCEPTION_HD int blend(int top_left, int top_right, int low_left, int low_right, const Taps& column,
                            const Taps& row) {
  const int top = top_left * column.first_weight + top_right * column.second_weight;
  const int low = low_left * column.first_weight + low_right * column.second_weight;
  return (((row.first_weight * (top >> 4)) >> 16) + ((row.second_weight * (low >> 4)) >> 16) + 2) >> 2;
}

// OpenCV's BGR2GRAY: coefficients of 15 bits.
TRT_PERCEPTION_HD int grey(int red, int green, int blue) {
  return (red * 9798 + green * 19235 + blue * 3735 + (1 << 14)) >> 15;
}

// Returns the pixel of the target at the column and row, in the source's colour order.
template <int LAYOUT>
TRT_PERCEPTION_HD Pixel sample(const Source& source, const Taps& column, const Taps& row) {
  const Pixel top_left = load_pixel<LAYOUT>(source, column.first, row.first);
  // A frame of the network's size has no weight on the second neighbours. Over the bus, each load costs.
  const bool across = column.second_weight != 0, down = row.second_weight != 0;
  const Pixel top_right = across ? load_pixel<LAYOUT>(source, column.second, row.first) : top_left;
  const Pixel low_left = down ? load_pixel<LAYOUT>(source, column.first, row.second) : top_left;
  const Pixel low_right = !down ? top_right : across ? load_pixel<LAYOUT>(source, column.second, row.second) : low_left;
  Pixel result;
  for (int c = 0; c < 3; ++c) {
    result.channel[c] =
        blend(top_left.channel[c], top_right.channel[c], low_left.channel[c], low_right.channel[c], column, row);
  }
  return result;
}

// Pillow's fixed-point arithmetic (src/libImaging/Resample.c): 32 bits less 8 of a pixel and 2 for sums beyond it.
const int FILTER_BITS = 22;

// The same with an antialiasing filter, as Pillow does it: across, rounded to 8 bits, then down.
template <int LAYOUT>
TRT_PERCEPTION_HD Pixel sample_filtered(const Source& source, const Span& column, const Span& row, const int* weights) {
  const int HALF = 1 << (FILTER_BITS - 1);
  int down[3] = {HALF, HALF, HALF};
  for (int j = 0; j < row.count; ++j) {
    int across[3] = {HALF, HALF, HALF};
    for (int i = 0; i < column.count; ++i) {
      const Pixel pixel = load_pixel<LAYOUT>(source, column.first + i, row.first + j);
      const int weight = weights[column.weights + i];
      for (int c = 0; c < 3; ++c) {
        across[c] += pixel.channel[c] * weight;
      }
    }
    const int weight = weights[row.weights + j];
    for (int c = 0; c < 3; ++c) {
      down[c] += saturate_u8(across[c] >> FILTER_BITS) * weight;
    }
  }
  Pixel result;
  for (int c = 0; c < 3; ++c) {
    result.channel[c] = saturate_u8(down[c] >> FILTER_BITS);
  }
  return result;
}

TRT_PERCEPTION_HD void store(const Sampling& sampling, long long index, int channel, int value) {
  if (sampling.element_type == UINT8) {
    static_cast<u8*>(sampling.tensor)[index] = static_cast<u8>(value);
    return;
  }
  const float x =
      add(multiply(static_cast<float>(value), sampling.gain[channel]), sampling.bias[channel]);
  if (sampling.element_type == FLOAT16) {
    static_cast<Half*>(sampling.tensor)[index] = to_half(x);
  } else {
    static_cast<float*>(sampling.tensor)[index] = x;
  }
}

// Number of neighbouring pixels of a row that a thread writes; mirrored by resampling.py. The bus is fastest with whole
// lines of memory: when an image shrinks to half, a warp with two pixels per thread reads 384 bytes of a row, which are
// three lines; with one pixel per thread it reads one and a half.
const int PIXELS_OF_THREAD = 2;

// Computes the network's input at (x, y), before normalisation, in the network's colour order.
template <int LAYOUT, bool FILTERED>
TRT_PERCEPTION_HD void input_values(const Sampling& sampling, int x, int y, int* values) {
  for (int c = 0; c < 3; ++c) {
    values[c] = sampling.padding;
  }
  const int column = x - sampling.target_x, row = y - sampling.target_y;
  if (column >= 0 && column < sampling.target_width && row >= 0 && row < sampling.target_height) {
    const Source source = {sampling.source, sampling.source_width, sampling.source_height, sampling.source_step};
    const Pixel pixel = FILTERED ? sample_filtered<LAYOUT>(source, sampling.column_spans[column],
                                                           sampling.row_spans[row], sampling.weights)
                                 : sample<LAYOUT>(source, sampling.columns[column], sampling.rows[row]);
    if (sampling.channels == 1 && !sampling.source_is_grey) {
      values[0] = sampling.red == 0 ? grey(pixel.channel[0], pixel.channel[1], pixel.channel[2])
                                    : grey(pixel.channel[2], pixel.channel[1], pixel.channel[0]);
    } else {
      values[0] = sampling.reversed ? pixel.channel[2] : pixel.channel[0];
      values[1] = pixel.channel[1];
      values[2] = sampling.reversed ? pixel.channel[0] : pixel.channel[2];
    }
  }
}

// Writes all channels of the network's input at (x, y).
TRT_PERCEPTION_HD void store_values(const Sampling& sampling, int x, int y, const int* values) {
  const long long pixels = static_cast<long long>(sampling.network_width) * sampling.network_height;
  const long long position = static_cast<long long>(y) * sampling.network_width + x;
  // With a fixed count the loop unrolls, and the indexed arrays stay in registers.
  for (int c = 0; c < 3; ++c) {
    if (c < sampling.channels) {
      store(sampling, sampling.nhwc ? position * sampling.channels + c : c * pixels + position, c, values[c]);
    }
  }
}

// Writes PIXELS_OF_THREAD pixels from (x, y) on, but none outside the network's input. Reads all before it writes the
// first: the compiler cannot do that, because it must assume that they
// overlap.
template <int LAYOUT, bool FILTERED>
TRT_PERCEPTION_HD void preprocess_pixels(const Sampling& sampling, int x, int y) {
  int values[PIXELS_OF_THREAD][3];
  for (int i = 0; i < PIXELS_OF_THREAD; ++i) {
    input_values<LAYOUT, FILTERED>(sampling, x + i, y, values[i]);
  }
  for (int i = 0; i < PIXELS_OF_THREAD; ++i) {
    if (x + i < sampling.network_width) {
      store_values(sampling, x + i, y, values[i]);
    }
  }
}

}  // namespace trt_perception
