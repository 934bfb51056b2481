"""The limits of waits in scripts, as tests/support/patience.h has them for C++.

They end a hang and judge no speed.
"""

FACTOR = 10  # patience_test holds it to kPatienceFactor


def patience(idle_seconds):
    """Seconds to wait for what takes `idle_seconds` at most where nothing else runs."""
    return FACTOR * idle_seconds
