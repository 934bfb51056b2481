"""compile_flags_header(): the compile options of this build, as a C++ header."""

def _impl(ctx):
    cpp = ctx.fragments.cpp
    options = ["-c", ctx.var["COMPILATION_MODE"]] + cpp.copts + cpp.cxxopts
    text = " ".join(options).replace("\\", "\\\\").replace("\"", "\\\"")
    ctx.actions.write(ctx.outputs.out, "constexpr char kCompileFlags[] = \"" + text + "\";\n")

compile_flags_header = rule(
    implementation = _impl,
    attrs = {"out": attr.output(mandatory = True)},
    fragments = ["cpp"],
    doc = "Writes `out`, which defines kCompileFlags: --compilation_mode, --copt and --cxxopt of " +
          "this build.",
)
