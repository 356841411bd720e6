"""OpenMLDB's batch engine as published on Maven Central: three jars, fetched once into the user's cache.

    python -m jdrec.engines.spark.jars [FOLDER]      (make spark-jars)

Maven fetches them where it is installed, so that its settings (mirrors, credentials) hold; else Ivy does, which comes with PySpark.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jdrec.errors import EngineError, JdrecError

VERSION = "0.9.0"  # the newest that is published
GROUP = "com.4paradigm.openmldb"
COMMAND = "python -m jdrec.engines.spark.jars"

# Name to SHA-256 and size in bytes. batch: the planner; common: its messages; native: the engine itself, for Linux on x86-64.
JARS = {
    f"openmldb-batch-{VERSION}.jar": ("e84a4d8da084a2c8290d3391047e5068bc2b75ed373bcfca7f07ac8b25adecbd", 376_545_811),
    f"openmldb-common-{VERSION}.jar": ("f5ad165efb1023432d51b5a372bd9e7ef297184a1dc16b85718ad709eb066b55", 3_835_078),
    f"openmldb-native-{VERSION}.jar": ("74ef4e62a3c6f831eab263a234287e958bac29c35009c0248f08e6b18a9b4fd1", 183_575_912),
}
_PATIENCE_S = 3600


def default_folder() -> Path:
    """The folder in the user's cache, e.g. ~/.cache/jdrec/openmldb-0.9.0."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "jdrec" / f"openmldb-{VERSION}"


def find(folder: Path) -> list[Path]:
    """The jars in `folder`.

    Sizes are compared, which costs nothing; checksums were when they were fetched.

    Raises:
        EngineError: one is missing, or is not the published file.
    """
    for name, (_, size) in JARS.items():
        file = folder / name
        if not file.is_file():
            message = f"OpenMLDB's batch engine is not in {folder}: {name} is missing."
            raise EngineError(message, where="engine.jars", hint=_advice(folder))
        if file.stat().st_size != size:
            message = f"{file} has {file.stat().st_size:,} bytes, the published file {size:,}."
            raise EngineError(message, where="engine.jars", hint=_advice(folder))
    return [folder / name for name in JARS]


def _advice(folder: Path) -> str:
    return f"Fetch it (0.56 GB) with: {COMMAND}" + ("" if folder == default_folder() else f" {folder}")


def fetch(folder: Path) -> Path:
    """Puts the jars into `folder`; those that are there and right are kept. A jar appears whole or not at all.

    Raises:
        EngineError: one cannot be fetched, or is not the published file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in JARS if not (folder / name).is_file() or _sha256(folder / name) != JARS[name][0]]
    for name in wanted:
        print(f"fetching {name} ({JARS[name][1] / 1e6:,.0f} MB)", flush=True)
        with tempfile.TemporaryDirectory(prefix=".fetch.", dir=folder) as work:
            _retrieve(name.removesuffix(f"-{VERSION}.jar"), Path(work))
            fetched = Path(work) / name
            if not fetched.is_file():
                raise EngineError(f"{name} was not fetched.", hint="The lines above say why.")
            if (found := _sha256(fetched)) != JARS[name][0]:
                raise EngineError(
                    f"{name} is not the published file: SHA-256 {found}.", hint="Check the repository's mirror, then try again."
                )
            os.replace(fetched, folder / name)
    return folder


def _retrieve(artifact: str, into: Path) -> None:
    """Maven's or Ivy's own download of one artifact without what it depends on; both check the repository's checksum."""
    maven = shutil.which("mvn")
    if maven is not None:
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
        command = [maven, "--batch-mode", "--quiet", copy, f"-Dartifact={GROUP}:{artifact}:{VERSION}", f"-DoutputDirectory={into}"]
        # A repository of its own: the jars would otherwise stay in the user's ~/.m2 as well.
        command += [f"-Dmaven.repo.local={into / 'repository'}", "-Dmdep.useBaseVersion=true"]
    else:
        command = [*_ivy(), "-dependency", GROUP, artifact, VERSION, "-cache", str(into / "ivy"), "-confs", "master"]
        command += ["-retrieve", str(into / "[artifact]-[revision].[ext]"), "-warn"]
    environment = {**os.environ, "MAVEN_OPTS": os.environ.get("MAVEN_OPTS", "-Xmx512m")}
    try:
        done = subprocess.run(command, env=environment, timeout=_PATIENCE_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{artifact} did not come within an hour.", hint="Check the network, then try again.") from None
    if done.returncode:
        raise EngineError(f"{Path(command[0]).name} could not fetch {GROUP}:{artifact}:{VERSION} (exit code {done.returncode}).")


def _ivy() -> list[str]:
    """The command of the Ivy that PySpark ships."""
    from jdrec.engines.spark import java, pyspark_folder

    jar = next((pyspark_folder() / "jars").glob("ivy-*.jar"), None)
    if jar is None:
        raise EngineError("neither Maven nor PySpark's Ivy is here.", hint="Install Maven, or PySpark with pip install 'jdrec[spark]'.")
    return [str(java.find(None).program), "-jar", str(jar)]


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    """The command line."""
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(f"usage: {COMMAND} [FOLDER]", file=sys.stderr)
        return 2
    try:
        folder = fetch(Path(arguments[0]) if arguments else default_folder())
    except JdrecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"OpenMLDB {VERSION}'s batch engine is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
