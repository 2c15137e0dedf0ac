#!/usr/bin/env python3
# Copyright (C) 2026 The Android Open Source Project
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Checks TEST_MAPPING, and what an AndroidTest.xml says of modules: usage: check_tests.py ROOT.

Both name test modules; each must be a rust_test of an Android.bp here, and what an AndroidTest.xml
pushes and runs must be the module that uses it as its test_config.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# What Android's own checker of TEST_MAPPING knows of a test, and of its options.
KEYS = {"name", "options", "host", "file_patterns", "keywords", "preferred_targets"}
OPTIONS = {"include-filter", "exclude-filter", "include-annotation", "exclude-annotation"}
# What every preparer has (BaseTargetPreparer), and every test that takes filters.
PREPARER = {"disable", "disable-tear-down"}
# The options that Tradefed's classes have, of those classes that the product uses, as of 2025. Tradefed
# ends on any other: "Could not find option with name". (test-options was RustTestBase's until 2021.)
CLASSES = {
    "RootTargetPreparer": PREPARER | {"force-root", "throw-on-error"},
    "PushFilePreparer": PREPARER | {
        "abort-on-push-failure", "backup-file", "cleanup", "post-push", "push", "push-file", "remount-system",
        "remount-vendor", "skip-abi-filtering", "trigger-media-scan",
    },
    "RustBinaryTest": {
        "exclude-filter", "include-filter", "is-benchmark", "ld-library-path", "ld-library-path-32",
        "ld-library-path-64", "module-name", "native-test-flag", "test-device-path", "test-timeout",
    },
}
# Of a configuration itself.
CONFIGURATION = {"test-suite-tag", "test-tag", "config-descriptor:metadata"}
# Those whose value is of a kind: Tradefed reads it, and ends where it cannot.
BOOLEANS = {
    "abort-on-push-failure", "cleanup", "disable", "disable-tear-down", "force-root", "is-benchmark",
    "remount-system", "remount-vendor", "skip-abi-filtering", "throw-on-error", "trigger-media-scan",
}
TIMES = {"test-timeout"}
TIME = re.compile(r"\d+|(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
# What Rust's test harness takes, and RustTestBase does not give itself (--exact, --skip).
HARNESS = re.compile(r"--(test-threads=\d+|nocapture|include-ignored|ignored|show-output)")
GROUP = re.compile(r"[a-z][a-z0-9-]*")


def modules(root):
    """The rust_test modules here: name -> its test_config's path, or None."""
    found = {}
    for path in root.rglob("Android.bp"):
        if "target" in path.parts:
            continue
        for block in re.findall(r"^rust_test \{\n(.*?)^\}", path.read_text(), re.M | re.S):
            name = re.search(r'^    name: "(.*?)"', block, re.M).group(1)
            config = re.search(r'^    test_config: "(.*?)"', block, re.M)
            found[name] = path.parent / config.group(1) if config else None
    return found


def mapping_errors(text, known):
    try:
        groups = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
    except ValueError as error:
        yield str(error)
        return
    if not isinstance(groups, dict) or not groups:
        yield "no groups of tests"
        return
    for group, tests in groups.items():
        if not GROUP.fullmatch(group):
            yield f"bad group name {group!r}"
        if not isinstance(tests, list) or not all(isinstance(t, dict) for t in tests):
            yield f"{group}: not a list of tests"
            continue
        for test in tests:
            name = test.get("name")
            if name not in known:
                yield f"{group}: no rust_test {name!r} here"
            for key in test.keys() - KEYS:
                yield f"{group}: {name}: unknown key {key!r}"
            for option in test.get("options", []):
                if len(option) != 1 or not option.keys() <= OPTIONS:
                    yield f"{group}: {name}: bad option {option!r}"
            if not isinstance(test.get("host", False), bool):
                yield f"{group}: {name}: host is neither true nor false"


def config_errors(path, module):
    tree = ElementTree.parse(path)
    for element in tree.getroot():
        name = element.get("class", "").rpartition(".")[2]
        if element.tag != "option" and name not in CLASSES:
            yield f"unknown class {name}"
        for option in element.findall("option"):
            if option.get("name") not in CLASSES.get(name, {option.get("name")}):
                yield f"{name} has no option {option.get('name')}"
    for option in tree.getroot().findall("option"):
        if option.get("name") not in CONFIGURATION:
            yield f"a configuration has no option {option.get('name')}"
    for option in tree.iter("option"):
        yield from value_errors(option.get("name"), option.get("value"))
    options = [(o.get("name"), o.get("value")) for o in tree.iter("option")]
    ran = [v for n, v in options if n == "module-name"]
    pushed = dict(v.split("->", 1) for n, v in options if n == "push" and "->" in v)
    folder = [v for n, v in options if n == "test-device-path"]
    if ran != [module]:
        yield f"runs {ran}, but it is {module}'s test_config"
    if pushed.get(module) != f"{''.join(folder)}/{module}":
        yield f"{module} is not pushed to where it is run"


def value_errors(name, value):
    if name in BOOLEANS and value not in ("true", "false"):
        yield f"{name}: {value!r} is neither true nor false"
    if name in TIMES and not TIME.fullmatch(value):
        yield f"{name}: {value!r} is no time: milliseconds, or 1h2m3s"
    if name == "native-test-flag" and not HARNESS.fullmatch(value):
        yield f"{name}: Rust's test harness has no {value!r}"


def main():
    root = Path(sys.argv[1]).resolve()
    known = modules(root)
    errors = [f"TEST_MAPPING: {e}" for e in mapping_errors((root / "TEST_MAPPING").read_text(), known)]
    for module, config in known.items():
        if config:
            errors += [f"{config.relative_to(root)}: {e}" for e in config_errors(config, module)]
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors else 0


sys.exit(main())
