#pragma once
// IEEE half precision as it lies in memory. It is read as float and never computed with.
#include <cstdint>
#include <cstring>

#include "hd.h"
#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

namespace saff {

struct Half {
  uint16_t bits;

  SAFF_HD operator float() const {
#ifdef __CUDACC__
    return __half2float(__half(__half_raw{bits}));
#else
    const uint32_t magnitude = bits & 0x7fff, sign = uint32_t(bits & 0x8000) << 16;
    const float subnormal = float(magnitude) * 0x1p-24f;
    // Exponents are biased by 15 in half and by 127 in single precision; the largest one is infinity or NaN in both.
    const uint32_t bias = magnitude < 0x7c00 ? 127 - 15 : 2 * (127 - 15);
    uint32_t single = (magnitude << 13) + (bias << 23);
    if (magnitude < 0x400) std::memcpy(&single, &subnormal, sizeof single);
    single |= sign;
    float value;
    std::memcpy(&value, &single, sizeof value);
    return value;
#endif
  }
};

}  // namespace saff
