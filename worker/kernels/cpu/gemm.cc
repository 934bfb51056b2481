#include <dnnl.h>
#include <omp.h>

#include "absl/strings/str_cat.h"
#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// The instruction set that oneDNN picks its kernels for; unlike the processor's own, it obeys
// oneDNN's settings.
const char* EffectiveInstructionSet() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_all:
      return "all";
    case dnnl_cpu_isa_sse41:
      return "sse41";
    case dnnl_cpu_isa_avx:
      return "avx";
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx512_mic:
      return "avx512_mic";
    case dnnl_cpu_isa_avx512_mic_4ops:
      return "avx512_mic_4ops";
    case dnnl_cpu_isa_avx512_core:
      return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core_amx";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
  }
  return "unknown";
}

// alpha * op(a) op(b) is an empty sum: what remains is c = beta * c.
void ScaleOutput(const GemmCall& call) {
  for (int64_t row = 0; row < call.m; ++row) {
    for (int64_t col = 0; col < call.n; ++col) {
      float& c = call.c[row * call.ldc + col];
      c = call.beta == 0.0f ? 0.0f : call.beta * c;
    }
  }
}

}  // namespace

absl::Status Compute(const GemmCall& call, const Loops& loops) {
  if (call.m == 0 || call.n == 0) return absl::OkStatus();
  if (call.k == 0) {
    ScaleOutput(call);
    return absl::OkStatus();
  }
  if (loops.multiply_few_rows(call)) return absl::OkStatus();
  // OpenMP's count belongs to the calling thread and not to the library object, so it is set (one
  // store to thread-local memory) where it is used.
  omp_set_num_threads(1);
  const dnnl_status_t status =
      dnnl_sgemm(call.transpose_a ? 'T' : 'N', call.transpose_b ? 'T' : 'N', call.m, call.n, call.k,
                 call.alpha, call.a, call.lda, call.b, call.ldb, call.beta, call.c, call.ldc);
  if (status == dnnl_success) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("gemm m=", call.m, " n=", call.n, " k=", call.k,
                                          " lda=", call.lda, " ldb=", call.ldb, " ldc=", call.ldc,
                                          ": oneDNN answered status ", status));
}

const Loops& BestLoops() {
  const Loops* const wide = Avx512Loops();
  const int isa = dnnl_get_effective_cpu_isa();
  const bool allowed = (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
  return wide != nullptr && allowed ? *wide : Avx2Loops();
}

std::string GemmTarget() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat("onednn ", version->major, ".", version->minor, ".", version->patch, " ",
                      EffectiveInstructionSet());
}

}  // namespace ringmaster::cpu
