"""cuda_shared_library(): CUDA C++ compiled by nvcc, one action a file, linked to one shared object.
"""

load("@cuda//:defs.bzl", "CUDA_FOUND", "CUDA_HOME", "CUDA_MISSING_REASON", "CUDA_VERSION")

# Machine code for A100 and H100/H200, and PTX from which a driver makes code for what comes later.
_ARCHITECTURES = [
    "-gencode=arch=compute_80,code=sm_80",
    "-gencode=arch=compute_90,code=[sm_90,compute_90]",
]

_HOST_OPTIONS = [
    "-fPIC",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-missing-field-initializers",
]

def _cuda_object_impl(ctx):
    infos = [dep[CcInfo] for dep in ctx.attr.deps]
    context = cc_common.merge_cc_infos(cc_infos = infos).compilation_context
    out = ctx.actions.declare_file(ctx.label.name + ".pic.o")
    arguments = ctx.actions.args()
    arguments.add("-std=c++17")
    arguments.add_all(["-O3", "-DNDEBUG", "-ccbin=g++"])
    arguments.add_all(_ARCHITECTURES)
    arguments.add("-Xcompiler=" + ",".join(_HOST_OPTIONS))
    arguments.add("-I.")
    arguments.add("-I" + ctx.bin_dir.path)
    arguments.add_all(["-c", ctx.file.src.path, "-o", out.path])
    ctx.actions.run(
        outputs = [out],
        inputs = depset([ctx.file.src] + ctx.files.hdrs, transitive = [context.headers]),
        executable = CUDA_HOME + "/bin/nvcc",
        arguments = [arguments],
        # Another version of the toolkit is another action.
        env = {"CUDA_VERSION": CUDA_VERSION, "PATH": "/usr/bin:/bin"},
        mnemonic = "Nvcc",
        progress_message = "Compiling %s with nvcc" % ctx.file.src.short_path,
    )
    return [DefaultInfo(files = depset([out]))]

_cuda_object = rule(
    implementation = _cuda_object_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo]),
        "hdrs": attr.label_list(allow_files = [".h", ".cuh"]),
        "src": attr.label(allow_single_file = [".cu", ".cc"], mandatory = True),
    },
)

def _without_toolkit(name, visibility):
    note = "lib" + name + ".so is left out: " + CUDA_MISSING_REASON
    native.genrule(
        name = name + "_note",
        outs = [name + ".left_out.txt"],
        cmd = "echo '" + note + "' | tee $@ >&2",
    )
    native.filegroup(name = name, srcs = [name + ".left_out.txt"], visibility = visibility)

def cuda_shared_library(
        name,
        srcs,
        hdrs = [],
        deps = [],
        libraries = "@cuda//:cuda",
        visibility = None):
    """`lib<name>.so` from CUDA and C++ sources; `name` stands for the file in `data` attributes.

    Without a toolkit `name` holds no library, only a note that says why, which building it also
    prints.

    Args:
      name: names the shared object.
      srcs: .cu and .cc files; both are compiled by nvcc, so both may include CUDA's headers.
      hdrs: headers of this library.
      deps: cc_library targets the sources include and need; they are linked in.
      libraries: what of the toolkit is linked: "@cuda//:cuda", or "@cuda//:cudart" alone.
      visibility: of `name`.
    """
    if not CUDA_FOUND:
        _without_toolkit(name, visibility)
        return
    objects = []
    for src in srcs:
        _cuda_object(name = src.replace(".", "_"), src = src, hdrs = hdrs, deps = deps)
        objects.append(src.replace(".", "_"))
    native.cc_binary(
        name = "lib" + name + ".so",
        srcs = objects,
        linkshared = True,
        # Where a bundle keeps what the library needs (experiments/proof/bundle); the toolkit's
        # folder comes after it.
        linkopts = ["-Wl,-rpath,$$ORIGIN/../lib"],
        deps = deps + [libraries],
    )
    native.filegroup(name = name, srcs = ["lib" + name + ".so"], visibility = visibility)
