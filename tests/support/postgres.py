"""A real PostgreSQL server of a test's own: own cluster, own port, password (scram) over TCP, TLS on request."""

import datetime
import ipaddress
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.support.sshd import free_port


def _version(folder):
    """Debian's folders are named by major version; an odd name comes last."""
    return int(folder.parent.name) if folder.parent.name.isdigit() else -1


def _binaries():
    """The folder of the newest server programs, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    found = shutil.which("initdb")
    folders = [*debian, *([Path(found).resolve().parent] if found else [])]
    return next((path for path in folders if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _unprivileged_user():
    """Whom root starts the server as, since PostgreSQL refuses root; None for everybody else."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(pwd.getpwnam(name) for name in ("postgres", "nobody") if name in known)


BINARIES = _binaries()
AVAILABLE = BINARIES is not None and (os.geteuid() != 0 or shutil.which("setpriv") is not None)
DATABASE, ROLE = "lab", "lab"
"""Made at the first start; the role owns the database and is no superuser."""

_SUPERUSER = "postgres"
_START_S, _END_S = 30.0, 30.0
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# Without fsync a stopped server still loses nothing, only a stopped machine would; synchronous_commit therefore stays
# on, or an immediate stop would lose what was acknowledged.
_FAST = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
         "shared_buffers": "16MB", "max_connections": "60", "jit": "off"}


class Postgres:
    """A context manager. `address` is where it listens, `prefix` what stands before its command (a network namespace).

    With `tls` it refuses unencrypted TCP, and `url` checks its certificate. The cluster lives in a temporary folder of
    its own: the server's user cannot enter those that pytest gives to root.
    """

    def __init__(self, *, address="127.0.0.1", tls=False, prefix=(), settings=None):
        self.address = address
        self.tls = tls
        self.port = free_port()
        self.folder = None
        self._prefix = list(prefix)
        self._settings = {**_FAST, **(settings or {})}
        self._user = _unprivileged_user()
        self._passwords = {}
        self._process = None

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="joulelab-postgres-"))
        try:
            self._own(self.folder)
            self._initialise()
            self.start()
            self.create_role(ROLE, "l@b: secret/%")
            self.create_database(DATABASE, ROLE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder)

    @property
    def pid(self):
        """Process id of the running server, or None."""
        return self._process.pid if self._process else None

    @property
    def certificate(self):
        """The server's own certificate, which is also the root that clients check it against."""
        return self.folder / "server.crt"

    def start(self):
        """Start it and wait until it answers; raises RuntimeError with its log. Harmless while it is running."""
        if self._process and self._process.poll() is None:
            return
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *self._as_user(), str(BINARIES / "postgres"), "-D", str(self.folder / "data"),
                 *(f"--{name}={value}" for name, value in self._options().items())],
                cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self, mode="immediate"):
        """smart waits for clients, fast ends their sessions, immediate is a crash without its mess."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(_SIGNALS[mode])
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()  # its children notice and end by themselves
            process.wait()
            raise

    def url(self, database=DATABASE, role=ROLE, **parameters):
        """For SQLAlchemy and DBOS; keyword arguments are libpq's connection parameters and win over the usual ones."""
        return self.conninfo(database, role, **parameters).replace("postgresql://", "postgresql+psycopg://", 1)

    def conninfo(self, database=DATABASE, role=ROLE, **parameters):
        """The same for psycopg and psql."""
        usual = {"sslmode": "verify-full", "sslrootcert": self.certificate} if self.tls else {}
        query = urlencode({**usual, **parameters}, quote_via=quote)
        who = f"{quote(role, safe='')}:{quote(self._passwords[role], safe='')}"
        where = f"{self.address}:{self.port}/{quote(database, safe='')}"
        return f"postgresql://{who}@{where}" + (f"?{query}" if query else "")

    def create_role(self, name, password):
        """A role that may log in and nothing else."""
        from psycopg.sql import SQL, Identifier, Literal

        self.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(name), Literal(password)), "postgres")
        self._passwords[name] = password

    def create_database(self, name, owner):
        """An empty database."""
        from psycopg.sql import SQL, Identifier

        self.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(name), Identifier(owner)), "postgres")

    def execute(self, statement, database=DATABASE):
        """One statement as superuser, past network and TLS; the rows of a query, else None."""
        import psycopg

        with psycopg.connect(host=str(self.folder), port=self.port, user=_SUPERUSER, dbname=database, autocommit=True,
                             connect_timeout=10) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def log(self):
        """What the server wrote so far."""
        return (self.folder / "log").read_text(errors="replace")

    def _initialise(self):
        done = subprocess.run(
            [*self._as_user(), str(BINARIES / "initdb"), "-D", str(self.folder / "data"), "-U", _SUPERUSER,
             "--auth=reject", "--encoding=UTF8", "--locale=C", "--no-sync"],
            cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")
        # The socket lies in a folder that only the server's user (and root) can enter: that is its password.
        kind = "hostssl" if self.tls else "host"
        self._write("pg_hba.conf", f"local all {_SUPERUSER} trust\n" + "".join(
            f"{kind} all all {network} scram-sha-256\n" for network in ("0.0.0.0/0", "::/0")))
        if self.tls:
            certificate, key = self_signed(self.address)
            self._write("server.crt", certificate)
            self._write("server.key", key)

    def _options(self):
        tls = {"ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": self.folder / "server.key"}
        return {**self._settings, "listen_addresses": self.address, "port": self.port,
                "unix_socket_directories": self.folder, "hba_file": self.folder / "pg_hba.conf",
                "password_encryption": "scram-sha-256", **(tls if self.tls else {})}

    def _as_user(self):
        if self._user is None:
            return []
        return ["setpriv", f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups", "--"]

    def _environment(self):
        """Without PG* variables, which would point the server at another cluster."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.folder)}

    def _own(self, path):
        if self._user:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _write(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        self._own(path)

    def _wait_until_it_answers(self):
        import psycopg

        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"postgres ended at once: {self.log()}")
            try:
                self.execute("SELECT 1", "postgres")
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"postgres does not answer: {self.log()}")


def self_signed(address):
    """Certificate and key (PEM texts) of a server at that address, valid for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "joulelab test database")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256()))
    return (certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption()).decode())
