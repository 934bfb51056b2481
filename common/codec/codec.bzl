"""The two libraries of one codec."""

load("//third_party/build:cc.bzl", "cc_library")

def codec(name, deps = [], oracle_deps = []):
    """NAME.cc and NAME_oracle.cc, private to this package.

    Args:
      name: the codec's.
      deps: of the codec, beside the interface, the oracle and the checks of decoders.
      oracle_deps: of the oracle, beside the oracles' interface.
    """
    cc_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [name + ".h"],
        visibility = ["//visibility:private"],
        deps = [
            ":codec_interface",
            ":%s_oracle" % name,
            ":wire_checks",
            "@system//:absl",
        ] + deps,
    )
    cc_library(
        name = name + "_oracle",
        srcs = [name + "_oracle.cc"],
        hdrs = [name + "_oracle.h"],
        visibility = ["//visibility:private"],
        deps = [":oracle", "@system//:absl"] + oracle_deps,
    )
