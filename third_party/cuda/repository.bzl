def _impl(repository_ctx):
    repository_ctx.file("BUILD", "")

cuda_toolkit = repository_rule(implementation = _impl, local = True)
