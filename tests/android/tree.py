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
"""Makes a cargo workspace of what Soong builds from the Android.bp files: tree.py ROOT STATE AIDL OUT.

Each Rust module is a package: its sources where they are, and as dependencies its rustlibs and nothing
else. External crates have the version and the features of the tree of that date (aosp_crates.toml), one
version of each, as Soong has it; what the tree patches in them is patched here. The contract's crate is
made of what aidl wrote to AIDL, and the platform's libbinder_rs is the one beside this file.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import blueprint

HERE = Path(__file__).parent
CONTRACT = "android.system.guestnet-rust"
# The platform's own modules: package -> crate.
PLATFORM = {"libbinder_rs": "binder", CONTRACT: "android_system_guestnet"}


def toml(value):
    """A value in TOML; a table is an inline one."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    # TOML's strings, numbers and truth values are JSON's.
    return json.dumps(value if not isinstance(value, Path) else str(value))


def manifest(folder, **tables):
    """Writes a Cargo.toml; a table whose key has dots is nested."""
    lines = []
    for name, table in tables.items():
        for entry in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            lines += [f"{toml(key)} = {toml(value)}" for key, value in entry.items()]
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "Cargo.toml", "\n".join(lines) + "\n")


def write(path, text):
    """Leaves a file alone that is right already: cargo goes by times."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


class Workspace:
    """The workspace of one state."""

    def __init__(self, root, state, aidl, out):
        self.root, self.aidl, self.out = root, aidl, out
        self.aosp = tomllib.loads((HERE / "aosp_crates.toml").read_text())
        self.state = state
        self.versions = self.aosp["states"][state]
        self.modules = [m for m in blueprint.modules(root) if m.kind.startswith("rust_")]
        self.named = {m.name: m for m in self.modules}
        self.crates = {c["module"]: name for name, c in self.aosp["crates"].items()}

    def make(self):
        members = []
        for module in self.modules:
            if module.kind != "rust_defaults":
                members.append(module.name)
                self.package(module)
        self.platform()
        manifest(self.out, workspace={"members": members, "exclude": ["platform"], "resolver": "2"},
                 **{"patch.crates-io": self.patched(), "profile.dev": {"panic": "abort", "debug": 0}})

    def package(self, module):
        properties = blueprint.with_defaults(module, self.named)
        name = module.name
        source = module.folder / properties["srcs"][0]
        kind = module.kind.removeprefix("rust_")
        # Tests are modules of their own.
        target = {"name": properties.get("crate_name", name), "path": source, "test": kind == "test"}
        targets = {"library": {"lib": target}, "binary": {"bin": [target]}, "test": {"test": [target]}}[kind]
        manifest(
            self.out / name,
            package=package(name, properties["edition"], properties["cargo_pkg_version"]),
            dependencies=dict(self.library(lib) for lib in properties.get("rustlibs", [])),
            # Soong has no --check-cfg, without which rustc takes every feature's name.
            **{"lints.rust": {"unexpected_cfgs": "allow"}},
            **targets)

    def library(self, module):
        """A module in rustlibs as a dependency."""
        if module in self.named:
            return module, {"path": self.out / module}
        if module in PLATFORM:
            return PLATFORM[module], {"path": self.out / "platform" / PLATFORM[module]}
        return self.crate(self.crates[module])

    def crate(self, name):
        offer = self.aosp["crates"].get(name, {})
        return name, {"version": "=" + self.versions[name], "default-features": offer.get("defaults", True),
                      "features": offer.get("features", [])}

    def platform(self):
        """libbinder_rs, and the crate that Soong's aidl_interface makes of aidl's output."""
        binder, contract = (self.out / "platform" / PLATFORM[m] for m in ("libbinder_rs", CONTRACT))
        manifest(binder, package=package("binder", "2021"), lib={"path": HERE / "libbinder_rs/lib.rs"})
        name, dependency = self.crate("async-trait")
        manifest(contract, package=package("android_system_guestnet", "2021"), lib={"path": "lib.rs"},
                 dependencies={"binder": {"path": binder}, name: dependency})
        sources = sorted((self.aidl / "android/system/guestnet").glob("*.rs"))
        for source in sources:
            write(contract / source.name, source.read_text())
        path = "android::system::guestnet"
        write(contract / "lib.rs", "#![allow(warnings, clippy::all)]\npub mod aidl {\n"
              + "".join(f"pub mod {part} {{\n" for part in path.split("::"))
              + "".join(f'#[path = "{contract / s.name}"] pub mod {s.stem};\n' for s in sources)
              + "}" * 4 + "\npub mod mangled {\n"
              + "".join(f"pub(crate) use crate::aidl::{path}::{s.stem}::mangled::*;\n" for s in sources)
              + "}\n")

    def patched(self):
        """The crates that the tree has not as published, for [patch.crates-io]."""
        patched = self.aosp["patched"]
        wanted = [n for n in patched["crates"] if n in self.versions]
        # What they are made of: if it changes, they are made again. Another workspace of the state, beside
        # this one, shares them.
        stamp = json.dumps([self.versions, patched, Path(__file__).read_text()])
        folders = {name: self.out.parent / "patched" / self.state / name for name in wanted}
        stale = [n for n in wanted if not (f := folders[n] / ".stamp").is_file() or f.read_text() != stamp]
        found = self.published(stale) if stale else {}
        for name in stale:
            shutil.rmtree(folders[name], ignore_errors=True)
            shutil.copytree(found[name], folders[name], ignore=shutil.ignore_patterns("examples", "benches"))
            self.unify(folders[name])
            for change in patched["edits"]:
                if change["crate"] == name and self.state in change["states"]:
                    edit(folders[name], change)
            (folders[name] / ".stamp").write_text(stamp)
        return {name: {"path": folder} for name, folder in folders.items()}

    def published(self, names):
        """The folders of crates as they were published, which cargo fetches."""
        folder = self.out.parent / "published" / self.state
        asked = {n: {"version": "=" + self.versions[n], "default-features": False} for n in names}
        manifest(folder, package=package("published", "2021"), lib={"path": "lib.rs"}, workspace={},
                 dependencies=asked)
        write(folder / "lib.rs", "")
        metadata = ["cargo", "metadata", "--quiet", "--format-version=1"]
        answer = subprocess.run(metadata, cwd=folder, check=True, stdout=subprocess.PIPE)
        return {p["name"]: Path(p["manifest_path"]).parent for p in json.loads(answer.stdout)["packages"]
                if p["name"] in names and p["version"] == self.versions[p["name"]]}

    def unify(self, folder):
        """Has a crate take the tree's one version of each other crate; its tests and examples go."""
        old = tomllib.loads((folder / "Cargo.toml").read_text())
        of = old["package"]
        tables = {
            "package": package(of["name"], of["edition"], of["version"]),
            "lib": {k: v for k, v in old.get("lib", {}).items() if k in ("name", "path")},
            "features": old.get("features", {}),
            "dependencies": self.one_version(old.get("dependencies", {})),
        }
        for target, table in old.get("target", {}).items():
            tables[f"target.'{target}'.dependencies"] = self.one_version(table.get("dependencies", {}))
        manifest(folder, **tables)
        # As for every crate that is not ours: Soong asks external crates for no lints.
        root = folder / tables["lib"].get("path", "src/lib.rs")
        write(root, "#![allow(warnings)]\n" + root.read_text())

    def one_version(self, dependencies):
        changed = {}
        for crate, asked in dependencies.items():
            asked = asked if isinstance(asked, dict) else {"version": asked}
            if crate in self.versions:
                asked = asked | {"version": "=" + self.versions[crate]}
            changed[crate] = asked
        return changed


def package(name, edition, version="0.0.0"):
    return {"name": name.replace(".", "_"), "version": version, "edition": edition, "publish": False}


def edit(folder, change):
    """Applies one edit; one that changes nothing is out of date."""
    done = 0
    for path in (p for pattern in change["files"] for p in sorted(folder.glob(pattern))):
        text, count = re.subn(change["find"], change["put"], path.read_text(), flags=re.M)
        write(path, text)
        done += count
    if not done:
        sys.exit(f"{folder}: no {change['find']!r} in {change['files']}")


def main():
    root, state, aidl, out = sys.argv[1:]
    Workspace(Path(root).resolve(), state, Path(aidl).resolve(), Path(out).resolve()).make()


main()
