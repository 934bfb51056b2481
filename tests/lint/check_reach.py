"""Counts the .cc files that #include a generated header: check_reach.py ROOT.

Those that include it through other headers count too: a change of run_spec.proto compiles all of
them again. Exits with status 1 when there are more than LIMITS allows, or fewer: then lower the
limit.
"""

import os
import re
import sys

FOLDERS = ("common", "worker", "server", "experiments")
LIMITS = {"proto/run_spec.pb.h": 149, "proto/record.pb.h": 132}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
IMPORT = re.compile(r'^import "(proto/\w+)\.proto"', re.MULTILINE)


def read_includes(root):
    """Returns {path: headers that it names}, generated headers among the paths."""
    includes = {}
    for folder in FOLDERS + ("proto",):
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                path = os.path.relpath(os.path.join(where, name), root)
                if not name.endswith((".h", ".cc", ".proto")):
                    continue
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    text = file.read()
                if name.endswith(".proto"):
                    base = path[:-len(".proto")]
                    includes[base + ".pb.h"] = [imported + ".pb.h"
                                                for imported in IMPORT.findall(text)]
                    includes[base + ".grpc.pb.h"] = [base + ".pb.h"]
                else:
                    includes[path] = INCLUDE.findall(text)
    return includes


def files_that_reach(includes, header):
    """Returns the .cc files that include `header`, directly or not, sorted."""
    users = {}
    for path, headers in includes.items():
        for included in headers:
            users.setdefault(included, []).append(path)
    reached, left = set(), [header]
    while left:
        for path in users.get(left.pop(), []):
            if path not in reached:
                reached.add(path)
                left.append(path)
    return sorted(path for path in reached if path.endswith(".cc"))


def main():
    includes = read_includes(os.path.abspath(sys.argv[1]))
    code = 0
    for header, limit in LIMITS.items():
        files = files_that_reach(includes, header)
        print("%s reaches %d .cc files, limit %d" % (header, len(files), limit))
        if len(files) > limit:
            code = 1
            print("more than the limit: declare a message with `class` in a header that needs its "
                  "name alone")
        elif len(files) < limit:
            code = 1
            print("fewer than the limit in LIMITS: lower it")
    return code


if __name__ == "__main__":
    sys.exit(main())
