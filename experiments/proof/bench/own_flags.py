"""What the scripts of this folder that start `ringmaster` have in common."""


def split_flags(words):
    """What stands before -- and what stands behind it."""
    if "--" not in words:
        return words, []
    where = words.index("--")
    return words[:where], words[where + 1:]
