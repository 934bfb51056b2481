#ifndef RINGMASTER_COMMON_CODEC_LOOPS_GROUPS_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ringmaster {

// What the loops' bodies share. Everything is static or depends on a set of vectors, so that no two
// files share code.

// Two bytes at any address: a half or a bfloat.
struct Word {
  std::byte bytes[2];
};

// Asks for the cache line that is written 2 KiB further on: a loop that only writes is held up by
// every line it does not have, for no load announces them. Measured on 16 MiB: 1.5 times as fast,
// and above memcpy's bandwidth; in the second cache no difference. Stores past the caches are
// slower by far until the third cache is full, too.
static inline void PrefetchForStore(const float* to) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(to) + 2048), 1);
}

// Asks for the line that lies `floats` further on, for loops that compute more than they read.
static inline void PrefetchForLoad(const float* from, size_t floats) {
  __builtin_prefetch(
      reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(from) + sizeof(float) * floats));
}

// How far ahead a loop asks that reads once from the first to the last. Measured on 16 MiB: 1.2 to
// 1.7 times as fast, and no better further on.
inline constexpr size_t kAhead = 1024;

// What is left over at the end, padded with zeros to a whole group of vectors.
template <class V, class T, size_t kCount>
struct Padded {
  Padded(const T* from, size_t count) { std::memcpy(values, from, count * sizeof(T)); }
  void To(T* to, size_t count) const { std::memcpy(to, values, count * sizeof(T)); }

  alignas(64) T values[kCount] = {};
};

// Calls use(in + i, out + i, i) for every kGroup elements; those that are left over at the end go
// through padded copies and the same instructions.
template <class V, size_t kGroup, class In, class Out, class Use>
static inline void ForGroups(const In* in, Out* out, size_t n, Use use) {
  size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) use(in + i, out + i, i);
  if (i == n) return;
  const Padded<V, In, kGroup> from(in + i, n - i);
  Padded<V, Out, kGroup> to(out + i, n - i);
  use(from.values, to.values, i);
  to.To(out + i, n - i);
}

// What is done with decoded values and their place in the output.
struct Stores {
  template <class V>
  static void Use(typename V::Floats values, float* to) {
    PrefetchForStore(to);
    V::Store(values, to);
  }
};
struct Adds {
  template <class V>
  static void Use(typename V::Floats values, float* to) {
    V::Store(V::Add(V::Load(to), values), to);
  }
};
struct Subtracts {
  template <class V>
  static void Use(typename V::Floats values, float* to) {
    V::Store(V::Subtract(V::Load(to), values), to);
  }
};

// Lanes are halved in number, the upper half added to the lower, until one is left.
template <class V, size_t kCount>
static inline double FoldLanes(double (&lanes)[kCount]) {
  for (size_t width = kCount / 2; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

// The same of vectors that follow each other: kCount * kDoubles lanes.
template <class V, size_t kCount>
static inline double FoldVectors(typename V::Doubles (&sums)[kCount]) {
  for (size_t width = kCount / 2; width > 0; width /= 2) {
    for (size_t s = 0; s < width; ++s) sums[s] = V::AddDoubles(sums[s], sums[s + width]);
  }
  alignas(64) double lanes[V::kDoubles];
  V::StoreDoubles(sums[0], lanes);
  return FoldLanes<V>(lanes);
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_GROUPS_H_
