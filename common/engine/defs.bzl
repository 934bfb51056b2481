"""engine_shared_library(): an engine as a shared object that the program loads when it is asked
for.
"""

def engine_shared_library(name, srcs, found, deps, copts = []):
    """`libringmaster_<name>.so`; the target `name` stands for the file in `data` attributes.

    Args:
      name: of the engine.
      srcs: its sources, which alone include the library's headers.
      found: whether the library is installed; without it `name` holds nothing.
      deps: what the sources need, the library's linker flags among it.
      copts: of its sources.
    """
    if found:
        native.cc_binary(
            name = "libringmaster_" + name + ".so",
            srcs = srcs,
            copts = ["-fvisibility=hidden"] + copts,
            linkshared = True,
            deps = deps,
        )
    native.filegroup(
        name = name,
        srcs = ["libringmaster_" + name + ".so"] if found else [],
        visibility = ["//common/engine:__pkg__"],
    )
