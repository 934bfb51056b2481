"""Finds the CUDA Toolkit and writes it down as @cuda: defs.bzl (constants, whether NCCL is there
too) and :cuda (what to link).

The toolkit is CUDA_HOME where that is set, else /usr/local/cuda. RINGMASTER_CUDA=0 leaves it out
although it is there, for builds that have no use for it. Without a toolkit everything still builds;
see cuda_shared_library in defs.bzl.
"""

_MAJOR_MIN = 12  # the first with cuBLAS's 64-bit sizes

_DEFS = '''"""Written by //third_party/cuda:repository.bzl."""

CUDA_FOUND = {found}
CUDA_HOME = {home}
CUDA_VERSION = {version}
CUDA_MISSING_REASON = {reason}
NCCL_FOUND = {nccl}
'''

_BUILD = """# Written by //third_party/cuda:repository.bzl.
cc_library(
    name = "cuda",
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)

cc_library(
    name = "cudart",
    linkopts = {cudart_linkopts},
    visibility = ["//visibility:public"],
)
"""

def _version(repository_ctx, home):
    # The last line but one of `nvcc --version` reads "Cuda compilation tools, release 13.0,
    # V13.0.88".
    result = repository_ctx.execute([home + "/bin/nvcc", "--version"])
    if result.return_code != 0 or ", V" not in result.stdout:
        return None
    return result.stdout.split(", V")[1].split("\n")[0].strip()

# (version, None) of the toolkit in `home`, or (None, why it cannot be used).
def _inspect(repository_ctx, home):
    if repository_ctx.os.environ.get("RINGMASTER_CUDA", "") == "0":
        return None, "RINGMASTER_CUDA=0 asks for a build without it"
    for file in ["bin/nvcc", "include/cublas_v2.h", "lib64/libcublas.so", "lib64/libcudart.so"]:
        if not repository_ctx.path(home + "/" + file).exists:
            return None, "no CUDA Toolkit: {}/{} does not exist (set CUDA_HOME)".format(home, file)
    version = _version(repository_ctx, home)
    if version == None:
        return None, "{}/bin/nvcc --version does not answer".format(home)
    if int(version.split(".")[0]) < _MAJOR_MIN:
        return None, "the CUDA Toolkit in {} is {}, {} or newer is needed".format(
            home,
            version,
            _MAJOR_MIN,
        )
    return version, None

def _cuda_toolkit_impl(repository_ctx):
    home = repository_ctx.os.environ.get("CUDA_HOME", "") or "/usr/local/cuda"
    version, reason = _inspect(repository_ctx, home)
    lib = home + "/lib64"
    cudart = [] if version == None else ["-L" + lib, "-lcudart", "-Wl,-rpath," + lib]
    linkopts = [] if version == None else ["-L" + lib, "-lcublas"] + cudart[1:]
    repository_ctx.file(
        "BUILD",
        _BUILD.format(linkopts = repr(linkopts), cudart_linkopts = repr(cudart)),
    )
    repository_ctx.file("defs.bzl", _DEFS.format(
        found = version != None,
        home = repr(home),
        version = repr(version or ""),
        reason = repr(reason or ""),
        nccl = version != None and repository_ctx.path(home + "/include/nccl.h").exists,
    ))

cuda_toolkit = repository_rule(
    implementation = _cuda_toolkit_impl,
    local = True,
    environ = [
        "CUDA_HOME",
        "RINGMASTER_CUDA",
    ],
)
