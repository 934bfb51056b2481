"""Finds the four MNIST files where set-up keeps them and writes them down as @mnist//:files, which
is empty without them.

Only what packs data needs it; programs and tests are told a folder. The folder is
RINGMASTER_MNIST_DIR where that is set, else ~/.cache/ringmaster/mnist.
"""

_FILES = [
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
]

_BUILD = """# Written by //third_party/mnist:repository.bzl.
filegroup(
    name = "files",
    srcs = {files},
    visibility = ["//visibility:public"],
)
"""

def _mnist_impl(repository_ctx):
    environ = repository_ctx.os.environ
    cache = environ.get("XDG_CACHE_HOME", "") or environ.get("HOME", "/tmp") + "/.cache"
    folder = environ.get("RINGMASTER_MNIST_DIR", "") or cache + "/ringmaster/mnist"
    found = [name for name in _FILES if repository_ctx.path(folder + "/" + name).exists]
    if len(found) < len(_FILES):
        found = []
    for name in found:
        repository_ctx.symlink(folder + "/" + name, name)
    repository_ctx.file("BUILD", _BUILD.format(files = repr(found)))

mnist_files = repository_rule(
    implementation = _mnist_impl,
    local = True,
    environ = [
        "HOME",
        "RINGMASTER_MNIST_DIR",
        "XDG_CACHE_HOME",
    ],
)
