#ifndef RINGMASTER_WORKER_DATA_SAMPLES_H_
#define RINGMASTER_WORKER_DATA_SAMPLES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ringmaster {

// Extent of one sample and the number of classes: an image with one label, or a text of `context`
// tokens, each with the next one as its label (channels, height and width are then 0).
struct SampleShape {
  int32_t channels = 1;
  int32_t height = 0;
  int32_t width = 0;
  int32_t classes = 0;
  int32_t context = 0;  // 0: images
  int64_t features() const { return int64_t{1} * channels * height * width; }
  int64_t labels() const { return context > 0 ? context : 1; }
};

// Labelled samples in memory. Immutable after loading; thread-safe to read.
struct Samples {
  SampleShape shape;
  // Images: floats, or bytes with what each byte of a channel means, a quarter of the memory. One
  // of the two is empty; both are where nobody looks at the images, see DatasetPart.
  std::vector<float> features;      // [count][channels][height][width], normalized
  std::vector<uint8_t> pixels;      // [count][channels][height][width]
  std::vector<float> pixel_values;  // [channels][256], normalized
  std::vector<int32_t> tokens;      // [count][context], in [0, classes); texts only
  std::vector<int32_t> labels;      // [count][shape.labels()], in [0, classes)
  int64_t count() const { return static_cast<int64_t>(labels.size()) / shape.labels(); }

  bool has_features() const { return !features.empty() || !pixels.empty(); }

  // Writes the features of the image at `index`, shape.features() floats, to `to`. REQUIRES:
  // has_features().
  void CopyFeatures(int64_t index, float* to) const {
    if (pixels.empty()) {
      std::copy_n(features.data() + index * shape.features(), shape.features(), to);
      return;
    }
    const int64_t size = int64_t{1} * shape.height * shape.width;
    const uint8_t* from = pixels.data() + index * shape.features();
    for (const float* values = pixel_values.data();
         values < pixel_values.data() + pixel_values.size(); values += 256) {
      for (int64_t i = 0; i < size; ++i) *to++ = values[*from++];
    }
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_SAMPLES_H_
