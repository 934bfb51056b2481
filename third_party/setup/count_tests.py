"""Says how a Bazel test run ended: what failed, then "N passed, N failed" in test cases.

Which targets ran comes from Bazel's own event file, their cases from the test.xml each of them
wrote; a target without a readable one (it crashed, timed out or was not built) counts as one case.
Exit status 0 when at least one case ran, none failed and Bazel itself was content.
"""

import argparse
import json
import os
import sys
import xml.etree.ElementTree as ElementTree

BAZEL_NO_TESTS = 4  # the exit status of "bazel test" when the patterns match no test


def read_events(path):
    """Returns ({test label: overall status}, [labels of targets that were not built])."""
    tests, broken = {}, []
    with open(path, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            identity = event.get("id", {})
            if "testSummary" in identity:
                tests[identity["testSummary"]["label"]] = event.get("testSummary", {}).get(
                    "overallStatus", "NO_STATUS")
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                broken.append(identity["targetCompleted"]["label"])
    return tests, broken


def count_cases(xml_path):
    """Returns (passed, [names of failed cases]) of one test.xml; disabled and skipped cases are
    neither.
    """
    passed, failed = 0, []
    for suite in ElementTree.parse(xml_path).getroot().iter("testsuite"):
        for case in suite.findall("testcase"):
            if case.get("status") == "notrun" or case.get("result") == "skipped" or case.find(
                    "skipped") is not None:
                continue
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(
                    "%s.%s" % (case.get("classname") or suite.get("name"), case.get("name")))
            else:
                passed += 1
    return passed, failed


def count_target(label, status, testlogs):
    """Returns (passed, [names of failed cases]) of one test target, its shards together."""
    folder = os.path.join(testlogs, label.lstrip("/").replace(":", "/"))
    passed, failed = 0, []
    for where, _, names in os.walk(folder):
        if "test.xml" not in names:
            continue
        try:
            more_passed, more_failed = count_cases(os.path.join(where, "test.xml"))
        except (ElementTree.ParseError, OSError):
            continue
        passed += more_passed
        # A script has one case, which bears its own path.
        failed += [
            label if name.startswith(label[2:].replace(":", "/")) else label + " " + name
            for name in more_failed
        ]
    if status == "PASSED":
        return max(passed, 1), []
    return passed, failed or ["%s (%s)" % (label, status)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", required=True)
    parser.add_argument("--testlogs", required=True)
    parser.add_argument("--bazel-status", type=int, required=True)
    arguments = parser.parse_args()

    tests, broken = read_events(arguments.events)
    passed, failed = 0, []
    for label, status in sorted(tests.items()):
        if label in broken or status == "NO_STATUS":
            failed.append(label + " (not built or not run)")
            continue
        more_passed, more_failed = count_target(label, status, arguments.testlogs)
        passed += more_passed
        failed += more_failed
    failed += [label + " (not built)" for label in broken if label not in tests]
    # The build may break before there is any target to blame: an error in a BUILD file, a wrong
    # flag.
    if arguments.bazel_status not in (0, BAZEL_NO_TESTS) and not failed:
        failed.append("bazel test ended with exit status %d" % arguments.bazel_status)

    for name in failed:
        print("FAILED " + name)
    if not passed and not failed:
        print("no test ran")
    print("%d passed, %d failed" % (passed, len(failed)))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
