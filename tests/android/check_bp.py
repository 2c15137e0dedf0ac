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
"""Holds the Android.bp files against the tree they stand in: usage: check_bp.py ROOT.

Every file and module they name exists, every package has its licence, and Soong builds each crate
from what cargo builds it from: the same libraries, the same version, and no feature or release of
an external crate that the Android tree does not offer (aosp_crates.toml). Formatting is bpfmt's
matter; that the modules build is Soong's.
"""

import re
import sys
import tomllib
from pathlib import Path

# The properties that the product uses, by module type. One that is not here is a slip of the pen,
# or belongs here.
RUST = {
    "name", "defaults", "visibility", "crate_name", "srcs", "edition", "lints", "clippy_lints",
    "cargo_env_compat", "cargo_pkg_version", "system_ext_specific", "rustlibs", "prefer_rlib",
}
TEST = {"test_suites", "auto_gen_config", "test_config", "compile_multilib", "require_root", "data"}
PROPERTIES = {
    "package": {"default_applicable_licenses"},
    "license": {"name", "visibility", "license_kinds", "license_text"},
    "filegroup": {"name", "srcs"},
    "aidl_interface": {"name", "srcs", "unstable", "system_ext_specific", "flags", "backend"},
    "rust_defaults": RUST,
    "rust_library": RUST,
    "rust_binary": RUST | {"init_rc"},
    "rust_test": RUST | TEST,
}
# Properties whose values are files of the module's folder, or ":module".
FILES = ("srcs", "license_text", "init_rc", "test_config", "data")
# Libraries of the platform itself, by the crate that cargo knows them as.
PLATFORM = {"binder": "libbinder_rs", "android_system_guestnet": "android.system.guestnet-rust"}
# The folder whose crate only Soong builds: cargo takes host/guestnet_platform.
PLATFORM_FOLDER = "service/platform"

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


class Tree:
    """The product's tree: all its modules, and cargo's view of its crates."""

    def __init__(self, root):
        self.root = root
        self.errors = []
        self.modules = []  # (folder, type, properties)
        # Build products and what stands in for Android hold no Android.bp of the product's.
        files = sorted(p for p in root.rglob("Android.bp") if "target" not in p.parts)
        for path in files:
            try:
                for kind, properties in Blueprint(path).modules():
                    self.modules.append((path.parent, kind, properties))
            except ValueError as error:
                self.error(path, error)
        if not files:
            self.errors.append("no Android.bp at all")
        self.named = {p["name"]: (f, k, p) for f, k, p in self.modules if "name" in p}
        self.cargo = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]
        self.aosp = tomllib.loads((Path(__file__).parent / "aosp_crates.toml").read_text())

    def error(self, where, what):
        where = where.relative_to(self.root) if where.is_relative_to(self.root) else where
        self.errors.append(f"{where}: {what}")

    def full(self, properties):
        """A module's properties with those of its defaults."""
        whole = {}
        for name in properties.get("defaults", []):
            if name in self.named:
                for key, value in self.full(self.named[name][2]).items():
                    whole[key] = whole.get(key, []) + value if isinstance(value, list) else value
        for key, value in properties.items():
            whole[key] = whole.get(key, []) + value if isinstance(value, list) else value
        return whole

    def check(self):
        names = [p["name"] for _, _, p in self.modules if "name" in p]
        for name in {n for n in names if names.count(n) > 1}:
            self.errors.append(f"two modules are named {name}")
        for folder, kind, properties in self.modules:
            where = folder / "Android.bp"
            known = PROPERTIES.get(kind)
            if known is None:
                self.error(where, f"unknown module type {kind}")
                continue
            for key in properties.keys() - known:
                self.error(where, f"{kind} has no property {key}")
            if kind != "package" and "name" not in properties:
                self.error(where, f"a {kind} has no name")
            self.check_files(where, properties)
            self.check_references(where, properties)
            if kind in ("rust_library", "rust_binary", "rust_test"):
                self.check_crate(where, kind, self.full(properties))
            if kind == "aidl_interface":
                self.check_dumps(where, properties)
        self.check_licences()
        self.check_cargo()
        self.check_environment()

    def check_files(self, where, properties):
        for key in FILES:
            value = properties.get(key, [])
            for item in value if isinstance(value, list) else [value]:
                if item.startswith(":"):
                    if item[1:] not in self.named:
                        self.error(where, f"{key}: no module {item[1:]}")
                elif ".." in Path(item).parts or not any(where.parent.glob(item)):
                    self.error(where, f"{key}: no file {item}")

    def check_references(self, where, properties):
        for name in properties.get("defaults", []):
            if self.named.get(name, (None, None))[1] != "rust_defaults":
                self.error(where, f"defaults: no rust_defaults {name}")
        elsewhere = {c["module"] for c in self.aosp.values()} | set(PLATFORM.values())
        for name in properties.get("rustlibs", []):
            if name not in elsewhere and self.named.get(name, (None, None))[1] != "rust_library":
                self.error(where, f"rustlibs: no library {name} here, in aosp_crates.toml or the platform")

    def check_dumps(self, where, properties):
        """Soong refuses an unstable interface that has dumps (aidl_interface.go), and a stable one without."""
        dumped = any((where.parent / "aidl_api" / properties["name"]).glob("**/*.aidl"))
        if dumped == properties.get("unstable", False):
            self.error(where, f"{properties['name']}: either it is unstable or aidl_api has its dumps")

    def check_licences(self):
        for folder in {f for f, _, _ in self.modules}:
            packages = [p for f, k, p in self.modules if f == folder and k == "package"]
            licences = [n for p in packages for n in p.get("default_applicable_licenses", [])]
            if not licences:
                self.error(folder / "Android.bp", "the package has no default_applicable_licenses")
            for name in licences:
                if self.named.get(name, (None, None))[1] != "license":
                    self.error(folder / "Android.bp", f"no license {name}")

    def dependencies(self, manifest):
        """What cargo gives the crate on Android."""
        found = dict(manifest.get("dependencies", {}))
        for target, table in manifest.get("target", {}).items():
            if target == 'cfg(target_os = "android")':
                found |= table.get("dependencies", {})
        return found

    def module_of(self, crate):
        if crate in PLATFORM:
            return PLATFORM[crate]
        if crate in self.aosp:
            return self.aosp[crate]["module"]
        own = [n for n, (_, k, p) in self.named.items()
               if k == "rust_library" and self.full(p).get("crate_name") == crate]
        return own[0] if own else None

    def check_crate(self, where, kind, properties):
        if properties.get("cargo_pkg_version") != self.cargo["package"]["version"]:
            self.error(where, f"{properties['name']}: its version is not Cargo.toml's")
        if properties.get("edition") != self.cargo["package"]["edition"]:
            self.error(where, f"{properties['name']}: its edition is not Cargo.toml's")
        given = set(properties.get("rustlibs", []))
        own = {n for n in given if self.named.get(n, (None,))[0] == where.parent}
        sources = [where.parent / s for s in properties.get("srcs", [])]
        if where.parent == self.root / PLATFORM_FOLDER:
            # Another source than cargo's: what its own files name counts.
            wanted = self.mentioned(where.parent.glob("*.rs"))
        elif own:
            # A thin main, or a test, over the library beside it: only what it names itself.
            wanted = self.mentioned(f for s in sources for f in with_modules(s))
        else:
            wanted = self.cargo_modules(where.parent / "Cargo.toml")
        for module in wanted.keys() - given - own - {None}:
            self.error(where, f"{properties['name']}: no {module}, but it uses {wanted[module]}")
        for module in given - wanted.keys() - own:
            self.error(where, f"{properties['name']}: {module}, but nothing says that it uses it")

    def cargo_modules(self, path):
        """The modules of what a Cargo.toml asks for."""
        wanted = {}
        for crate in self.dependencies(tomllib.loads(path.read_text())):
            module = self.module_of(crate)
            if module is None:
                self.error(path, f"{crate} is neither in aosp_crates.toml nor a module here")
            wanted[module] = crate
        return wanted

    def mentioned(self, files):
        """The modules of the crates that Rust files name in a path."""
        text = "\n".join(re.sub(r"//[^\n]*", "", f.read_text()) for f in files if f.is_file())
        own = [self.full(p).get("crate_name") for _, k, p in self.modules if k == "rust_library"]
        crates = set(self.aosp) | set(PLATFORM) | set(filter(None, own))
        return {self.module_of(c): c for c in crates
                if re.search(rf"(?<![\w:]){c.replace('-', '_')}(::|;| as )", text)}

    def check_cargo(self):
        """The workspace asks for no release and no feature that the Android tree lacks."""
        path = self.root / "Cargo.toml"
        shared = self.cargo["dependencies"]
        for folder in ("service", "ctl"):
            manifest = tomllib.loads((self.root / folder / "Cargo.toml").read_text())
            for crate, asked in self.dependencies(manifest).items():
                if crate not in self.aosp:
                    continue
                asked = asked if isinstance(asked, dict) else {"version": asked}
                base = shared.get(crate, {}) if asked.get("workspace") else {}
                base = base if isinstance(base, dict) else {"version": base}
                offer = self.aosp[crate]
                version = asked.get("version") or base.get("version")
                if not compatible(version, offer["version"]):
                    self.error(path, f"{crate} {version}: does not take {offer['version']} (aosp_crates.toml)")
                features = set(base.get("features", [])) | set(asked.get("features", []))
                for feature in sorted(features - set(offer.get("features", []))):
                    self.error(path, f"{crate}: the Android tree builds it without {feature}")
                if offer.get("defaults") is False and base.get("default-features", True):
                    self.error(path, f"{crate}: the Android tree lacks some of its default features; "
                                     "set default-features = false")

    def check_environment(self):
        """Of cargo's variables Soong sets the version's only (cargo_env_compat)."""
        for folder in ("service/src", "service/platform", "ctl/src"):
            for path in (self.root / folder).rglob("*.rs"):
                for name in re.findall(r'env!\("(CARGO_\w+)', path.read_text()):
                    if not name.startswith("CARGO_PKG_VERSION"):
                        self.error(path, f"Soong does not set {name}")


def with_modules(path):
    """A crate's root and the files of the modules it declares, and theirs."""
    if not path.is_file():
        return
    yield path
    inside = path.parent if path.name in ("main.rs", "lib.rs", "mod.rs") else path.parent / path.stem
    for name in re.findall(r"^\s*(?:pub )?mod (\w+);", path.read_text(), re.M):
        # Beside a test's root as beside a main: cargo and Soong take it for a crate's root.
        for folder in {inside, path.parent}:
            yield from with_modules(folder / f"{name}.rs")
            yield from with_modules(folder / name / "mod.rs")


def compatible(asked, offered):
    """Whether cargo's requirement takes the release, as cargo's caret does."""
    want = [int(n) for n in asked.lstrip("^=").split(".")]
    have = [int(n) for n in offered.split(".")]
    significant = 1 if want[0] else 2
    return have[:significant] == want[:significant] and have[:len(want)] >= want


def main():
    tree = Tree(Path(sys.argv[1]).resolve())
    if not tree.errors:
        tree.check()
    for error in sorted(set(tree.errors)):
        print(error)
    return 1 if tree.errors else 0


sys.exit(main())
