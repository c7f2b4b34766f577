#pragma once
// Stores past the cache, for arrays that are larger than it: memory is not read before it is overwritten, and what is
// in the cache stays there. Whoever reads what was stored from another thread waits for `stores_done` first.
#include <cstdint>

#include "hd.h"
#if defined(__SSE2__) && !defined(__CUDACC__)
#define SAFF_PAST_CACHE
#include <emmintrin.h>
#endif

namespace saff {

constexpr int64_t kLargerThanCache = int64_t{8} << 20;  // bytes; half of what commonly serves a few cores

// Whether rows of n_columns, `stride` apart, are to be stored past the cache.
template <class T>
inline bool goes_past_cache(const T* data, int64_t stride, int64_t n_rows, int64_t n_columns) {
#ifdef SAFF_PAST_CACHE
  const auto aligned = [](uint64_t bytes) { return bytes % 16 == 0; };
  return data && n_rows * n_columns * int64_t{sizeof(T)} >= kLargerThanCache && aligned(stride * sizeof(T)) &&
         aligned(n_columns * sizeof(T)) && aligned(reinterpret_cast<uintptr_t>(data));
#else
  return false;
#endif
}

// to[c] = factor * from[c], past the cache; rows as `goes_past_cache` wants them.
template <class T>
SAFF_HD void store_scaled_past_cache(T* to, T factor, const T* from, int64_t n) {
#ifdef SAFF_PAST_CACHE
  typedef T Vector __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));
  constexpr int64_t kStep = 16 / sizeof(T);
  for (int64_t c = 0; c < n; c += kStep) {
    const Vector values = factor * *reinterpret_cast<const Vector*>(from + c);
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + c), reinterpret_cast<const __m128i&>(values));
  }
#else
  for (int64_t c = 0; c < n; ++c) to[c] = factor * from[c];
#endif
}

SAFF_HD void stores_done() {
#ifdef SAFF_PAST_CACHE
  _mm_sfence();
#endif
}

}  // namespace saff
