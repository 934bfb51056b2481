"""Finds the chart library that set-up has fetched (third_party/setup/fetch_vega.sh), as
@vega//:NAME.

The folder is RINGMASTER_VEGA_DIR where that is set, as ./run and ./test set it, else the one where
they keep it. Without the files everything still builds: @vega//:defs.bzl says so, and the program
leaves out what it cannot show.
"""

_FILES = [
    "vega.min.js",
    "vega-lite.min.js",
    "vega-embed.min.js",
    "LICENSE",
]

def _folder(repository_ctx):
    environ = repository_ctx.os.environ
    if environ.get("RINGMASTER_VEGA_DIR", ""):
        return environ["RINGMASTER_VEGA_DIR"]
    cache = environ.get("XDG_CACHE_HOME", "") or environ.get("HOME", "") + "/.cache"
    return cache + "/ringmaster/vega"

def _vega_impl(repository_ctx):
    folder = _folder(repository_ctx)
    found = all([repository_ctx.path(folder + "/" + file).exists for file in _FILES])
    if found:
        for file in _FILES:
            # A copy, not a link: the build must not change when the folder does.
            result = repository_ctx.execute(["cp", "-L", folder + "/" + file, file])
            if result.return_code != 0:
                fail("cannot copy {}/{}: {}".format(folder, file, result.stderr))
    repository_ctx.file("BUILD", "exports_files({})\n".format(repr(_FILES if found else [])))
    repository_ctx.file(
        "defs.bzl",
        "# Written by //third_party/vega:repository.bzl.\nVEGA_FOUND = {}\n".format(found),
    )

vega_library = repository_rule(
    implementation = _vega_impl,
    local = True,
    environ = [
        "HOME",
        "RINGMASTER_VEGA_DIR",
        "XDG_CACHE_HOME",
    ],
)
