#ifndef RINGMASTER_WORKER_KERNELS_CPU_DIRECT_CONVOLUTION_H_
#define RINGMASTER_WORKER_KERNELS_CPU_DIRECT_CONVOLUTION_H_

#include <cstdint>

#include "worker/kernels/calls.h"

// Convolutions straight from the images, without columns in memory: an image at a time is copied
// with its padding, its pixels are broadcast and multiplied by vectors of output channels, which
// stay in registers until all taps are added up. Needs AVX-512 and stride 1. The order of every sum
// depends on the sizes alone.
namespace ringmaster::cpu {

// Whether this processor has what they need.
bool HasWideConvolutions();
// Whether this processor and these sizes have it: all directions of a convolution alike. Channels
// are taken 32 at a time; where there are not so many, a product of columns is faster (lenet's
// 20 and 50: 1.15 times a whole training step).
bool HasDirectConvolution(const ConvShape& shape, int64_t out_channels);
// What the calls take of scratch, the batch whatever it is.
int64_t DirectConvolutionScratchFloats(const ConvShape& shape, int64_t out_channels);

void DirectConvolution(const ConvolutionCall& call);
void DirectConvolution(const ConvolutionWeightGradientCall& call);
void DirectConvolution(const ConvolutionInputGradientCall& call);

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_DIRECT_CONVOLUTION_H_
