#pragma once
// The parameters of a multi-layer perceptron as the host's kernels read them.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "../common/tile.h"

namespace saff {

constexpr int64_t kCacheLine = 64;

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Buffer = std::unique_ptr<T[], FreeDeleter>;

template <class T>
Buffer<T> allocate(int64_t size) {  // null when there is no memory
  return Buffer<T>(static_cast<T*>(std::aligned_alloc(kCacheLine, round_up(size * sizeof(T) + 1, kCacheLine))));
}

// One layer's parameters, padded to whole vectors with zeros.
template <class T>
struct MlpLayer {
  int64_t n_in, n_out;
  int64_t offset;  // of its matrix in the parameters; the bias follows
  T* transposed;   // (n_in, padded n_out)
  T* matrix;       // (n_out, padded n_in)
  T* bias;         // (padded n_out,)
};

// `parameters` holds for each layer its matrix (n_out, n_in) by rows, then its bias.
template <class T>
class MlpParameters {
 public:
  MlpParameters(int64_t n_layers, const int64_t* widths, const T* parameters) : n_layers(n_layers) {
    int64_t size = 0;
    for (int64_t l = 0; l < n_layers; ++l) {
      const int64_t in = round_up(widths[l], kPerVector<T>), out = round_up(widths[l + 1], kPerVector<T>);
      size += widths[l] * out + widths[l + 1] * in + out;
      max_width = std::max({max_width, in, out});
    }
    memory_ = allocate<T>(size);
    layers_.reset(new (std::nothrow) MlpLayer<T>[n_layers]);
    if (!memory_ || !layers_) return;
    std::fill_n(memory_.get(), size, T(0));
    T* next = memory_.get();
    for (int64_t l = 0; l < n_layers; ++l) next = pack(l, widths[l], widths[l + 1], parameters, next);
    valid = true;
  }
  const MlpLayer<T>& operator[](int64_t layer) const { return layers_[layer]; }

  bool valid = false;
  int64_t n_layers, n_parameters = 0, max_width = 0;

 private:
  T* pack(int64_t l, int64_t n_in, int64_t n_out, const T* parameters, T* next) {
    const int64_t in = round_up(n_in, kPerVector<T>), out = round_up(n_out, kPerVector<T>);
    const MlpLayer<T> layer{n_in, n_out, n_parameters, next, next + n_in * out, next + n_in * out + n_out * in};
    const T* from = parameters + layer.offset;
    for (int64_t o = 0; o < n_out; ++o) {
      for (int64_t i = 0; i < n_in; ++i) {
        layer.transposed[i * out + o] = layer.matrix[o * in + i] = from[o * n_in + i];
      }
      layer.bias[o] = from[n_out * n_in + o];
    }
    layers_[l] = layer;
    n_parameters += n_out * (n_in + 1);
    return layer.bias + out;
  }

  Buffer<T> memory_;
  std::unique_ptr<MlpLayer<T>[]> layers_;
};

}  // namespace saff
