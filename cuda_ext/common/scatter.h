#pragma once
#include <cstdint>
#include <cstring>

#include "hd.h"
#include "launch.h"

namespace saff {

// *target += value: atomic on the device. The host adds in one thread's order, so that results repeat.
template <class T>
SAFF_HD void scatter_add(T* target, T value) {
#ifdef __CUDA_ARCH__
  atomicAdd(target, value);
#else
  *target += value;
#endif
}

template <class T>
const char* fill_zero(T* values, int64_t count, [[maybe_unused]] Launch launch) {
#ifdef __CUDACC__
  const auto stream = static_cast<cudaStream_t>(launch.stream);
  const cudaError_t error = cudaMemsetAsync(values, 0, count * sizeof(T), stream);
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
#else
  std::memset(values, 0, count * sizeof(T));
  return nullptr;
#endif
}

}  // namespace saff
