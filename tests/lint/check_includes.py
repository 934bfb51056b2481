"""Finds uses of names whose header a file does not include: check_includes.py ROOT.

Every file is compiled behind the headers of third_party/build/*.h (third_party/build/cc.bzl), so
the compiler does not miss an #include of one of them. For each name of NAMES that a .cc file uses,
the file must include the name's header itself or through headers of this project; what another
library's header includes does not count. A header that is precompiled has its names here.
"""

import os
import re
import sys

FOLDERS = ("common", "worker", "server", "experiments", "tests")
PRECOMPILED = ("third_party/build/headers.h", "third_party/build/test_headers.h")

# Header: names of it, without "std::" where they have one. Names of algorithms are those in use.
NAMES = {
    "algorithm": "std::(sort|stable_sort|nth_element|min_element|max_element|minmax_element|fill|"
                 "fill_n|copy|copy_n|copy_if|find|find_if|find_if_not|all_of|any_of|none_of|count|"
                 "count_if|clamp|reverse|rotate|unique|equal|equal_range|lower_bound|upper_bound|"
                 "binary_search|remove|remove_if|transform|generate|shuffle|is_sorted|mismatch|"
                 "set_difference|set_intersection|set_union|includes|adjacent_find|min|max|minmax|"
                 "partial_sort|partition|stable_partition|partition_point|replace|search|for_each|"
                 "lexicographical_compare|push_heap|pop_heap|make_heap|next_permutation|merge)",
    "array": r"std::array",
    "atomic": r"std::(atomic\w*|memory_order\w*)",
    "chrono": r"std::chrono",
    "cmath": r"std::(sqrt|pow|exp|expm1|log|log2|log10|log1p|fabs|floor|ceil|round|lround|llround|"
             r"isnan|isinf|isfinite|signbit|copysign|ldexp|frexp|fma|tanh|erf|cbrt|hypot|sin|cos|"
             r"trunc|nearbyint|nextafter|fmod)",
    "cstdio": r"std::(FILE|fopen|fprintf|fflush|fclose|snprintf|fputs|fwrite|rename|stderr)",
    "cstring": r"std::(memcpy|memset|memcmp|memmove|strlen|strcmp|strerror|memchr|strncmp)",
    "deque": r"std::deque",
    "fstream": r"std::(i|o)?fstream",
    "functional": r"std::(function|bind|ref|cref|hash|greater|less|plus|reference_wrapper)",
    "limits": r"std::numeric_limits",
    "map": r"std::(multi)?map",
    "memory": r"std::(unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|addressof|"
              r"enable_shared_from_this|static_pointer_cast)",
    "optional": r"std::(optional|nullopt)",
    "set": r"std::(multi)?set",
    "string": r"std::(string|to_string|stoi|stod|getline)",
    "thread": r"std::(thread|this_thread)",
    "utility": r"std::(move|swap|pair|make_pair|forward|exchange|declval|index_sequence)",
    "variant": r"std::(variant|visit|get_if|holds_alternative|monostate)",
    "vector": r"std::vector",
    "absl/base/thread_annotations.h": r"ABSL_(PT_)?(GUARDED_BY|EXCLUSIVE_LOCKS_REQUIRED|"
                                      r"LOCKS_EXCLUDED|SHARED_LOCKS_REQUIRED)",
    "absl/container/flat_hash_map.h": r"absl::flat_hash_map",
    "absl/functional/function_ref.h": r"absl::FunctionRef",
    "absl/status/status.h": r"absl::(Status|StatusCode|OkStatus|\w+Error)",
    "absl/status/statusor.h": r"absl::StatusOr",
    "absl/strings/ascii.h": r"absl::(Ascii\w+|StripAsciiWhitespace|ascii_\w+)",
    "absl/strings/match.h": r"absl::(StartsWith|EndsWith|StrContains|EqualsIgnoreCase)\w*",
    "absl/strings/numbers.h": r"absl::Simple(Atoi|Atod|Atof|Atob|HexAtoi)",
    "absl/strings/str_cat.h": r"absl::(StrCat|StrAppend|Hex|AlphaNum)",
    "absl/strings/str_format.h": r"absl::(StrFormat|StrAppendFormat|PrintF|FPrintF|FormatSpec)",
    "absl/strings/str_join.h": r"absl::(StrJoin|PairFormatter)",
    "absl/strings/str_split.h": r"absl::(StrSplit|MaxSplits|SkipEmpty|ByChar|SkipWhitespace)",
    "absl/strings/string_view.h": r"absl::string_view",
    "absl/synchronization/mutex.h": r"absl::(Mutex|MutexLock|CondVar|ReaderMutexLock|Condition)",
    "absl/time/clock.h": r"absl::Now",
    "absl/time/time.h": r"absl::(Duration|Time|Seconds|Milliseconds|Microseconds|Nanoseconds|"
                        r"ZeroDuration|InfiniteDuration|ToDouble\w+|ToInt64\w+|FormatTime)",
    "absl/types/span.h": r"absl::(Span|MakeSpan|MakeConstSpan)",
    "google/protobuf/message.h": r"google::protobuf::Message",
    "gtest/gtest.h": r"TEST(_F|_P)?(?=\()|testing::Test",
    "gmock/gmock.h": r"(EXPECT|ASSERT)_THAT|testing::(HasSubstr|\w*ElementsAre)",
}
# Headers whose names need no look: generated code alone reads those of Protocol Buffers, and the
# integer types come with every other header.
UNNAMED = re.compile(r"google/protobuf/(?!message[.]h)|cstdint$")
# A header brings its own names, and those of the headers that it promises to include.
PROMISED = {
    "absl/status/statusor.h": ("absl/status/status.h",),
    "absl/synchronization/mutex.h": ("absl/base/thread_annotations.h", "absl/time/time.h"),
    "absl/time/clock.h": ("absl/time/time.h",),
    "gmock/gmock.h": ("gtest/gtest.h",),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)
# A comment, a string or a directive: no use of a name.
OPAQUE = re.compile(r'//[^\n]*|/\*.*?\*/|\bR"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"'
                    r"|^[ ]*#\s*include[^\n]*", re.DOTALL | re.MULTILINE)


def read_tree(root):
    """Returns {path: text} of the C++ files below ROOT's folders."""
    texts = {}
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith((".h", ".cc", ".inc")):
                    path = os.path.relpath(os.path.join(where, name), root)
                    with open(os.path.join(root, path), encoding="utf-8") as file:
                        texts[path] = file.read()
    return texts


class Tree:
    """The C++ files of a tree, and which headers of others each of them brings."""

    def __init__(self, root):
        self.texts = read_tree(root)
        self.brought = {}

    def headers(self, path):
        """Headers of others that `path` includes, itself or through files of the tree."""
        if path not in self.brought:
            self.brought[path] = set()  # ends a circle
            found = set()
            for header in INCLUDE.findall(self.texts[path]):
                if header in self.texts:
                    found |= self.headers(header)
                else:
                    found.add(header)
                    found.update(PROMISED.get(header, ()))
            self.brought[path] = found
        return self.brought[path]

    def violations(self):
        """Yields a line for each name that a file uses without its header."""
        uses = [(header, re.compile(r"(?<![\w:])(?:%s)\b" % names))
                for header, names in NAMES.items()]
        for path in sorted(self.texts):
            code = OPAQUE.sub(" ", self.texts[path])
            for header, names in uses:
                use = None if header in self.headers(path) else names.search(code)
                if use:
                    yield "%s: uses %s without #include of %s" % (path, use.group(), header)


def unwatched(root):
    """Yields a line for each precompiled header that has no names here."""
    for path in PRECOMPILED:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            headers = INCLUDE.findall(file.read())
        for header in headers:
            if header not in NAMES and header not in PRECOMPILED and not UNNAMED.match(header):
                yield "%s: %s has no names in tests/lint/check_includes.py" % (path, header)


def main():
    root = os.path.abspath(sys.argv[1])
    lines = list(unwatched(root)) + list(Tree(root).violations())
    for line in lines:
        print(line)
    print("%d violations" % len(lines))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
