"""What the lint must understand of C++: where the functions of a file begin and end.

It reads code that clang-format has laid out, without macros that hide braces. It is no parser.
"""

import re

# A comment, a string, a character or a directive: braces in it open nothing. A quote after a digit
# separates digits.
OPAQUE = re.compile(
    r'//[^\n]*|/\*.*?\*/|\bR"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ ]*#(?:[^\n]*\\\n)*[^\n]*", re.DOTALL | re.MULTILINE)
STRUCTURE = re.compile(r"[{}();]")
PREFIX = re.compile(r"\s*((public|protected|private):\s*|"
                    r"template\s*<[^{}();]*>\s*(?=(class|struct|union)\b))*")
SCOPE = re.compile(r"(inline\s+)?(namespace|class|struct|union|enum)\b|extern\s*$")
VALUE = re.compile(r"=\s*(\[[^{}]*)?$")
TEST = re.compile(r"(TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
NAME = re.compile(r"(operator\s*(\(\)|[^\s(]+|\w+)|~?[\w:]+)\s*\(")
ANGLES = re.compile(r"<[^<>]*>")


def code_of(text):
    """Returns `text` with a space for each match of OPAQUE; lines keep their numbers."""
    return OPAQUE.sub(lambda match: " " + "\n" * match.group().count("\n"), text)


def name_of(declaration):
    """Returns the name of the function that `declaration`, up to its body, declares."""
    test = TEST.search(declaration)
    if test:
        return "%s.%s" % test.group(2, 3)
    shorter = ANGLES.sub("", declaration)
    while shorter != declaration:
        declaration, shorter = shorter, ANGLES.sub("", shorter)
    name = NAME.search(declaration)
    return name.group(1) if name else "?"


def functions(text):
    """Yields (name, first line, lines) for each function that `text` defines.

    That is, in a namespace or a class. A function begins with its declaration, below the comment
    above it, and ends with the brace that closes its body.
    """
    code = code_of(text)
    begin = 0        # of the present declaration
    parentheses = 0  # open in it
    depth = 0        # open braces that are no scopes
    in_function = False
    for match in STRUCTURE.finditer(code):
        sign, at = match.group(), match.start()
        if depth:
            depth += (sign == "{") - (sign == "}")
            if in_function and not depth:
                declaration = code[begin:at]
                start = begin + len(declaration) - len(declaration.lstrip())
                lines = code.count("\n", start, at) + 1
                yield name_of(declaration), code.count("\n", 0, start) + 1, lines
                in_function, begin = False, at + 1
        elif sign in "()":
            parentheses += 1 if sign == "(" else -1
        elif sign == "{":
            begin += PREFIX.match(code, begin).end() - begin
            declaration = code[begin:at]
            if not parentheses and SCOPE.match(declaration):
                begin = at + 1
                continue
            depth = 1
            in_function = (not parentheses and "(" in declaration and declaration[-1:].isspace()
                           and not VALUE.search(declaration))
        elif not parentheses:  # ";" between declarations, or "}" of a scope
            begin = at + 1
