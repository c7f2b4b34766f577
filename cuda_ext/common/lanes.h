#pragma once
// Eight values side by side, in GCC's vector extensions: one register with AVX2, two without.
#include <cstdint>
#include <cstring>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include "half.h"

namespace saff {

constexpr int kLanes = 8;
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t))));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t))));

template <class Vector>
inline Vector load(const void* from) {
  Vector values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

template <class Vector>
inline void store(void* to, Vector values) {
  std::memcpy(to, &values, sizeof values);
}

// N values that are handled as one, wherever they lie.
template <int N>
struct GroupOf {
  typedef float type __attribute__((vector_size(N * sizeof(float)), aligned(sizeof(float)), may_alias));
};
template <>
struct GroupOf<1> {
  typedef float type;
};
template <int N>
using Group = typename GroupOf<N>::type;

template <int N>
inline Group<N> load_floats(const float* from) {
  return load<Group<N>>(from);
}

template <int N>
inline Group<N> load_floats(const Half* from) {
  float values[8];
#ifdef __F16C__
  __m128i bits = _mm_setzero_si128();
  std::memcpy(&bits, from, N * sizeof(Half));
  _mm256_storeu_ps(values, _mm256_cvtph_ps(bits));
#else
  for (int i = 0; i < N; ++i) values[i] = from[i];
#endif
  return load<Group<N>>(values);
}

// Eight pairs (a, b), one a lane of the other vectors: those of lanes 0 1 4 5 in `low`, of 2 3 6 7 in `high`, the
// order in which unpacking instructions leave them.
struct Pairs {
  Floats low, high;

  // Both of a pair are the lane's value.
  static Pairs both(Floats x) {
    return {__builtin_shufflevector(x, x, 0, 0, 1, 1, 4, 4, 5, 5),
            __builtin_shufflevector(x, x, 2, 2, 3, 3, 6, 6, 7, 7)};
  }

  // Pair i of lane k is at base[2 * index[k]].
  static Pairs gather(const float* base, const uint32_t* index) {
    typedef double Quad __attribute__((vector_size(32)));
    typedef double Bits __attribute__((may_alias, aligned(4)));  // a pair is moved as 64 bits
    const auto at = [=](int k) { return reinterpret_cast<const Bits*>(base)[index[k]]; };
    const Quad low = {at(0), at(1), at(4), at(5)}, high = {at(2), at(3), at(6), at(7)};
    return {(Floats)low, (Floats)high};
  }
  static Pairs gather(const Half* base, const uint32_t* index) {
    typedef uint32_t Bits __attribute__((may_alias, aligned(2)));  // a pair is moved as 32 bits
    const auto at = [=](int k) { return reinterpret_cast<const Bits*>(base)[index[k]]; };
    typedef uint32_t Quad __attribute__((vector_size(16)));
    const Quad low = {at(0), at(1), at(4), at(5)}, high = {at(2), at(3), at(6), at(7)};
    Half halves[2 * kLanes];
    store(halves, low);
    store(halves + kLanes, high);
    return {load_floats<kLanes>(halves), load_floats<kLanes>(halves + kLanes)};
  }

  Floats sums() const {
    return __builtin_shufflevector(low, high, 0, 2, 8, 10, 4, 6, 12, 14) +
           __builtin_shufflevector(low, high, 1, 3, 9, 11, 5, 7, 13, 15);
  }

  // To and from the order of the lanes.
  void unpack(float* to) const {
    store(to, __builtin_shufflevector(low, high, 0, 1, 2, 3, 8, 9, 10, 11));
    store(to + kLanes, __builtin_shufflevector(low, high, 4, 5, 6, 7, 12, 13, 14, 15));
  }
  static Pairs pack(const float* from) {
    const Floats first = load<Floats>(from), second = load<Floats>(from + kLanes);
    return {__builtin_shufflevector(first, second, 0, 1, 2, 3, 8, 9, 10, 11),
            __builtin_shufflevector(first, second, 4, 5, 6, 7, 12, 13, 14, 15)};
  }
};

}  // namespace saff
