#pragma once
// Register-blocked matrix products for the host: a tile of the result stays in vector registers while the depth is
// walked once. Sizes follow the instruction set the file is compiled for; the order of additions along the depth does
// not depend on them, nor on where a tile begins.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace saff {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kSums = 24;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kSums = 12;
#else
constexpr int kVectorBytes = 16, kSums = 12;
#endif
constexpr int kTileVectors = 3;  // most columns of a tile, in vectors: three loads then feed kSums multiply-adds

template <class T>
constexpr int64_t kPerVector = kVectorBytes / sizeof(T);

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
inline Vector<T> load(const T* from) {
  Vector<T> vector;
  std::memcpy(&vector, from, kVectorBytes);  // a plain unaligned load
  return vector;
}

template <class T>
inline void store(T* to, Vector<T> vector) {
  std::memcpy(to, &vector, kVectorBytes);
}

inline int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// A matrix by rows; with kTransposed, element (row, k) of the product's left side lies at data[k * stride + row].
template <class T>
struct Matrix {
  T* data;
  int64_t stride;
  T* at(int64_t row, int64_t column) const { return data + row * stride + column; }
};

template <class T, bool kTransposed, int kRows, int kVectors, class Start, class Finish>
inline void tile(int64_t row, int64_t column, int64_t depth, Matrix<const T> a, Matrix<const T> b, const Start& start,
                 const Finish& finish) {
  Vector<T> sums[kRows][kVectors];
#pragma GCC unroll 24
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[r][v] = start(row + r, column + v * kPerVector<T>);
  const T* from_a = kTransposed ? a.at(0, row) : a.at(row, 0);
  const T* from_b = b.at(0, column);
  for (int64_t k = 0; k < depth; ++k) {
    Vector<T> panel[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) panel[v] = load(from_b + v * kPerVector<T>);
#pragma GCC unroll 24
    for (int r = 0; r < kRows; ++r) {
      const T factor = from_a[kTransposed ? r : r * a.stride];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] += factor * panel[v];
    }
    from_a += kTransposed ? a.stride : 1;
    from_b += b.stride;
  }
#pragma GCC unroll 24
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) finish(row + r, column + v * kPerVector<T>, sums[r][v]);
}

// Every row of a strip of kVectors vectors. Double precision, which only checks of gradients need, is not blocked: that
// would double the time it takes to compile.
template <class T, bool kTransposed, int kVectors, class Start, class Finish>
void strip(int64_t rows, int64_t column, int64_t depth, Matrix<const T> a, Matrix<const T> b, const Start& start,
           const Finish& finish) {
  constexpr int kRows = std::is_same_v<T, float> ? kSums / kVectors : 1;
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) {
    tile<T, kTransposed, kRows, kVectors>(row, column, depth, a, b, start, finish);
  }
  for (; row < rows; ++row) tile<T, kTransposed, 1, kVectors>(row, column, depth, a, b, start, finish);
}

// For each row < rows and each vector of columns < columns (rounded up to whole vectors, which b must hold):
//   finish(row, column, start(row, column) + sum_k a(row, k) b(k, column .. column + lanes)).
template <class T, bool kTransposed, class Start, class Finish>
void product(int64_t rows, int64_t columns, int64_t depth, Matrix<const T> a, Matrix<const T> b, const Start& start,
             const Finish& finish) {
  constexpr bool blocked = std::is_same_v<T, float>;
  for (int64_t column = 0, taken; column < columns; column += taken * kPerVector<T>) {
    const int64_t left = (columns - column + kPerVector<T> - 1) / kPerVector<T>;
    taken = blocked ? std::min<int64_t>(left, left == 4 ? 2 : kTileVectors) : 1;  // 2 + 2 is faster than 3 + 1
    if (taken == 1) strip<T, kTransposed, 1>(rows, column, depth, a, b, start, finish);
    if constexpr (blocked) {
      if (taken == 2) strip<T, kTransposed, 2>(rows, column, depth, a, b, start, finish);
      if (taken == 3) strip<T, kTransposed, 3>(rows, column, depth, a, b, start, finish);
    }
  }
}

}  // namespace saff
