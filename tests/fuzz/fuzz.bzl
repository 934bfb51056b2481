"""fuzz_target(): one parser or decoder, for ./test and for the fuzzer."""

load("//third_party/build:cc.bzl", "cc_binary", "cc_library", "cc_test")

def fuzz_target(name, deps):
    """NAME_test replays the inputs that are known; NAME, of run.sh, invents new ones.

    Args:
      name: of the source file, without ".cc"; it defines what fuzz_target.h declares.
      deps: what it includes.
    """
    cc_library(
        name = name + "_input",
        srcs = [name + ".cc"],
        testonly = True,
        deps = deps + [
            "//tests/fuzz:fuzz_target",
            "@system//:absl",
        ],
        alwayslink = True,
    )
    kept = "kept/" + name + ".txt"
    cc_test(
        name = name + "_test",
        size = "small",
        data = [kept],
        env = {"RINGMASTER_FUZZ_KEPT": "tests/fuzz/" + kept},
        deps = [
            ":" + name + "_input",
            "//tests/fuzz:replay_test",
        ],
    )
    cc_binary(
        name = name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [
            ":" + name + "_input",
            "//tests/fuzz:fuzz_main",
        ],
    )
