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
"""Who may depend on what, by Soong's rules (build/soong/android/visibility.go).

A rule stands for packages, which are folders with an Android.bp. Soong hands a defaults module's
`visibility` to each module that uses it, where it is resolved in THAT module's package; who may use the
defaults module itself says `defaults_visibility`. Without either the package's `default_visibility` holds,
or that of the nearest package above it; without that a module is everyone's.
"""

import re

RULE = re.compile(r"(?P<package>//[^/:]+(?:/[^/:]+)*)?(?P<scope>:[^/:]+)?")
PUBLIC, PRIVATE, OVERRIDE = "//visibility:public", "//visibility:private", "//visibility:override"
# The property that says who may use a module of this kind, where it is not `visibility`.
PROPERTY = {"package": "default_visibility", "rust_defaults": "defaults_visibility"}


class Visibility:
    """The rules of a tree whose packages are below `root`, wherever that stands in an Android tree."""

    def __init__(self, root, modules, with_defaults):
        self.root, self.with_defaults = root, with_defaults
        self.defaults = {m.folder: m.properties["default_visibility"] for m in modules
                         if m.kind == "package" and "default_visibility" in m.properties}

    def rule_errors(self, module):
        """What is wrong with a module's own rules, whoever they let in."""
        for key in ("visibility", "default_visibility", "defaults_visibility"):
            rules = module.properties.get(key)
            if rules is None:
                continue
            if not rules:
                yield f"{key}: no rule at all; say {PRIVATE}"
            for at, rule in enumerate(rules):
                match = RULE.fullmatch(rule)
                if rule == OVERRIDE and at == 0 or rule in (PUBLIC, PRIVATE) and rules[-1] == rule and \
                        set(rules) <= {OVERRIDE, rule}:
                    continue
                if rule.startswith("//visibility:"):
                    yield f"{key}: {rule} is not known there, or not beside other rules"
                elif not rule or not match or match["scope"] not in (None, ":__pkg__", ":__subpackages__"):
                    yield f"{key}: {rule!r} is neither //PACKAGE nor :__pkg__ nor :__subpackages__"
                elif match["package"]:
                    yield f"{key}: {rule}: nobody knows where in a tree this repository stands"

    def rules(self, module):
        """The rules that hold for a module, or None."""
        key = PROPERTY.get(module.kind, "visibility")
        rules = self.with_defaults(module).get(key) if key == "visibility" else module.properties.get(key)
        if rules is not None:
            return rules
        for folder in (module.folder, *module.folder.parents):
            if folder in self.defaults:
                return self.defaults[folder]
            if folder == self.root:
                return None
        return None

    def is_visible(self, module, user):
        """Whether `user` may depend on `module`."""
        if module.folder == user.folder:
            return True
        rules = self.rules(module)
        if rules is None:
            return True
        if OVERRIDE in rules:
            rules = rules[len(rules) - rules[::-1].index(OVERRIDE):]
        for rule in rules:
            below = rule.endswith(":__subpackages__") and user.folder.is_relative_to(module.folder)
            if rule == PUBLIC or below:
                return True
        return False
