"""Compiles the hot modules with mypyc into the wheel, where it is asked for.

`HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 pip install .` needs a C compiler and Python's headers, and gives a wheel of this
machine's kind. Without that variable, and in an editable install, the same sources are run by the interpreter: the
compiled modules behave the same and only cost less. They are built in a copy, so that none of them is ever left
beside its source, where it would be imported instead of it.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SETUP = """\
from mypyc.build import mypycify
from setuptools import setup

setup(name="compiled", packages=[], ext_modules=mypycify({arguments!r}, opt_level="3", debug_level="0"))
"""


class CompilingHook(BuildHookInterface[Any]):
    """`modules` of the hook's table in pyproject.toml lists what is compiled."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel."""
        if version == "editable":
            return
        self._copy = Path(mkdtemp(prefix="shadow-proxy-build-"))
        try:
            self._compile()
        except BaseException:  # finalize is for what succeeded
            shutil.rmtree(self._copy)
            raise
        for built in self._copy.rglob("*.so"):
            build_data["force_include"][str(built)] = str(built.relative_to(self._copy))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _compile(self) -> None:
        for package in ("proxy", "comparators"):
            shutil.copytree(Path(self.root, package), self._copy / package, ignore=shutil.ignore_patterns("*.so"))
        arguments = ["--config-file=", "--explicit-package-bases", "--follow-imports=silent", *self.config["modules"]]
        (self._copy / "setup.py").write_text(SETUP.format(arguments=arguments))
        done = subprocess.run(
            [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
            cwd=self._copy,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"mypyc could not compile the hot modules:\n{done.stdout}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the copy."""
        _ = build_data, artifact_path
        if version != "editable":
            shutil.rmtree(self._copy)
