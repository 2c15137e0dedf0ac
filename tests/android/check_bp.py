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

Every file and module they name exists and is visible to the module that names it, names are one module's
only, properties are Soong's, every package has its licence, and Soong builds each crate from what cargo
builds it from: the same libraries, the same version, and no feature of an external crate that the Android
tree does not offer (aosp_crates.toml). Formatting is bpfmt's matter; that the code compiles check-cargo's.
"""

import re
import sys
import tomllib
from pathlib import Path

import blueprint
from visibility import Visibility

# The properties that the product uses, by module type. One that is not here is a slip of the pen,
# or belongs here.
RUST = {
    "name", "defaults", "visibility", "crate_name", "srcs", "edition", "lints", "clippy_lints",
    "cargo_env_compat", "cargo_pkg_version", "system_ext_specific", "rustlibs", "prefer_rlib",
    "apex_available", "licenses",
}
TEST = {"test_suites", "auto_gen_config", "test_config", "compile_multilib", "require_root", "data"}
PROPERTIES = {
    "package": {"default_applicable_licenses", "default_visibility"},
    "license": {"name", "visibility", "license_kinds", "license_text"},
    "filegroup": {"name", "visibility", "srcs"},
    "aidl_interface": {"name", "visibility", "srcs", "unstable", "system_ext_specific", "flags", "backend"},
    "rust_defaults": RUST | {"defaults_visibility"},
    "rust_library": RUST,
    "rust_binary": RUST | {"init_rc"},
    "rust_test": RUST | TEST,
}
# What each property is: those not named are texts.
LISTS = {
    "apex_available", "data", "default_applicable_licenses", "default_visibility", "defaults",
    "defaults_visibility", "flags", "init_rc", "license_kinds", "license_text", "licenses", "rustlibs",
    "srcs", "test_suites", "visibility",
}
FLAGS = {
    "auto_gen_config", "cargo_env_compat", "enabled", "prefer_rlib", "require_root", "system_ext_specific",
    "unstable",
}
TABLES = {"backend", "cpp", "java", "ndk", "rust"}
# What a property may say, where Soong knows a few words only.
VALUES = {
    "clippy_lints": {"android", "vendor", "none", "default"},
    "compile_multilib": {"32", "64", "both", "first", "prefer32"},
    "edition": {"2015", "2018", "2021"},
    "license_kinds": {"SPDX-license-identifier-Apache-2.0"},
    "lints": {"android", "vendor", "none", "default"},
    "test_suites": {"device-tests", "general-tests"},
}
# Properties whose values are files of the module's folder, or ":module".
FILES = ("srcs", "license_text", "init_rc", "test_config", "data")
# Libraries of the platform itself, by the crate that cargo knows them as.
PLATFORM = {"binder": "libbinder_rs", "android_system_guestnet": "android.system.guestnet-rust"}
# The module types that are compiled.
CRATES = ("rust_library", "rust_binary", "rust_test")
PLATFORM_APEX = "//apex_available:platform"
# The folder whose crate only Soong builds: cargo takes host/guestnet_platform.
PLATFORM_FOLDER = "service/platform"


class Tree:
    """The product's tree: all its modules, and cargo's view of its crates."""

    def __init__(self, root):
        self.root = root
        self.errors = []
        self.modules = []
        try:
            self.modules = blueprint.modules(root)
        except ValueError as error:
            self.errors.append(str(error))
        if not self.modules and not self.errors:
            self.errors.append("no Android.bp at all")
        self.named = {m.name: m for m in self.modules if m.name}
        self.visibility = Visibility(root, self.modules, self.full)
        self.cargo = tomllib.loads((root / "Cargo.toml").read_text())["workspace"]
        aosp = tomllib.loads((Path(__file__).parent / "aosp_crates.toml").read_text())
        self.aosp, self.states = aosp["crates"], aosp["states"]

    def error(self, where, what):
        where = where.relative_to(self.root) if where.is_relative_to(self.root) else where
        self.errors.append(f"{where}: {what}")

    def full(self, module):
        """A module's properties with those of its defaults."""
        return blueprint.with_defaults(module, self.named)

    def check(self):
        for module in self.modules:
            if module.kind not in PROPERTIES:
                self.error(module.file, f"unknown module type {module.kind}")
                continue
            self.check_properties(module, PROPERTIES[module.kind])
            self.check_files(module)
            self.check_references(module)
            if module.kind in CRATES:
                self.check_crate(module, self.full(module))
                self.check_names(module, self.full(module))
            if module.kind == "aidl_interface":
                self.check_dumps(module.file, module.properties)
        self.check_unique_names()
        self.check_licences()
        self.check_cargo()
        self.check_environment()

    def check_properties(self, module, known):
        for key, value in module.properties.items():
            if key not in known:
                self.error(module.file, f"{module.kind} has no property {key}")
            kind = list if key in LISTS else bool if key in FLAGS else dict if key in TABLES else str
            if not isinstance(value, kind):
                self.error(module.file, f"{key} is not a {kind.__name__}: {value!r}")
                continue
            if kind is list and len(set(value)) < len(value):
                self.error(module.file, f"{key} names something twice")
            for one in (value if kind is list else [value]) if key in VALUES else []:
                if one not in VALUES[key]:
                    known = ", ".join(sorted(VALUES[key]))
                    self.error(module.file, f"{key}: {one!r} is not one of {known}")
        if module.kind != "package" and not module.name:
            self.error(module.file, f"a {module.kind} has no name")
        for what in self.visibility.rule_errors(module):
            self.error(module.file, what)

    def check_names(self, module, properties):
        """Soong finds a crate by the name of its file (validateLibraryStem)."""
        crate = properties.get("crate_name", "")
        if module.kind == "rust_library" and not (crate and module.name.startswith("lib" + crate)):
            self.error(module.file, f"{module.name}: a library's name begins with lib and its crate_name")

    def check_unique_names(self):
        """All modules of a tree share one space of names, those that Soong makes itself too."""
        names = [m.name for m in self.modules if m.name]
        for interface in (m for m in self.modules if m.kind == "aidl_interface" and m.name):
            backends = interface.properties.get("backend", {})
            names += [f"{interface.name}-{b}" for b, p in backends.items() if p.get("enabled")]
            names += [interface.name + s for s in ("_interface", "-api", "-cpp-source", "-rust-source")]
        names += [c["module"] for c in self.aosp.values()] + ["libbinder_rs"]
        for name in {n for n in names if names.count(n) > 1}:
            self.errors.append(f"two modules are named {name}")
        crates = [self.full(m).get("crate_name") for m in self.modules if m.kind == "rust_library"]
        for crate in {c for c in crates if crates.count(c) > 1}:
            self.errors.append(f"two libraries are the crate {crate}")

    def check_files(self, module):
        for key in FILES:
            value = module.properties.get(key, [])
            for item in value if isinstance(value, list) else [value]:
                if item.startswith(":"):
                    self.check_reference(module, key, item[1:], None)
                elif ".." in Path(item).parts or not any(module.folder.glob(item)):
                    self.error(module.file, f"{key}: no file {item}")

    def check_references(self, module):
        for name in module.properties.get("defaults", []):
            self.check_reference(module, "defaults", name, "rust_defaults")
        for name in module.properties.get("licenses", []):
            self.check_reference(module, "licenses", name, "license")
        elsewhere = {c["module"] for c in self.aosp.values()} | set(PLATFORM.values())
        # Also those that come with the defaults: what they may use, the module must.
        for name in self.full(module).get("rustlibs", []) if module.kind in CRATES else []:
            if name not in elsewhere:
                self.check_reference(module, "rustlibs", name, "rust_library")
        self.check_apexes(module)

    def check_reference(self, module, key, name, kind):
        """A module that another one names is there, of the right kind, and visible to it."""
        there = self.named.get(name)
        if there is None or kind and there.kind != kind:
            self.error(module.file, f"{key}: no {kind or 'module'} {name} here, in aosp_crates.toml or the platform")
        elif not self.visibility.is_visible(there, module):
            self.error(module.file, f"{module.name or 'the package'}: {name} is not visible to it (see {key})")

    def check_apexes(self, module):
        """Without apex_available a module is the platform's. What it links must be where it is."""
        mine = self.apexes(module)
        if PLATFORM_APEX not in mine:
            self.error(module.file, f"{module.name}: apex_available without {PLATFORM_APEX}: it is installed there")
        for name in module.properties.get("rustlibs", []):
            if name in self.named and not mine <= self.apexes(self.named[name]):
                self.error(module.file, f"{module.name}: apex_available: {name} is not available to all of it")

    def apexes(self, module):
        return set(self.full(module).get("apex_available", [PLATFORM_APEX]))

    def check_dumps(self, where, properties):
        """Soong refuses an unstable interface that has dumps (aidl_interface.go), and a stable one without."""
        dumped = any((where.parent / "aidl_api" / properties["name"]).glob("**/*.aidl"))
        if dumped == properties.get("unstable", False):
            self.error(where, f"{properties['name']}: either it is unstable or aidl_api has its dumps")

    def check_licences(self):
        for folder in {m.folder for m in self.modules}:
            packages = [m for m in self.modules if m.folder == folder and m.kind == "package"]
            if len(packages) != 1:
                self.error(folder / "Android.bp", f"{len(packages)} package modules")
            if not any(m.properties.get("default_applicable_licenses") for m in packages):
                self.error(folder / "Android.bp", "the package has no default_applicable_licenses")
            for package in packages:
                for name in package.properties.get("default_applicable_licenses", []):
                    self.check_reference(package, "default_applicable_licenses", name, "license")
        for licence in (m for m in self.modules if m.kind == "license"):
            for key in ("license_kinds", "license_text"):
                if not licence.properties.get(key):
                    self.error(licence.file, f"{licence.name}: no {key}")

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
        own = [m.name for m in self.modules
               if m.kind == "rust_library" and self.full(m).get("crate_name") == crate]
        return own[0] if own else None

    def check_crate(self, module, properties):
        where = module.file
        if properties.get("cargo_pkg_version") != self.cargo["package"]["version"]:
            self.error(where, f"{module.name}: its version is not Cargo.toml's")
        if properties.get("edition") != self.cargo["package"]["edition"]:
            self.error(where, f"{module.name}: its edition is not Cargo.toml's")
        given = set(properties.get("rustlibs", []))
        own = {n for n in given if n in self.named and self.named[n].folder == module.folder}
        sources = [module.folder / s for s in properties.get("srcs", [])]
        if module.folder == self.root / PLATFORM_FOLDER:
            # Another source than cargo's: what its own files name counts.
            wanted = self.mentioned(module.folder.glob("*.rs"))
        elif own:
            # A thin main, or a test, over the library beside it: only what it names itself.
            wanted = self.mentioned(f for s in sources for f in with_modules(s))
        else:
            wanted = self.cargo_modules(module.folder / "Cargo.toml")
        for name in wanted.keys() - given - own - {None}:
            self.error(where, f"{module.name}: no {name}, but it uses {wanted[name]}")
        for name in given - wanted.keys() - own:
            self.error(where, f"{module.name}: {name}, but nothing says that it uses it")

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
        own = [self.full(m).get("crate_name") for m in self.modules if m.kind == "rust_library"]
        crates = set(self.aosp) | set(PLATFORM) | set(filter(None, own))
        return {self.module_of(c): c for c in crates
                if re.search(rf"(?<![\w:]){c.replace('-', '_')}(::|;| as )", text)}

    def check_cargo(self):
        """The workspace asks for no release and no feature that the Android tree lacks."""
        for state, versions in self.states.items():
            for crate in self.aosp.keys() - versions.keys():
                self.errors.append(f"aosp_crates.toml: {crate}: which release is that of {state}?")
        path = self.root / "Cargo.toml"
        shared = self.cargo["dependencies"]
        for folder in ("service", "ctl", "tests/on-device"):
            manifest = tomllib.loads((self.root / folder / "Cargo.toml").read_text())
            for crate, asked in self.dependencies(manifest).items():
                if crate not in self.aosp:
                    continue
                asked = asked if isinstance(asked, dict) else {"version": asked}
                base = shared.get(crate, {}) if asked.get("workspace") else {}
                base = base if isinstance(base, dict) else {"version": base}
                offer = self.aosp[crate]
                version = asked.get("version") or base.get("version")
                had = [v[crate] for v in self.states.values() if crate in v]
                if version and not is_between(version, had):
                    self.error(path, f"{crate} {version}: the Android tree has had {', '.join(sorted(set(had)))}")
                features = set(base.get("features", [])) | set(asked.get("features", []))
                for feature in sorted(features - set(offer.get("features", []))):
                    self.error(path, f"{crate}: the Android tree builds it without {feature}")
                if offer.get("defaults") is False and base.get("default-features", True):
                    self.error(path, f"{crate}: the Android tree lacks some of its default features; "
                                     "set default-features = false")

    def check_environment(self):
        """Of cargo's variables Soong sets the version's only (cargo_env_compat)."""
        for folder in ("service/src", "service/platform", "ctl/src", "tests/on-device"):
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


def is_between(asked, had):
    """Whether a requirement's release is neither older than all that the tree has had nor newer, as far as
    its caret counts. check-cargo builds with each of them."""
    want = [int(n) for n in asked.lstrip("^=").split(".")]
    significant = 1 if want[0] else 2
    have = sorted([int(n) for n in v.split(".")][:significant] for v in had)
    return have[0] <= want[:significant] <= have[-1]


def main():
    tree = Tree(Path(sys.argv[1]).resolve())
    if not tree.errors:
        tree.check()
    for error in sorted(set(tree.errors)):
        print(error)
    return 1 if tree.errors else 0


sys.exit(main())
