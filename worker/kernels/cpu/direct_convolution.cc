#include "worker/kernels/cpu/direct_convolution.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/partition.h"
#include "worker/kernels/cpu/wide_vectors.h"

// Everything below is entered only where the processor has AVX-512.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
// The intrinsics' own undefined operands.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace ringmaster::cpu {
namespace {

constexpr int64_t kBlock = 2 * kLanes;  // output channels of a forward tile
constexpr int64_t kTilePixels = 14;     // with two vectors each: 28 of the 32 registers hold sums
constexpr int64_t kTileTaps = 7;        // of a weight gradient's tile, with up to four vectors each

int64_t RoundUp(int64_t value, int64_t unit) { return CeilDiv(value, unit) * unit; }

// One image's planes with zeros around: [channels][height][width] of the padded image.
struct PaddedImage {
  int64_t channels, height, width;
  float* pixels;
};

// `planes` lie `plane_stride` apart. The border is zero already: only the middle is written.
void FillPadded(const float* planes, int64_t plane_stride, int64_t height, int64_t width,
                int64_t padding, const PaddedImage& padded) {
  for (int64_t c = 0; c < padded.channels; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      const float* from = planes + c * plane_stride + y * width;
      float* to = padded.pixels + (c * padded.height + y + padding) * padded.width + padding;
      for (int64_t x = 0; x < width; x += kLanes) {
        const __mmask16 mask = FirstLanes(width - x);
        _mm512_mask_storeu_ps(to + x, mask, _mm512_maskz_loadu_ps(mask, from + x));
      }
    }
  }
}

// A tile of the output: kPixels neighbours of one row by kBlock channels. `weights`:
// [taps][kBlock].
template <int kPixels>
void ForwardTile(const PaddedImage& image, const float* corner, int64_t kernel,
                 const float* weights, float* output, int64_t output_plane, int64_t out_channels) {
  __m512 sums[kPixels][2];
  for (int i = 0; i < kPixels; ++i) sums[i][0] = sums[i][1] = _mm512_setzero_ps();
  for (int64_t c = 0; c < image.channels; ++c) {
    for (int64_t ky = 0; ky < kernel; ++ky) {
      const float* pixels = corner + (c * image.height + ky) * image.width;
      for (int64_t kx = 0; kx < kernel; ++kx, ++pixels, weights += kBlock) {
        Hide(&pixels);
        const __m512 low = _mm512_loadu_ps(weights), high = _mm512_loadu_ps(weights + kLanes);
        for (int i = 0; i < kPixels; ++i) {
          const __m512 pixel = _mm512_set1_ps(pixels[i]);
          sums[i][0] = _mm512_fmadd_ps(pixel, low, sums[i][0]);
          sums[i][1] = _mm512_fmadd_ps(pixel, high, sums[i][1]);
        }
      }
    }
  }
  const __mmask16 mask = FirstLanes(kPixels);
  for (int half = 0; half < 2; ++half) {
    __m512 rows[16];
    for (int i = 0; i < 16; ++i)
      rows[i] = i < kPixels ? sums[i < kPixels ? i : 0][half] : _mm512_setzero_ps();
    Transpose16(rows);
    const int64_t count = std::clamp<int64_t>(out_channels - half * kLanes, 0, kLanes);
    for (int64_t o = 0; o < count; ++o) {
      _mm512_mask_storeu_ps(output + (half * kLanes + o) * output_plane, mask, rows[o]);
    }
  }
}

using ForwardTileFunction = void (*)(const PaddedImage&, const float*, int64_t, const float*,
                                     float*, int64_t, int64_t);

template <size_t... kIndex>
ForwardTileFunction ForwardTileOf(int64_t pixels, std::index_sequence<kIndex...>) {
  static constexpr ForwardTileFunction kTiles[] = {ForwardTile<kIndex + 1>...};
  return kTiles[pixels - 1];
}

// Where one image's output goes: out_channels planes of height x width, `plane` floats apart.
struct OutputImage {
  int64_t channels, height, width, plane;
  float* pixels;
};

// `weights`: [blocks of kBlock channels][taps][kBlock].
void ForwardImage(const PaddedImage& image, int64_t kernel, const float* weights,
                  const OutputImage& output) {
  const int64_t taps = image.channels * kernel * kernel;
  const int64_t tiles = CeilDiv(output.width, kTilePixels);
  for (int64_t o = 0; o < output.channels; o += kBlock) {
    for (int64_t y = 0; y < output.height; ++y) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t x = tile * output.width / tiles, end = (tile + 1) * output.width / tiles;
        ForwardTileOf(end - x, std::make_index_sequence<kTilePixels>())(
            image, image.pixels + y * image.width + x, kernel, weights + o * taps,
            output.pixels + o * output.plane + y * output.width + x, output.plane,
            output.channels - o);
      }
    }
  }
}

// sums[i][channel] += the products of tap i's pixels by the gradients of all outputs: kTaps
// neighbouring taps of one kernel row by kVectors vectors of channels. `gradients`:
// [outputs][channels].
template <int kTaps, int kVectors>
void GradientTile(const float* corner, int64_t image_width, int64_t height, int64_t width,
                  const float* gradients, int64_t channels, float* sums) {
  __m512 total[kTaps][kVectors];
  for (int i = 0; i < kTaps; ++i) {
    for (int v = 0; v < kVectors; ++v) total[i][v] = _mm512_setzero_ps();
  }
  for (int64_t y = 0; y < height; ++y) {
    const float* pixels = corner + y * image_width;
    for (int64_t x = 0; x < width; ++x, ++pixels, gradients += channels) {
      Hide(&pixels);
      __m512 slopes[kVectors];
      for (int v = 0; v < kVectors; ++v) slopes[v] = _mm512_loadu_ps(gradients + v * kLanes);
      for (int i = 0; i < kTaps; ++i) {
        const __m512 pixel = _mm512_set1_ps(pixels[i]);
        for (int v = 0; v < kVectors; ++v)
          total[i][v] = _mm512_fmadd_ps(pixel, slopes[v], total[i][v]);
      }
    }
  }
  // Each image's sum by itself, so that rounding does not grow with the batch.
  for (int i = 0; i < kTaps; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      float* sum = sums + i * channels + v * kLanes;
      _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), total[i][v]));
    }
  }
}

using GradientTileFunction = void (*)(const float*, int64_t, int64_t, int64_t, const float*,
                                      int64_t, float*);

template <int kVectors, size_t... kIndex>
GradientTileFunction GradientTileOf(int64_t taps, std::index_sequence<kIndex...>) {
  static constexpr GradientTileFunction kTiles[] = {GradientTile<kIndex + 1, kVectors>...};
  return kTiles[taps - 1];
}

// One image's part of the weight gradient: sums[taps][channels] += . `gradients`:
// [outputs][channels], channels a multiple of 16.
void GradientImage(const PaddedImage& image, int64_t kernel, int64_t height, int64_t width,
                   const float* gradients, int64_t channels, float* sums) {
  constexpr auto kTaps = std::make_index_sequence<kTileTaps>();
  for (int64_t o = 0; o < channels;) {
    const int64_t vectors = channels - o >= 4 * kLanes ? 4 : channels - o >= 2 * kLanes ? 2 : 1;
    for (int64_t c = 0; c < image.channels; ++c) {
      for (int64_t ky = 0; ky < kernel; ++ky) {
        for (int64_t kx = 0; kx < kernel; kx += kTileTaps) {
          const int64_t taps = std::min(kTileTaps, kernel - kx);
          const GradientTileFunction tile = vectors == 4   ? GradientTileOf<4>(taps, kTaps)
                                            : vectors == 2 ? GradientTileOf<2>(taps, kTaps)
                                                           : GradientTileOf<1>(taps, kTaps);
          tile(image.pixels + (c * image.height + ky) * image.width + kx, image.width, height,
               width, gradients + o, channels,
               sums + ((c * kernel + ky) * kernel + kx) * channels + o);
        }
      }
    }
    o += vectors * kLanes;
  }
}

// packed[block][tap][kBlock] from weight(channel, tap), zeros behind the last channel.
template <typename Weight>
void PackWeights(int64_t channels, int64_t taps, Weight weight, float* packed) {
  for (int64_t o = 0; o < RoundUp(channels, kBlock); ++o) {
    float* to = packed + o / kBlock * taps * kBlock + o % kBlock;
    for (int64_t tap = 0; tap < taps; ++tap)
      to[tap * kBlock] = o < channels ? weight(o, tap) : 0.0f;
  }
}

PaddedImage PaddedIn(float* scratch, int64_t channels, int64_t height, int64_t width,
                     int64_t padding) {
  const PaddedImage image{channels, height + 2 * padding, width + 2 * padding, scratch};
  std::memset(scratch, 0,
              static_cast<size_t>(channels * image.height * image.width) * sizeof(float));
  return image;
}

int64_t PaddedFloats(int64_t channels, int64_t height, int64_t width, int64_t padding) {
  return channels * (height + 2 * padding) * (width + 2 * padding);
}

}  // namespace

void DirectConvolution(const ConvolutionCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t taps = shape.channels * shape.kernel * shape.kernel;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  float* weights = call.scratch;
  PackWeights(
      call.out_channels, taps, [&](int64_t o, int64_t tap) { return call.weights[o * taps + tap]; },
      weights);
  const PaddedImage image = PaddedIn(weights + RoundUp(call.out_channels, kBlock) * taps,
                                     shape.channels, shape.height, shape.width, shape.padding);
  for (int64_t i = 0; i < shape.images; ++i) {
    FillPadded(call.input + i * in_pixels, shape.images * in_pixels, shape.height, shape.width,
               shape.padding, image);
    ForwardImage(image, shape.kernel, weights,
                 {call.out_channels, shape.out_height(), shape.out_width(),
                  shape.images * out_pixels, call.output + i * out_pixels});
  }
}

void DirectConvolution(const ConvolutionWeightGradientCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t taps = shape.channels * shape.kernel * shape.kernel;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  const int64_t channels = RoundUp(call.out_channels, kLanes);
  float* sums = call.scratch;
  float* gradients = sums + taps * channels;
  const PaddedImage image = PaddedIn(gradients + out_pixels * channels, shape.channels,
                                     shape.height, shape.width, shape.padding);
  std::memset(sums, 0, static_cast<size_t>(taps * channels) * sizeof(float));
  for (int64_t i = 0; i < shape.images; ++i) {
    FillPadded(call.input + i * in_pixels, shape.images * in_pixels, shape.height, shape.width,
               shape.padding, image);
    Transpose(call.output_gradient + i * out_pixels, shape.images * out_pixels, call.out_channels,
              out_pixels, gradients, channels);
    GradientImage(image, shape.kernel, shape.out_height(), shape.out_width(), gradients, channels,
                  sums);
  }
  for (int64_t o = 0; o < call.out_channels; ++o) {
    for (int64_t tap = 0; tap < taps; ++tap)
      call.weight_gradient[o * taps + tap] = sums[tap * channels + o];
  }
}

// The convolution of the output's gradient, padded so far that every input is reached, by the
// weights turned around.
void DirectConvolution(const ConvolutionInputGradientCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t window = shape.kernel * shape.kernel, taps = call.out_channels * window;
  const int64_t in_pixels = shape.height * shape.width,
                out_pixels = shape.out_height() * shape.out_width();
  const int64_t padding = shape.kernel - 1 - shape.padding;
  float* weights = call.scratch;
  PackWeights(
      shape.channels, taps,
      [&](int64_t c, int64_t tap) {
        return call
            .weights[(tap / window * shape.channels + c) * window + window - 1 - tap % window];
      },
      weights);
  const PaddedImage image =
      PaddedIn(weights + RoundUp(shape.channels, kBlock) * taps, call.out_channels,
               shape.out_height(), shape.out_width(), padding);
  for (int64_t i = 0; i < shape.images; ++i) {
    FillPadded(call.output_gradient + i * out_pixels, shape.images * out_pixels, shape.out_height(),
               shape.out_width(), padding, image);
    ForwardImage(image, shape.kernel, weights,
                 {shape.channels, shape.height, shape.width, shape.images * in_pixels,
                  call.input_gradient + i * in_pixels});
  }
}

#pragma GCC diagnostic pop
#pragma GCC pop_options

bool HasWideConvolutions() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

bool HasDirectConvolution(const ConvShape& shape, int64_t out_channels) {
  const bool fills_blocks =
      out_channels % kBlock == 0 && (shape.channels < kLanes || shape.channels % kBlock == 0);
  return fills_blocks && shape.stride == 1 && shape.padding < shape.kernel && HasWideConvolutions();
}

int64_t DirectConvolutionScratchFloats(const ConvShape& shape, int64_t out_channels) {
  const int64_t window = shape.kernel * shape.kernel;
  const int64_t out_pixels = shape.out_height() * shape.out_width();
  const int64_t input = PaddedFloats(shape.channels, shape.height, shape.width, shape.padding);
  const int64_t gradient = PaddedFloats(out_channels, shape.out_height(), shape.out_width(),
                                        shape.kernel - 1 - shape.padding);
  const int64_t forward = RoundUp(out_channels, kBlock) * shape.channels * window + input;
  const int64_t weights =
      RoundUp(out_channels, kLanes) * (shape.channels * window + out_pixels) + input;
  const int64_t inputs = RoundUp(shape.channels, kBlock) * out_channels * window + gradient;
  return std::max({forward, weights, inputs});
}

}  // namespace ringmaster::cpu
