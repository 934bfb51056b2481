"""no_path_test(): proves from Bazel's own dependency graph that a folder is out of some targets'
reach.
"""

def no_path_test(name, roots, forbidden, reached, script = "no_path_test.sh"):
    """A test that fails when `roots` depend, however indirectly, on anything below the `forbidden`
    folders.

    Args:
      name: of the test. roots: labels of the targets whose dependencies are looked at. forbidden:
      folders, as "worker/kernels". reached: folders on which the roots do depend. That they are
      found shows that the query sees anything at all. script: what judges the labels found;
      "path_is_found_test.sh" for a broken twin, which must be found out.
    """
    dependencies = "deps(" + " + ".join(roots) + ")"
    for suffix, folders in [("forbidden", forbidden), ("reached", reached)]:
        native.genquery(
            name = name + "_" + suffix,
            testonly = True,
            expression = "filter(\"^//(" + "|".join(folders) + ")[/:]\", " + dependencies + ")",
            opts = ["--noimplicit_deps"],
            scope = roots,
        )
    native.sh_test(
        name = name,
        size = "small",
        srcs = [script],
        args = [
            "$(location :" + name + "_forbidden)",
            "$(location :" + name + "_reached)",
        ],
        data = [
            "no_path_test.sh",
            ":" + name + "_forbidden",
            ":" + name + "_reached",
        ],
    )
