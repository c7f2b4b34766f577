#pragma once
// Register-blocked matrix products for the host: a tile of the result stays in vector registers while the depth is
// walked once. Sizes follow the instruction set the file is compiled for; the order of additions along the depth does
// not depend on them, nor on where a tile begins.
#include <cstdint>
#include <cstring>

namespace saff {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kTileRows = 12;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kTileRows = 6;
#else
constexpr int kVectorBytes = 16, kTileRows = 2;
#endif
constexpr int kFewRows = kTileRows < 4 ? kTileRows : 4;  // what 16 or 64 rows leave over
constexpr int kPanelBytes = 64;
constexpr int kPanelVectors = kPanelBytes / kVectorBytes;

template <class T>
constexpr int64_t kPanel = kPanelBytes / sizeof(T);  // columns of a tile

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

template <class T, bool kTransposed, int kRows, class Start, class Finish>
inline void tile(int64_t row, int64_t column, int64_t depth, Matrix<const T> a, Matrix<const T> b, const Start& start,
                 const Finish& finish) {
  constexpr int64_t lanes = kVectorBytes / sizeof(T);
  Vector<T> sums[kRows][kPanelVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) sums[r][v] = start(row + r, column + v * lanes);
  const T* from_a = kTransposed ? a.at(0, row) : a.at(row, 0);
  const T* from_b = b.at(0, column);
  for (int64_t k = 0; k < depth; ++k) {
    Vector<T> panel[kPanelVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) panel[v] = load(from_b + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const T factor = from_a[kTransposed ? r : r * a.stride];
#pragma GCC unroll 4
      for (int v = 0; v < kPanelVectors; ++v) sums[r][v] += factor * panel[v];
    }
    from_a += kTransposed ? a.stride : 1;
    from_b += b.stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kPanelVectors; ++v) finish(row + r, column + v * lanes, sums[r][v]);
}

// For each row < rows and each vector of columns < columns (rounded up to whole panels, which b must hold):
//   finish(row, column, start(row, column) + sum_k a(row, k) b(k, column .. column + lanes)).
template <class T, bool kTransposed, class Start, class Finish>
void product(int64_t rows, int64_t columns, int64_t depth, Matrix<const T> a, Matrix<const T> b, const Start& start,
             const Finish& finish) {
  for (int64_t row = 0, taken; row < rows; row += taken) {
    const int64_t left = rows - row;
    taken = left >= kTileRows ? kTileRows : (left >= kFewRows ? kFewRows : 1);
    for (int64_t column = 0; column < columns; column += kPanel<T>) {
      if (taken == kTileRows) {
        tile<T, kTransposed, kTileRows>(row, column, depth, a, b, start, finish);
      } else if (taken == kFewRows) {
        tile<T, kTransposed, kFewRows>(row, column, depth, a, b, start, finish);
      } else {
        tile<T, kTransposed, 1>(row, column, depth, a, b, start, finish);
      }
    }
  }
}

}  // namespace saff
