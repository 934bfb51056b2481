"""Finds the system's libraries, so that BUILD files name them as @system//:NAME.

Headers lie in the compiler's own search path; what differs from machine to machine is the list of
-l flags, which pkg-config knows. A library that is not installed becomes a target whose build names
the package to install, so a build that does not need it (./run needs no GoogleTest) is not
disturbed.
"""

_ABSL = [
    "absl_bind_front",
    "absl_cleanup",
    "absl_failure_signal_handler",
    "absl_flat_hash_map",
    "absl_flat_hash_set",
    "absl_function_ref",
    "absl_int128",
    "absl_inlined_vector",
    "absl_random_random",
    "absl_span",
    "absl_status",
    "absl_statusor",
    "absl_str_format",
    "absl_strings",
    "absl_symbolize",
    "absl_synchronization",
    "absl_time",
]

# name: (pkg-config modules, -l flags where there is no module, a header that must exist, Debian
# package)
_LIBRARIES = {
    "absl": (_ABSL, [], "absl/status/statusor.h", "libabsl-dev"),
    "benchmark": (["benchmark"], [], "benchmark/benchmark.h", "libbenchmark-dev"),
    "cli11": ([], [], "CLI/CLI.hpp", "libcli11-dev"),
    "crypto": (["libcrypto"], [], "openssl/evp.h", "libssl-dev"),
    "dnnl": ([], ["-ldnnl"], "dnnl.h", "libdnnl-dev"),
    "grpcpp": (["grpc++"], [], "grpcpp/grpcpp.h", "libgrpc++-dev"),
    "gtest": (["gtest", "gmock"], [], "gtest/gtest.h", "libgtest-dev libgmock-dev"),
    "gtest_main": (["gtest_main", "gmock"], [], "gtest/gtest.h", "libgtest-dev libgmock-dev"),
    "nlohmann_json": ([], [], "nlohmann/json.hpp", "nlohmann-json3-dev"),
    "protobuf": (["protobuf"], [], "google/protobuf/message.h", "libprotobuf-dev"),
    "spdlog": (["spdlog"], [], "spdlog/spdlog.h", "libspdlog-dev"),
    "sqlite3": (["sqlite3"], [], "sqlite3.h", "libsqlite3-dev"),
    "ssl": (["libssl", "libcrypto"], [], "openssl/ssl.h", "libssl-dev"),
    "zlib": (["zlib"], [], "zlib.h", "zlib1g-dev"),
}

# Libraries whose macros, which pkg-config knows, are set for those who use them. Without them
# spdlog's headers hold all of its code, which takes 13 s to compile.
_WITH_MACROS = ["spdlog"]

# What the program can do without: name: (-l flags, a header that must exist). Nothing is built for
# a library that is missing; @system//:optional.bzl says which are there.
_OPTIONAL = {
    "gloo": (["-lgloo"], "gloo/allreduce.h"),
    # Of Open MPI alone: MPICH has no such header.
    "mpi": (["-lmpi"], "mpi/mpi-ext.h"),
    "mpich": (["-lmpich"], "mpich/mpi.h"),
    # For a test alone.
    "simgrid": (["-lsimgrid"], "simgrid/s4u.hpp"),
}

_FOUND = """
cc_library(
    name = "{name}",
    defines = {defines},
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
)
"""

_MISSING = """
genrule(
    name = "{name}_is_missing",
    outs = ["{name}_is_missing.h"],
    cmd = "echo '{name} is not installed: apt-get install {package}' >&2; exit 1",
)

cc_library(
    name = "{name}",
    hdrs = ["{name}_is_missing.h"],
    visibility = ["//visibility:public"],
)
"""

def _unique_flags(text):
    # The order of -l flags matters to a static linker only; these are shared, so the first of each
    # is enough.
    flags = []
    for flag in text.split(" "):
        flag = flag.strip()
        if flag and flag not in flags:
            flags.append(flag)
    return flags

def _link_flags(repository_ctx, modules, flags):
    if not modules:
        return flags
    result = repository_ctx.execute(["pkg-config", "--libs"] + modules)
    return _unique_flags(result.stdout) if result.return_code == 0 else None

def _defines(repository_ctx, name, modules):
    if name not in _WITH_MACROS:
        return []
    result = repository_ctx.execute(["pkg-config", "--cflags-only-other"] + modules)
    return [flag[2:] for flag in _unique_flags(result.stdout) if flag.startswith("-D")]

def _has_header(repository_ctx, header):
    return repository_ctx.path("/usr/include/" + header).exists or \
           repository_ctx.path("/usr/include/x86_64-linux-gnu/" + header).exists

def _system_libraries_impl(repository_ctx):
    # Installing a package later must be noticed: dpkg rewrites this file.
    repository_ctx.path("/var/lib/dpkg/status")
    build = ["# Written by //third_party/system:repository.bzl."]
    for name, (modules, flags, header, package) in _LIBRARIES.items():
        linkopts = None
        if _has_header(repository_ctx, header):
            linkopts = _link_flags(repository_ctx, modules, flags)
        if linkopts == None:
            build.append(_MISSING.format(name = name, package = package))
        else:
            defines = repr(_defines(repository_ctx, name, modules))
            build.append(_FOUND.format(name = name, defines = defines, linkopts = repr(linkopts)))
    optional = {}
    for name, (linkopts, header) in _OPTIONAL.items():
        optional[name] = _has_header(repository_ctx, header)
        found_linkopts = linkopts if optional[name] else []
        build.append(_FOUND.format(name = name, defines = "[]", linkopts = repr(found_linkopts)))
    # For what reads installed files that Bazel does not see: other packages, another action.
    installed = repository_ctx.execute(["sha256sum", "/var/lib/dpkg/status"])
    repository_ctx.file("packages.sha256", installed.stdout)
    build.append("\nexports_files([\"packages.sha256\"])\n")
    repository_ctx.file("BUILD", "\n".join(build))
    repository_ctx.file(
        "optional.bzl",
        "# Written by //third_party/system:repository.bzl.\nFOUND = " + repr(optional) + "\n",
    )

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    local = True,
    environ = ["PKG_CONFIG_PATH"],
)
