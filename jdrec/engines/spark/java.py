"""The Java that runs Spark 3.2: version 8, 11 or 17."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jdrec.errors import EngineError

SUPPORTED = (8, 11, 17)

# What Spark 3.2 reaches into; from Java 16 on such packages are closed unless they are opened by name.
_OPENED = [
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
]
OPENS = " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)
TOLERANT_OPENS = f"-XX:+IgnoreUnrecognizedVMOptions {OPENS}"  # for executors, whose Java is not known here: Java 8 ignores them


@dataclass(frozen=True)
class Java:
    """A Java installation."""

    home: Path
    version: int  # 8, 11, 17, ...

    @property
    def program(self) -> Path:
        return self.home / "bin" / "java"

    @property
    def options(self) -> str:
        """What Spark 3.2 needs to run on it."""
        return OPENS if self.version >= 17 else ""


def find(home: str | None) -> Java:
    """The Java to use: in `home`, else in JAVA_HOME, else the one on PATH.

    Raises:
        EngineError: there is none, or Spark 3.2 does not run on it.
    """
    named = home or os.environ.get("JAVA_HOME")
    if named:
        where = "engine.java_home" if home else "JAVA_HOME"
        folder = Path(named)
        if not (folder / "bin" / "java").is_file():
            raise EngineError(f"there is no Java in {named}.", where=where, hint="It is the folder that holds bin/java.")
    else:
        program = shutil.which("java")
        if program is None:
            raise EngineError("Java is not installed.", hint="Install Java 17 (or 11, or 8), or name its folder with engine.java_home.")
        where, folder = "java", Path(program).resolve().parent.parent
    version = _version(folder)
    if version not in SUPPORTED:
        message = f"Spark 3.2 does not run on Java {version} ({folder})."
        raise EngineError(message, where=where, hint="Name the folder of a Java 8, 11 or 17 with engine.java_home.")
    return Java(folder, version)


def _version(home: Path) -> int:
    """Its feature version, from the file that each installation carries, else from the program."""
    release = home / "release"
    text = release.read_text(errors="replace") if release.is_file() else ""
    match = re.search(r'^JAVA_VERSION="?([\d.]+)', text, re.MULTILINE)
    if match is None:
        try:
            done = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{home / 'bin' / 'java'} does not run: {error}.") from None
        match = re.search(r'version "([\d.]+)', done.stderr + done.stdout)
    if match is None:
        raise EngineError(f"{home / 'bin' / 'java'} does not tell its version.")
    return parse_version(match[1])


def parse_version(text: str) -> int:
    """The feature version in a version string: 8 of "1.8.0_412", 17 of "17.0.15"."""
    numbers = text.split(".")
    return int(numbers[1]) if numbers[0] == "1" and len(numbers) > 1 else int(numbers[0])
