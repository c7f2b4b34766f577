#pragma once
// Multi-layer perceptron on the host, ReLU between the layers: one pass over the samples forward, one backward.
// Blocks of samples stay in the second-level cache through all layers. The backward pass computes the hidden
// activations again: reading them back from memory would cost as much and keep 256 bytes a sample and layer alive.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "../common/launch.h"
#include "mlp_parameters.h"

namespace saff {

constexpr int64_t kMlpBlock =
    96;  // samples that pass through all layers together; a multiple of the rows of every tile
constexpr int64_t kMlpChunks = 64;   // at most so many partial sums of the parameters' gradient, whatever n_threads is
constexpr int64_t kMlpChunk = 1536;  // and at least so many samples in each

// Rows of the caller's matrix whose width is no multiple of a vector cannot be read or written by whole vectors.
template <class T>
bool needs_padding(int64_t width) {
  return width % kPerVector<T> != 0;
}

template <class T>
void copy_rows(int64_t rows, int64_t width, Matrix<const T> from, Matrix<T> to) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(from.at(r, 0), width, to.at(r, 0));
}

template <class T>
void layer_forward(const MlpLayer<T>& layer, bool is_hidden, int64_t rows, Matrix<const T> in, Matrix<T> out) {
  const Matrix<const T> weights{layer.transposed, round_up(layer.n_out, kPerVector<T>)};
  const T lowest = is_hidden ? T(0) : -std::numeric_limits<T>::infinity();
  // Closures hold copies: through references the compiler would read their addresses again at every store.
  product<T, false>(
      rows, layer.n_out, layer.n_in, in, weights,
      [from = layer.bias](int64_t, int64_t column) { return load<T>(from + column); },
      [=](int64_t row, int64_t column, Vector<T> sum) {
        store(out.at(row, column), sum < lowest ? Vector<T>{} : sum);  // NaN stays
      });
}

// One thread's working memory: per layer the activations that enter it, and two gradients that take turns.
template <class T>
class MlpScratch {
 public:
  MlpScratch(int64_t n_layers, int64_t max_width)
      : stride_((max_width / kPerVector<T> | 1) * kPerVector<T>), n_layers_(n_layers) {
    const int64_t size = (n_layers + 3) * kMlpBlock * stride_;
    memory_ = allocate<T>(size);
    if (memory_) std::fill_n(memory_.get(), size, T(0));
  }
  explicit operator bool() const { return memory_ != nullptr; }
  Matrix<T> entering(int64_t layer) const { return block(layer); }
  Matrix<T> leaving() const { return block(n_layers_); }
  Matrix<T> gradient(int64_t turn) const { return block(n_layers_ + 1 + turn % 2); }

 private:
  Matrix<T> block(int64_t index) const { return {memory_.get() + index * kMlpBlock * stride_, stride_}; }
  int64_t stride_, n_layers_;  // an odd number of vectors: a column's cache lines then spread over all cache sets
  Buffer<T> memory_;
};

// Activations that enter each layer of a block; those of the first are the inputs themselves where they can be.
template <class T>
Matrix<const T> enter(const MlpParameters<T>& layers, const MlpScratch<T>& scratch, int64_t rows, const T* inputs) {
  const int64_t n_in = layers[0].n_in;
  const Matrix<const T> given{inputs, n_in};
  if (!needs_padding<T>(n_in)) return given;
  copy_rows(rows, n_in, given, scratch.entering(0));
  return {scratch.entering(0).data, scratch.entering(0).stride};
}

template <class T>
Matrix<const T> read(Matrix<T> matrix) {
  return {matrix.data, matrix.stride};
}

template <class T>
void block_forward(const MlpParameters<T>& layers, const MlpScratch<T>& scratch, int64_t rows, const T* inputs,
                   T* outputs) {
  Matrix<const T> in{inputs, layers[0].n_in};
  const int64_t last = layers.n_layers - 1, n_out = layers[last].n_out;
  for (int64_t l = 0; l < last; ++l) {
    layer_forward(layers[l], true, rows, in, scratch.entering(l + 1));
    in = read(scratch.entering(l + 1));
  }
  const Matrix<T> wanted{outputs, n_out}, whole = needs_padding<T>(n_out) ? scratch.leaving() : wanted;
  layer_forward(layers[last], false, rows, in, whole);
  if (whole.data != outputs) copy_rows(rows, n_out, read(whole), wanted);
}

// grad(W)^T += in^T g, grad(b) += sum g. Transposed, since a layer's inputs come in whole tiles, its outputs seldom.
template <class T>
void layer_gradient(const MlpLayer<T>& layer, int64_t rows, Matrix<const T> g, Matrix<const T> in, T* grad_transposed,
                    T* grad_bias) {
  const Matrix<T> target{grad_transposed, round_up(layer.n_out, kPerVector<T>)};
  product<T, true>(
      layer.n_in, layer.n_out, rows, in, g,
      [=](int64_t row, int64_t column) { return load<T>(target.at(row, column)); },
      [=](int64_t row, int64_t column, Vector<T> sum) { store(target.at(row, column), sum); });
  const int64_t n_out = layer.n_out;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T *a = g.at(r, 0), *b = g.at(r + 1, 0), *c = g.at(r + 2, 0), *d = g.at(r + 3, 0);
    for (int64_t o = 0; o < n_out; ++o) grad_bias[o] += (a[o] + b[o]) + (c[o] + d[o]);
  }
  for (; r < rows; ++r) {
    for (int64_t o = 0; o < n_out; ++o) grad_bias[o] += *g.at(r, o);
  }
}

// The gradient of a layer's input, zero where ReLU had cut it.
template <class T>
void hidden_gradient(const MlpLayer<T>& layer, int64_t rows, Matrix<const T> g, Matrix<const T> in, Matrix<T> out) {
  product<T, false>(
      rows, layer.n_in, layer.n_out, g, Matrix<const T>{layer.matrix, round_up(layer.n_in, kPerVector<T>)},
      [](int64_t, int64_t) { return Vector<T>{}; },
      [=](int64_t row, int64_t column, Vector<T> sum) {
        store(out.at(row, column), load(in.at(row, column)) <= T(0) ? Vector<T>{} : sum);
      });
}

template <class T>
void input_gradient(const MlpLayer<T>& layer, const MlpScratch<T>& scratch, int64_t turn, int64_t rows,
                    Matrix<const T> g, T* grad_inputs) {
  const Matrix<T> wanted{grad_inputs, layer.n_in};
  const Matrix<T> whole = needs_padding<T>(layer.n_in) ? scratch.gradient(turn) : wanted;
  product<T, false>(
      rows, layer.n_in, layer.n_out, g, Matrix<const T>{layer.matrix, round_up(layer.n_in, kPerVector<T>)},
      [](int64_t, int64_t) { return Vector<T>{}; },
      [=](int64_t row, int64_t column, Vector<T> sum) { store(whole.at(row, column), sum); });
  if (whole.data != grad_inputs) copy_rows(rows, layer.n_in, read(whole), wanted);
}

// The partial sums of a chunk: transposed padded matrix, then padded bias, layer by layer.
template <class T>
int64_t padded_size(const MlpLayer<T>& layer) {
  return (layer.n_in + 1) * round_up(layer.n_out, kPerVector<T>);
}

template <class T>
void block_backward(const MlpParameters<T>& layers, const MlpScratch<T>& scratch, int64_t rows, const T* inputs,
                    const T* grad_outputs, T* grad_inputs, T* sums_end) {
  const Matrix<const T> first = enter(layers, scratch, rows, inputs);
  const auto entering = [&](int64_t l) { return l == 0 ? first : read(scratch.entering(l)); };
  for (int64_t l = 0; l + 1 < layers.n_layers; ++l) {
    layer_forward(layers[l], true, rows, entering(l), scratch.entering(l + 1));
  }
  const int64_t n_out = layers[layers.n_layers - 1].n_out;
  Matrix<const T> g{grad_outputs, n_out};
  if (needs_padding<T>(n_out)) {
    copy_rows(rows, n_out, g, scratch.gradient(layers.n_layers));
    g = read(scratch.gradient(layers.n_layers));
  }
  T* sums = sums_end;
  for (int64_t l = layers.n_layers - 1; l >= 0; --l) {
    const MlpLayer<T>& layer = layers[l];
    sums -= padded_size(layer);
    layer_gradient(layer, rows, g, entering(l), sums, sums + layer.n_in * round_up(layer.n_out, kPerVector<T>));
    if (l > 0) {
      hidden_gradient(layer, rows, g, entering(l), scratch.gradient(l));
      g = read(scratch.gradient(l));
    } else if (grad_inputs) {
      input_gradient(layer, scratch, l, rows, g, grad_inputs);
    }
  }
}

template <class T>
const char* mlp_forward(int64_t n, int64_t n_layers, const int64_t* widths, const T* parameters, const T* inputs,
                        T* outputs, Launch launch) {
  const MlpParameters<T> layers(n_layers, widths, parameters);
  if (!layers.valid) return "out of memory";
  const int64_t n_in = widths[0], n_out = widths[n_layers];
  bool failed = false;
#pragma omp parallel num_threads(static_cast<int>(launch.n_threads)) if (n > kMlpBlock)
  {
    const MlpScratch<T> scratch(n_layers, layers.max_width);
    if (!scratch) {
#pragma omp atomic write
      failed = true;
    }
#pragma omp for schedule(dynamic)
    for (int64_t begin = 0; begin < n; begin += kMlpBlock) {
      if (!scratch) continue;
      const int64_t rows = std::min(kMlpBlock, n - begin);
      block_forward(layers, scratch, rows, inputs + begin * n_in, outputs + begin * n_out);
    }
  }
  return failed ? "out of memory" : nullptr;
}

// Writes the sum of the chunks' padded gradients, in their order, to the layout of the parameters.
template <class T>
void reduce_chunks(const MlpParameters<T>& layers, int64_t n_chunks, int64_t size, T* sums, T* grad_parameters) {
  for (int64_t c = 1; c < n_chunks; ++c) {
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[c * size + i];
  }
  const T* from = sums;
  for (int64_t l = 0; l < layers.n_layers; ++l) {
    const MlpLayer<T>& layer = layers[l];
    const int64_t stride = round_up(layer.n_out, kPerVector<T>);
    T* to = grad_parameters + layer.offset;
    for (int64_t o = 0; o < layer.n_out; ++o) {
      for (int64_t i = 0; i < layer.n_in; ++i) *to++ = from[i * stride + o];
    }
    std::copy_n(from + layer.n_in * stride, layer.n_out, to);
    from += padded_size(layer);
  }
}

template <class T>
const char* mlp_backward(int64_t n, int64_t n_layers, const int64_t* widths, const T* parameters, const T* inputs,
                         const T* grad_outputs, T* grad_inputs, T* grad_parameters, Launch launch) {
  const MlpParameters<T> layers(n_layers, widths, parameters);
  if (!layers.valid) return "out of memory";
  const int64_t n_in = widths[0], n_out = widths[n_layers];
  // The chunks depend on n alone, so that the sums do not depend on the number of threads.
  const int64_t chunk = round_up(std::max((n + kMlpChunks - 1) / kMlpChunks, kMlpChunk), kMlpBlock);
  const int64_t n_chunks = std::max<int64_t>((n + chunk - 1) / chunk, 1);
  int64_t size = 0;
  for (int64_t l = 0; l < n_layers; ++l) size += padded_size(layers[l]);
  const Buffer<T> sums = allocate<T>(n_chunks * size);
  if (!sums) return "out of memory";
  std::fill_n(sums.get(), n_chunks * size, T(0));
  bool failed = false;
#pragma omp parallel num_threads(static_cast<int>(launch.n_threads)) if (n_chunks > 1)
  {
    const MlpScratch<T> scratch(n_layers, layers.max_width);
    if (!scratch) {
#pragma omp atomic write
      failed = true;
    }
#pragma omp for schedule(dynamic)
    for (int64_t c = 0; c < n_chunks; ++c) {
      if (!scratch) continue;
      for (int64_t begin = c * chunk; begin < std::min(n, (c + 1) * chunk); begin += kMlpBlock) {
        const int64_t rows = std::min(kMlpBlock, n - begin);
        block_backward(layers, scratch, rows, inputs + begin * n_in, grad_outputs + begin * n_out,
                       grad_inputs ? grad_inputs + begin * n_in : nullptr, sums.get() + (c + 1) * size);
      }
    }
  }
  if (failed) return "out of memory";
  reduce_chunks(layers, n_chunks, size, sums.get(), grad_parameters);
  return nullptr;
}

}  // namespace saff
