"""source_tree(): C++ sources and headers, generated ones too, of targets and their dependencies."""

_Sources = provider(fields = ["files"])

def _collect_impl(target, ctx):
    files = []
    for attribute in ("srcs", "hdrs", "textual_hdrs"):
        given = getattr(ctx.rule.files, attribute, [])
        files += [file for file in given if file.extension in ("cc", "h", "inc")]
    below = [dep[_Sources].files for dep in getattr(ctx.rule.attr, "deps", []) if _Sources in dep]
    return [_Sources(files = depset(files, transitive = below))]

_collect = aspect(implementation = _collect_impl, attr_aspects = ["deps"])

def _source_tree_impl(ctx):
    files = depset(transitive = [root[_Sources].files for root in ctx.attr.roots])
    return [DefaultInfo(files = files, runfiles = ctx.runfiles(transitive_files = files))]

source_tree = rule(
    implementation = _source_tree_impl,
    attrs = {"roots": attr.label_list(mandatory = True, aspects = [_collect])},
    doc = "As data of a test: the files lie in its runfiles where #include looks for them.",
)
