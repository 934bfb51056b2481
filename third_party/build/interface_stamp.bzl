"""interface_stamp(): a header that names the exact interface two separately loaded binaries were
built from.
"""

def _interface_stamp_impl(ctx):
    contexts = [dep[CcInfo].compilation_context for dep in ctx.attr.deps]
    headers = [
        header
        for header in depset(transitive = [context.headers for context in contexts]).to_list()
        # What is compiled once for all files (cc.bzl) is of others, and the compiler's own.
        if header.extension != "gch"
    ]
    ctx.actions.run_shell(
        outputs = [ctx.outputs.out],
        inputs = headers,
        arguments = [ctx.outputs.out.path] + [header.path for header in headers],
        command = """
            out=$1; shift
            stamp=$(cat "$@" | sha256sum | cut -c1-16)
            {{
                echo "#pragma once"
                echo "namespace ringmaster {{ inline constexpr char {constant}[] = \\"$stamp\\"; }}"
            }} >"$out"
        """.format(constant = ctx.attr.constant),
        mnemonic = "InterfaceStamp",
    )
    return [DefaultInfo(files = depset([ctx.outputs.out]))]

# Writes `out`, a header with the string constant `constant`: a digest of every header of `deps`.
interface_stamp = rule(
    implementation = _interface_stamp_impl,
    attrs = {
        "constant": attr.string(mandatory = True),
        "deps": attr.label_list(mandatory = True, providers = [CcInfo]),
        "out": attr.output(mandatory = True),
    },
)
