"""A Temporal server that skips time, for tests of what takes hours: Temporal's Java test server.

It comes from Maven Central, by ``mvn`` and once for all runs. Without ``mvn`` or Java the SDK fetches one itself.
Time does not skip while an activity is scheduled or running, one that is completed asynchronously included.
"""

import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from stratavore.embedded.temporal import cache_directory
from tests.support.servers import search_attributes

ARTIFACT = "temporal-test-server"
VERSION = "1.38.0"
START_TIMEOUT = timedelta(seconds=90)
"""A JVM on a busy machine: by itself the SDK gives it 5 s."""
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m")

PROJECT = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId>
  <artifactId>tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>{ARTIFACT}</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


@asynccontextmanager
async def time_skipping(directory: Path) -> AsyncIterator[WorkflowEnvironment]:
    """A server of the caller's own, on loopback. It ends with the block, or when ``directory``'s guardian cleans up."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter,
        test_server_existing_path=_program(directory),
        test_server_startup_timeout=START_TIMEOUT,
    ) as environment:
        client = environment.client
        await client.operator_service.add_search_attributes(search_attributes(client.namespace))
        yield environment


def _program(directory: Path) -> str | None:
    """A program in ``directory`` that becomes the server, or None: the SDK knows where to get one."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if not java or not maven:
        return None
    libraries = _libraries(maven)
    program = Path(mkdtemp(dir=directory, prefix="h")) / ARTIFACT
    command = shlex.join([java, *JAVA, "-cp", f"{libraries}/*", "io.temporal.testserver.TestServer"])
    # The variable tells the guardian that it is ours.
    program.write_text(f'#!/bin/sh\nexec env STRATAVORE_HOME={shlex.quote(str(program.parent))} {command} "$@"\n')
    program.chmod(0o700)
    return str(program)


def _libraries(maven: str) -> Path:
    """The directory with the server and all it needs. Maven compares every file with its published checksum."""
    libraries = cache_directory() / f"{ARTIFACT}-{VERSION}"
    if not libraries.exists():
        libraries.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=libraries.parent) as scratch:
            (Path(scratch) / "pom.xml").write_text(PROJECT)
            subprocess.run(
                [
                    *(maven, "--quiet", "--batch-mode", "--strict-checksums", "dependency:copy-dependencies"),
                    *("-DincludeScope=runtime", f"-DoutputDirectory={scratch}/lib"),
                ],
                cwd=scratch,
                check=True,
                capture_output=True,
                timeout=240,
            )
            fetched = Path(scratch) / "lib"
            if not (fetched / f"{ARTIFACT}-{VERSION}.jar").is_file():
                raise AssertionError(f"Maven brought no {ARTIFACT} {VERSION}")
            # Two runs may fetch at once; the first one's stays.
            if not libraries.exists():
                fetched.rename(libraries)
    return libraries
