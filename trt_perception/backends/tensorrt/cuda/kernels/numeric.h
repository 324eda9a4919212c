// Copyright 2026 trt_perception contributors
// SPDX-License-Identifier: Apache-2.0
//
// Number types that CUDA C++ and host C++ share, without standard headers: NVRTC has none.
#pragma once

#ifdef __CUDACC__
#define TRT_PERCEPTION_HD __host__ __device__ __forceinline__
#else
#define TRT_PERCEPTION_HD inline
#endif

namespace trt_perception {

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// The element types of tensors, as Python passes them.
enum ElementType { FLOAT32 = 0, FLOAT16 = 1, UINT8 = 2 };

// A float16 as its bits. NVRTC has no cuda_fp16.h, and g++ before version 12 has no half type.
struct Half {
  u16 bits;
};

TRT_PERCEPTION_HD int clamp(int value, int low, int high) {
  return value < low ? low : (value > high ? high : value);
}

TRT_PERCEPTION_HD int saturate_u8(int value) { return clamp(value, 0, 255); }

TRT_PERCEPTION_HD bool is_nan(float value) { return value != value; }

TRT_PERCEPTION_HD bool is_finite(float value) { return value - value == 0.0f; }

TRT_PERCEPTION_HD u32 bits_of(float value) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(value);
#else
  union { float f; u32 u; } both;
  both.f = value;
  return both.u;
#endif
}

TRT_PERCEPTION_HD float float_of(u32 bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  union { float f; u32 u; } both;
  both.u = bits;
  return both.f;
#endif
}

// Rounds to nearest, ties to even, as NumPy's astype(float16).
TRT_PERCEPTION_HD Half to_half(float value) {
  Half result;
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#else
  const u32 bits = bits_of(value);
  const u32 sign = (bits >> 16) & 0x8000u;
  const u32 magnitude = bits & 0x7fffffffu;
  u32 rounded;
  if (magnitude > 0x7f800000u) {
    rounded = 0x7e00u;  // NaN
  } else if (magnitude >= 0x477ff000u) {
    rounded = 0x7c00u;  // 65520 and more round to infinity
  } else if (magnitude >= 0x38800000u) {
    // Normal: drop 13 bits of the mantissa and change the exponent's bias from 127 to 15.
    const u32 shifted = magnitude - 0x38000000u;
    rounded = (shifted + 0x0fffu + ((shifted >> 13) & 1u)) >> 13;
  } else {
    // Subnormal: adding 0.5 puts the rounded mantissa of the half into the last bits of the float.
    rounded = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  }
  result.bits = static_cast<u16>(sign | rounded);
#endif
  return result;
}

TRT_PERCEPTION_HD float to_float(Half value) {
#ifdef __CUDA_ARCH__
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#else
  const u32 sign = static_cast<u32>(value.bits & 0x8000u) << 16;
  const u32 exponent = (value.bits >> 10) & 0x1fu;
  const u32 mantissa = value.bits & 0x3ffu;
  if (exponent == 0x1fu) {
    return float_of(sign | 0x7f800000u | (mantissa << 13));
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * (1.0f / 16777216.0f);  // 2^-24
    return sign ? -magnitude : magnitude;
  }
  return float_of(sign | ((exponent + 112u) << 23) | (mantissa << 13));
#endif
}

TRT_PERCEPTION_HD float to_float(float value) { return value; }

// Prevents a fused multiply-add, because NumPy rounds the product and the sum.
TRT_PERCEPTION_HD float multiply(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

TRT_PERCEPTION_HD float add(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}

TRT_PERCEPTION_HD double multiply(double a, double b) {
#ifdef __CUDA_ARCH__
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

TRT_PERCEPTION_HD double add(double a, double b) {
#ifdef __CUDA_ARCH__
  return __dadd_rn(a, b);
#else
  return a + b;
#endif
}

}  // namespace trt_perception
