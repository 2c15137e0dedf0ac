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
"""Reads Android.bp files: Blueprint's language without variables and operators.

It knows what Soong does with defaults and with names; what a property means its callers know.
"""

import re
from dataclasses import dataclass
from pathlib import Path

TOKEN = re.compile(r'\s+|//[^\n]*|(?P<str>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_]\w*)|(?P<op>[{}\[\]:,])')


class Blueprint:
    """A parser for the part of Blueprint's language that has neither variables nor operators."""

    def __init__(self, path):
        text = path.read_text()
        self.tokens, at = [], 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise ValueError(f"{path}: cannot read {text[at:at + 20]!r}")
            if match.lastgroup:
                self.tokens.append(match.group())
            at = match.end()
        self.at = 0

    def next(self, expected=None):
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if token is None or (expected and token != expected):
            raise ValueError(f"{expected or 'a value'} expected, not {token}")
        self.at += 1
        return token

    def value(self):
        token = self.next()
        if token.startswith('"'):
            return token[1:-1]
        if token in ("true", "false"):
            return token == "true"
        if token == "[":
            return list(self.items("]", self.value))
        if token == "{":
            return dict(self.items("}", self.pair))
        raise ValueError(f"a value expected, not {token}")

    def pair(self):
        key = self.next()
        self.next(":")
        return key, self.value()

    def items(self, end, item):
        while self.tokens[self.at:self.at + 1] != [end]:
            yield item()
            if self.tokens[self.at:self.at + 1] == [","]:
                self.at += 1
        self.next(end)

    def modules(self):
        while self.at < len(self.tokens):
            kind = self.next()
            yield kind, self.value()


@dataclass
class Module:
    """One module as its Android.bp has it."""

    folder: Path
    kind: str
    properties: dict

    @property
    def name(self):
        return self.properties.get("name")

    @property
    def file(self):
        return self.folder / "Android.bp"


def files(root):
    """The Android.bp files of a tree, without cargo's build products."""
    return sorted(p for p in root.rglob("Android.bp") if "target" not in p.relative_to(root).parts)


def modules(root):
    """All modules of a tree. An Android.bp that cannot be read is a ValueError."""
    return [Module(path.parent, kind, properties)
            for path in files(root) for kind, properties in Blueprint(path).modules()]


def with_defaults(module, named):
    """A module's properties with those of its defaults before them: lists grow, other values give way."""
    whole = {}
    for name in module.properties.get("defaults", []):
        if name in named:
            merge(whole, with_defaults(named[name], named))
    return merge(whole, module.properties)


def merge(whole, properties):
    for key, value in properties.items():
        whole[key] = whole.get(key, []) + value if isinstance(value, list) else value
    return whole
