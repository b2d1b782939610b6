"""Signatures with ssh keys, by the machine's own `ssh-keygen -Y` (OpenSSH 8.2 or later); no key is ever read here."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dpsynth.errors import SpecError

NAMESPACE = "dpsynth-ledger"
"""What the signature is for: one made for anything else does not verify here."""

_NAME = re.compile(r"[A-Za-z0-9._@+-]{1,100}")
_KEY = re.compile(r"(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]{1,60} [A-Za-z0-9+/]{20,8000}={0,2}")
_SIGNATURE_LIMIT = 1 << 16
_PATIENCE_SECONDS = 60


def available() -> bool:
    """Whether this machine has ssh-keygen."""
    return shutil.which("ssh-keygen") is not None


def signer_line(text: str) -> str:
    """`NAME=FILE.pub` as a line of an allowed-signers file: `NAME type key`. Raises SpecError."""
    name, equals, file = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise SpecError(f"a signer is written NAME=FILE.pub, NAME of letters, digits and . _ @ + -, got {text[:60]!r}")
    try:
        with open(file, encoding="ascii", errors="replace") as opened:
            words = opened.read(1 << 14).split()
    except OSError as error:
        raise SpecError(f"the public key {file} cannot be read: {error.strerror}") from None
    line = f"{name} {' '.join(words[:2])}"
    if not is_signer_line(line):
        raise SpecError(f"{file} is not an ssh public key: give the .pub file that ssh-keygen wrote")
    return line


def is_signer_line(line: object) -> bool:
    """Whether the value is `NAME type key` and nothing else: no options, no patterns that would match other names."""
    if not isinstance(line, str):
        return False
    name, _, key = line.partition(" ")
    return bool(_NAME.fullmatch(name) and _KEY.fullmatch(key))


def sign(statement: bytes, key: Path) -> bytes:
    """The armoured signature of the statement. ssh-keygen may ask for a passphrase or a touch. Raises SpecError."""
    done = subprocess.run(
        [_program(), "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)], input=statement, stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise SpecError(f"ssh-keygen could not sign with {key}: give a private key, or a public one that your ssh agent holds")
    return done.stdout


def signer_of(statement: bytes, signature: bytes, allowed: str) -> str | None:
    """The name under which the allowed-signers text lists who signed exactly this statement; None where it lists nobody."""
    if not 0 < len(signature) <= _SIGNATURE_LIMIT:
        return None
    with tempfile.TemporaryDirectory(prefix="dpsynth-") as folder:
        signed, signers = Path(folder, "signature"), Path(folder, "allowed")
        signed.write_bytes(signature)
        signers.write_text(allowed, encoding="utf-8", errors="replace")
        files = ["-s", str(signed), "-f", str(signers)]
        found = _asked("find-principals", [*files], b"")
        for name in found.stdout.decode(errors="replace").splitlines():
            if _asked("verify", [*files, "-I", name, "-n", NAMESPACE], statement).returncode == 0:
                return name
    return None


def _asked(what: str, arguments: list[str], given: bytes) -> "subprocess.CompletedProcess[bytes]":
    command = [_program(), "-Y", what, *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=_PATIENCE_SECONDS)


def _program() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        raise SpecError("ssh-keygen is not on this machine: install OpenSSH 8.2 or later (Debian: openssh-client), or sign elsewhere")
    return found
