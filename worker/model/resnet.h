#ifndef RINGMASTER_WORKER_MODEL_RESNET_H_
#define RINGMASTER_WORKER_MODEL_RESNET_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/model/model.h"

namespace ringmaster {

class ResnetSpec;

// A residual network for small images: conv1 3x3, bn1, relu; layer1, layer2 and layer3 of `blocks`
// blocks each (conv1, bn1, relu, conv2, bn2, plus what came in, relu) with 1, 2 and 4 times `width`
// channels, the first block of layer2 and of layer3 with stride 2 and a downsample (1x1
// convolution, norm) for what comes in; the mean of each channel; fc. Three blocks of width 16 are
// ResNet-20, with 272 474 weights for 3x32x32 and 10 classes. Names are PyTorch's, bn1 and the like
// also where the norm is "group". Source: He et al. 2016, section 4.2, with projections at the
// downsamplings. InvalidArgument: sides below 8, no channel or no class, sizes below one, groups
// that do not divide the width, another norm than "batch" and "group", or as Sequential says.
absl::StatusOr<std::unique_ptr<Model>> CreateResnet(const ResnetSpec& spec,
                                                    const ModelOptions& options,
                                                    KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_RESNET_H_
