"""cc_library(), cc_binary(), cc_test(): the native rules, with the headers of others compiled once.

Half the processor time of a build went into the same headers of the C++ library, Abseil, Protocol
Buffers and GoogleTest, read again for each file. Here they are read once for all files: each is
compiled as if its first line included third_party/build/headers.h (below tests/ test_headers.h).
A file still includes what it uses; tests/lint looks after that.
"""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

def _precompiled_header_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    cpp = ctx.fragments.cpp
    out = ctx.actions.declare_file(ctx.label.name + ".h.gch")
    context = cc_common.merge_cc_infos(
        cc_infos = [dep[CcInfo] for dep in ctx.attr.deps],
    ).compilation_context
    # The options of any C++ file of this build: a header compiled with others would be refused.
    options = cc_common.get_memory_inefficient_command_line(
        feature_configuration = features,
        action_name = "c++-compile",
        variables = cc_common.create_compile_variables(
            feature_configuration = features,
            cc_toolchain = toolchain,
            source_file = ctx.file.src.path,
            output_file = out.path,
            user_compile_flags = cpp.copts + cpp.cxxopts,
            use_pic = True,
        ),
    )
    ctx.actions.run(
        outputs = [out],
        inputs = depset(
            [ctx.file.src] + ctx.files.hdrs,
            transitive = [toolchain.all_files, context.headers],
        ),
        executable = toolchain.compiler_executable,
        arguments = ["-x", "c++-header", "-iquote", "."] + options,
        env = {"PATH": "/usr/bin:/bin"},
        mnemonic = "CppPrecompile",
        progress_message = "Compiling %s once for all files" % ctx.file.src.short_path,
    )
    return [DefaultInfo(files = depset([out]))]

# NAME.h.gch from the header `src`, which may include `hdrs` and what `deps` offer: a file compiled
# with "-include FOLDER/NAME.h" reads it, and there is no such header.
precompiled_header = rule(
    implementation = _precompiled_header_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo]),
        "hdrs": attr.label_list(allow_files = [".h"]),
        "src": attr.label(allow_single_file = [".h"], mandatory = True),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def _with_headers(arguments):
    name = "precompiled"
    if (native.package_name() + "/").startswith("tests/"):
        name = "test_precompiled"
    arguments["deps"] = arguments.get("deps", []) + select({
        "//third_party/build:clang": [],
        "//conditions:default": ["//third_party/build:" + name + "_headers"],
    })
    arguments["copts"] = select({
        # It finds no .gch below bazel-out.
        "//third_party/build:clang": [],
        "//conditions:default": ["-include", "third_party/build/" + name + ".h"],
    }) + arguments.get("copts", [])
    return arguments

def cc_library(**arguments):
    """native.cc_library()."""
    if arguments.get("srcs"):
        arguments = _with_headers(arguments)
    native.cc_library(**arguments)

def cc_binary(**arguments):
    """native.cc_binary()."""
    native.cc_binary(**_with_headers(arguments))

def cc_test(**arguments):
    """native.cc_test()."""
    native.cc_test(**_with_headers(arguments))
