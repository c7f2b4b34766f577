#pragma once
#include <cstdint>

#include "hd.h"

namespace saff {

// The samples of one ray. Values outside the buffer are clamped, so hostile input can give wrong numbers
// but never touch foreign memory; shapes and dtypes are checked by the caller.
struct SampleRange {
  int64_t begin, end;
  SAFF_HD SampleRange(const int64_t* packed_info, int64_t ray, int64_t n_samples) {
    const int64_t first = packed_info[2 * ray], count = packed_info[2 * ray + 1];
    begin = first < 0 ? 0 : (first > n_samples ? n_samples : first);
    end = count < 0 ? begin : (count > n_samples - begin ? n_samples : begin + count);
  }
};

}  // namespace saff
