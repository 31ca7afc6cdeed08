"""Where an SSH device is and how to log in there, before and after ~/.ssh/config has been read."""

from __future__ import annotations

import getpass
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import paramiko

from lab.errors import ConfigError

from .known_hosts import DEFAULT_PORT, host_label

DEFAULT_KEYS = tuple(Path("~/.ssh") / name for name in ("id_ed25519", "id_ecdsa", "id_rsa"))
_NO_PROXY = {"", "none"}


@dataclass(frozen=True)
class SshTarget:
    """One SSH device as the user names it; what is None comes from `config_file`, then from OpenSSH's defaults.

    `known_hosts` is the lab's own pin file. `agent_home` is relative to the remote home or absolute, `python` a
    name or path there. `prefer_gcm` puts AES-GCM first: right only for a device known to have AES instructions.
    """

    host: str
    user: str | None = None
    port: int | None = None
    _: KW_ONLY
    known_hosts: Path
    identity_files: tuple[Path, ...] = ()
    config_file: Path | None = Path("~/.ssh/config")
    user_known_hosts: Path | None = Path("~/.ssh/known_hosts")
    default_keys: tuple[Path, ...] = DEFAULT_KEYS
    agent_home: str = ".cache/joulelab"
    python: str | None = None
    use_agent: bool = True
    connect_timeout_s: float = 10.0
    start_timeout_s: float = 30.0
    prefer_gcm: bool = False

    @property
    def url(self) -> str:
        """The device's address as `lab devices add` takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}{f':{self.port}' if self.port else ''}"


@dataclass(frozen=True, kw_only=True)
class ResolvedTarget:
    """A target with nothing left open: `key_label` is the name its host key is filed under."""

    target: SshTarget
    host: str
    port: int
    user: str
    key_label: str
    identity_files: tuple[Path, ...]
    identities_only: bool
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """What error texts call this device."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + (f":{self.port}" if self.port != DEFAULT_PORT else "")


def target_from_url(
    url: str, *, known_hosts: Path, python: str | None = None, prefer_gcm: bool = False,
) -> SshTarget:
    """The target `ssh://[user@]host[:port]` names; raises ConfigError."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme != "ssh" or not parts.hostname or parts.password or parts.path.strip("/") or parts.query \
            or port == -1 or parts.hostname.startswith("-"):
        raise ConfigError(f"device address {url!r}: expected ssh://[user@]host[:port]")
    return SshTarget(
        parts.hostname, parts.username, port, known_hosts=known_hosts, python=python, prefer_gcm=prefer_gcm,
    )


def resolve(target: SshTarget) -> ResolvedTarget:
    """Fill in what the target leaves open; raises ConfigError for a configuration this transport cannot follow."""
    options, notes = _config_options(target)
    for key, name in (("proxyjump", "ProxyJump"), ("proxycommand", "ProxyCommand")):
        if str(options.get(key) or "").lower() not in _NO_PROXY:
            raise ConfigError(
                f"{target.url}: {target.config_file} sets {name} {options[key]!r} for this host, which is not "
                f"supported yet; give an address that can be reached directly"
            )
    host = options.get("hostname", target.host)
    port = target.port or _port(target, options.get("port"))
    return ResolvedTarget(
        target=target, host=host, port=port,
        user=target.user or options.get("user") or _login_name(target),
        key_label=options.get("hostkeyalias") or host_label(host, port),
        identity_files=(*target.identity_files, *(Path(name) for name in options.get("identityfile", ()))),
        identities_only=options.get("identitiesonly", "no").lower() == "yes", notes=notes,
    )


def _config_options(target: SshTarget) -> tuple[paramiko.config.SSHConfigDict, tuple[str, ...]]:
    nothing = paramiko.config.SSHConfigDict()
    if target.config_file is None:
        return nothing, ()
    path = target.config_file.expanduser()
    try:
        options = paramiko.SSHConfig.from_path(path).lookup(target.host)
    except FileNotFoundError:
        return nothing, ()
    except (OSError, UnicodeDecodeError, ImportError, ValueError, KeyError, paramiko.SSHException) as error:
        raise ConfigError(f"{path} could not be read: {error}") from None
    if "include" in options:
        return options, (f"{path} uses Include, which is not followed",)
    return options, ()


def _port(target: SshTarget, text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConfigError(f"{target.config_file}: Port {text!r} for {target.host} is not a port number")
    return int(text)


def _login_name(target: SshTarget) -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise ConfigError(f"{target.url}: who to log in as is unknown; write ssh://USER@{target.host}") from None
