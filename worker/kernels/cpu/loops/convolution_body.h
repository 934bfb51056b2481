#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_CONVOLUTION_BODY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_CONVOLUTION_BODY_H_

#include <cstring>
#include <new>

#include "worker/kernels/calls.h"
#include "worker/kernels/cpu/copy_row.h"
#include "worker/kernels/cpu/loops/tile_body.h"

namespace ringmaster::cpu {
namespace {

// Output channels of a forward tile.
template <class V>
constexpr int64_t kBlock = 2 * V::kLanes;

// One image's planes with zeros around: [channels][height][width] of the padded image.
struct PaddedImage {
  int64_t channels, height, width;
  float* pixels;
};

inline int64_t PaddedFloats(int64_t channels, int64_t height, int64_t width, int64_t padding) {
  return channels * (height + 2 * padding) * (width + 2 * padding);
}

inline PaddedImage PaddedIn(float* scratch, int64_t channels, int64_t height, int64_t width,
                            int64_t padding) {
  std::memset(scratch, 0,
              static_cast<size_t>(PaddedFloats(channels, height, width, padding)) * sizeof(float));
  return {channels, height + 2 * padding, width + 2 * padding, scratch};
}

// `planes` lie `plane_stride` apart. The border is zero already: only the middle is written.
inline void FillPadded(const float* planes, int64_t plane_stride, int64_t height, int64_t width,
                       int64_t padding, const PaddedImage& padded) {
  for (int64_t c = 0; c < padded.channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      CopyRow(planes + c * plane_stride + y * width,
              padded.pixels + (c * padded.height + y + padding) * padded.width + padding, width);
    }
  }
}

// The taps of a convolution, in the order of the weights: from a window's corner to each of its
// pixels.
struct Taps {
  int64_t count;
  const int32_t* offsets;
};

// Written behind the image's pixels.
inline Taps TapsOf(const PaddedImage& image, int64_t kernel) {
  const int64_t count = image.channels * kernel * kernel;
  auto* const offsets =
      new (image.pixels + image.channels * image.height * image.width) int32_t[count];
  for (int64_t tap = 0; tap < count; ++tap) {
    const int64_t kx = tap % kernel, ky = tap / kernel % kernel, c = tap / (kernel * kernel);
    offsets[tap] = static_cast<int32_t>((c * image.height + ky) * image.width + kx);
  }
  return {count, offsets};
}

// A tile of the output: kPixels neighbours of one row by kBlock channels. `weights`:
// [taps][kBlock], `output`: [kPixels][kBlock].
template <class V, int kPixels>
void ForwardTile(const float* corner, Taps taps, const float* weights, float* output) {
  typename V::Floats sums[kPixels][2];
  for (int i = 0; i < kPixels; ++i) sums[i][0] = sums[i][1] = V::Zero();
  for (int64_t tap = 0; tap < taps.count; ++tap, weights += kBlock<V>) {
    const float* pixels = corner + taps.offsets[tap];
    Hide(&pixels);
    const auto low = V::Load(weights), high = V::Load(weights + V::kLanes);
    for (int i = 0; i < kPixels; ++i) {
      const auto pixel = V::Set(pixels[i]);
      sums[i][0] = V::MultiplyAdd(pixel, low, sums[i][0]);
      sums[i][1] = V::MultiplyAdd(pixel, high, sums[i][1]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) {
    V::Store(output + i * kBlock<V>, sums[i][0]);
    V::Store(output + i * kBlock<V> + V::kLanes, sums[i][1]);
  }
}

using ForwardTileFunction = void (*)(const float*, Taps, const float*, float*);

template <class V, size_t... kIndex>
ForwardTileFunction ForwardTileOf(int64_t pixels, std::index_sequence<kIndex...>) {
  static constexpr ForwardTileFunction kTiles[] = {ForwardTile<V, kIndex + 1>...};
  return kTiles[pixels - 1];
}

// Where one image's output goes: out_channels planes of height x width, `plane` floats apart.
struct OutputImage {
  int64_t channels, height, width, plane;
  float* pixels;
};

// `weights`: [blocks of kBlock channels][taps][kBlock]; `sums` is scratch, [pixels][kBlock].
template <class V>
void ForwardImage(const PaddedImage& image, Taps taps, const float* weights, float* sums,
                  const OutputImage& output) {
  const int64_t tiles = CeilDiv(output.width, V::kPixels);
  for (int64_t o = 0; o < output.channels; o += kBlock<V>) {
    for (int64_t y = 0; y < output.height; ++y) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t x = tile * output.width / tiles, end = (tile + 1) * output.width / tiles;
        ForwardTileOf<V>(end - x, std::make_index_sequence<V::kPixels>())(
            image.pixels + y * image.width + x, taps, weights + o * taps.count,
            sums + (y * output.width + x) * kBlock<V>);
      }
    }
    Transpose<V, Behind::kKept>(sums, kBlock<V>, output.height * output.width,
                                std::min(kBlock<V>, output.channels - o),
                                output.pixels + o * output.plane, output.plane);
  }
}

// One image's part of the weight gradient for some channels: `gradients`
// [height * width][channels], `sums` [taps][channels] +=, a few taps at a time.
struct GradientPart {
  PaddedImage image;
  Taps taps;
  int64_t height, width, channels;
  const float* gradients;
  float* sums;
};

// kTaps taps from `tap` on by kVectors vectors, which are all of the part's channels.
template <class V, int kTaps, int kVectors>
void GradientTile(const GradientPart& part, int64_t tap) {
  typename V::Floats total[kTaps][kVectors];
  int64_t offsets[kTaps];
  for (int i = 0; i < kTaps; ++i) {
    offsets[i] = part.taps.offsets[tap + i];
    for (int v = 0; v < kVectors; ++v) total[i][v] = V::Zero();
  }
  const float* gradients = part.gradients;
  for (int64_t y = 0; y < part.height; ++y) {
    const float* pixels = part.image.pixels + y * part.image.width;
    for (int64_t x = 0; x < part.width; ++x, ++pixels, gradients += kVectors * V::kLanes) {
      Hide(&pixels);
      typename V::Floats slopes[kVectors];
      for (int v = 0; v < kVectors; ++v) slopes[v] = V::Load(gradients + v * V::kLanes);
      for (int i = 0; i < kTaps; ++i) {
        const auto pixel = V::Set(pixels[offsets[i]]);
        for (int v = 0; v < kVectors; ++v)
          total[i][v] = V::MultiplyAdd(pixel, slopes[v], total[i][v]);
      }
    }
  }
  // Each image's sum by itself, so that rounding does not grow with the batch.
#pragma GCC unroll 8
  for (int i = 0; i < kTaps; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      float* sum = part.sums + ((tap + i) * kVectors + v) * V::kLanes;
      V::Store(sum, V::Load(sum) + total[i][v]);
    }
  }
}

using GradientTileFunction = void (*)(const GradientPart&, int64_t);

template <class V, int kVectors, size_t... kIndex>
GradientTileFunction GradientTileOf(int64_t taps, std::index_sequence<kIndex...>) {
  static constexpr GradientTileFunction kTiles[] = {GradientTile<V, kIndex + 1, kVectors>...};
  return kTiles[taps - 1];
}

// kVectors vectors of channels, or half of them where there are fewer.
template <class V, int kVectors>
void AddGradientPart(const GradientPart& part) {
  if constexpr (kVectors > 1) {
    if (part.channels < kVectors * V::kLanes) return AddGradientPart<V, kVectors / 2>(part);
  }
  const int64_t taps = part.taps.count, tiles = CeilDiv(taps, V::kTaps);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * taps / tiles, end = (tile + 1) * taps / tiles;
    GradientTileOf<V, kVectors>(end - begin, std::make_index_sequence<V::kTaps>())(part, begin);
  }
}

// Calls visit(first channel, channels) for parts that fill vectors: as many as a tile takes, then
// half of them, ...
template <class V, typename Visit>
void ForEachPart(int64_t channels, Visit visit) {
  for (int64_t o = 0; o < channels;) {
    int64_t part = V::kTapVectors * V::kLanes;
    while (part > V::kLanes && part > channels - o) part /= 2;
    visit(o, part);
    o += part;
  }
}

// packed[block][tap][kBlock] from weight(channel, tap), zeros behind the last channel.
template <class V, typename Weight>
void PackWeights(int64_t channels, int64_t taps, Weight weight, float* packed) {
  for (int64_t o = 0; o < RoundUp(channels, kBlock<V>); ++o) {
    float* to = packed + o / kBlock<V> * taps * kBlock<V> + o % kBlock<V>;
    for (int64_t tap = 0; tap < taps; ++tap)
      to[tap * kBlock<V>] = o < channels ? weight(o, tap) : 0.0f;
  }
}

template <class V>
void DirectConvolution(const ConvolutionCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t taps = shape.channels * shape.kernel * shape.kernel;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  float* weights = call.scratch;
  float* sums = weights + RoundUp(call.out_channels, kBlock<V>) * taps;
  PackWeights<V>(
      call.out_channels, taps, [&](int64_t o, int64_t tap) { return call.weights[o * taps + tap]; },
      weights);
  const PaddedImage image = PaddedIn(sums + out_pixels * kBlock<V>, shape.channels, shape.height,
                                     shape.width, shape.padding);
  const Taps all = TapsOf(image, shape.kernel);
  for (int64_t i = 0; i < shape.images; ++i) {
    FillPadded(call.input + i * in_pixels, shape.images * in_pixels, shape.height, shape.width,
               shape.padding, image);
    ForwardImage<V>(image, all, weights, sums,
                    {call.out_channels, shape.out_height(), shape.out_width(),
                     shape.images * out_pixels, call.output + i * out_pixels});
  }
}

template <class V>
void DirectConvolutionWeights(const ConvolutionWeightGradientCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t taps = shape.channels * shape.kernel * shape.kernel;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  const int64_t channels = RoundUp(call.out_channels, V::kLanes);
  float* sums = call.scratch;                 // [parts][taps][channels of the part]
  float* gradients = sums + taps * channels;  // [parts][out_pixels][channels of the part]
  const PaddedImage image = PaddedIn(gradients + out_pixels * channels, shape.channels,
                                     shape.height, shape.width, shape.padding);
  const Taps all = TapsOf(image, shape.kernel);
  std::memset(sums, 0, static_cast<size_t>(taps * channels) * sizeof(float));
  for (int64_t i = 0; i < shape.images; ++i) {
    FillPadded(call.input + i * in_pixels, shape.images * in_pixels, shape.height, shape.width,
               shape.padding, image);
    ForEachPart<V>(call.out_channels, [&](int64_t o, int64_t width) {
      float* part = gradients + o * out_pixels;
      Transpose<V>(call.output_gradient + (o * shape.images + i) * out_pixels,
                   shape.images * out_pixels, std::min(width, call.out_channels - o), out_pixels,
                   part, width);
      AddGradientPart<V, V::kTapVectors>(
          {image, all, shape.out_height(), shape.out_width(), width, part, sums + o * taps});
    });
  }
  ForEachPart<V>(call.out_channels, [&](int64_t o, int64_t width) {
    Transpose<V, Behind::kKept>(sums + o * taps, width, taps,
                                std::min(width, call.out_channels - o),
                                call.weight_gradient + o * taps, taps);
  });
}

// The convolution of the output's gradient, padded so far that every input is reached, by the
// weights turned around.
template <class V>
void DirectConvolutionInputs(const ConvolutionInputGradientCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t window = shape.kernel * shape.kernel, taps = call.out_channels * window;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  const int64_t padding = shape.kernel - 1 - shape.padding;
  float* weights = call.scratch;
  float* sums = weights + RoundUp(shape.channels, kBlock<V>) * taps;
  PackWeights<V>(
      shape.channels, taps,
      [&](int64_t c, int64_t tap) {
        return call
            .weights[(tap / window * shape.channels + c) * window + window - 1 - tap % window];
      },
      weights);
  const PaddedImage image = PaddedIn(sums + in_pixels * kBlock<V>, call.out_channels,
                                     shape.out_height(), shape.out_width(), padding);
  const Taps all = TapsOf(image, shape.kernel);
  for (int64_t i = 0; i < shape.images; ++i) {
    FillPadded(call.output_gradient + i * out_pixels, shape.images * out_pixels, shape.out_height(),
               shape.out_width(), padding, image);
    ForwardImage<V>(image, all, weights, sums,
                    {shape.channels, shape.height, shape.width, shape.images * in_pixels,
                     call.input_gradient + i * in_pixels});
  }
}

template <class V>
bool HasDirectConvolution(const ConvShape& shape, int64_t out_channels) {
  const bool fills_blocks = out_channels % kBlock<V> == 0 &&
                            (shape.channels < V::kLanes || shape.channels % kBlock<V> == 0);
  return fills_blocks && shape.stride == 1 && shape.padding < shape.kernel;
}

template <class V>
int64_t DirectConvolutionScratchFloats(const ConvShape& shape, int64_t out_channels) {
  const int64_t window = shape.kernel * shape.kernel;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  const int64_t input = PaddedFloats(shape.channels, shape.height, shape.width, shape.padding) +
                        shape.channels * window;
  const int64_t gradient = PaddedFloats(out_channels, shape.out_height(), shape.out_width(),
                                        shape.kernel - 1 - shape.padding) +
                           out_channels * window;
  const int64_t forward =
      RoundUp(out_channels, kBlock<V>) * shape.channels * window + out_pixels * kBlock<V> + input;
  const int64_t weights =
      RoundUp(out_channels, V::kLanes) * (shape.channels * window + out_pixels) + input;
  const int64_t inputs =
      RoundUp(shape.channels, kBlock<V>) * out_channels * window + in_pixels * kBlock<V> + gradient;
  return std::max({forward, weights, inputs});
}

}  // namespace
}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_CONVOLUTION_BODY_H_
