"""What the environment and the keychain hold: read when a study starts, kept in memory alone."""

from __future__ import annotations

import os
import shutil
import subprocess

from sweep.spec.notify import Secret

KEYCHAIN_S = 60.0
"""How long the keychain may take to answer: it may ask the person whether to."""


class NoSecretError(Exception):
    """A secret is not there; the message says where it is looked for, and what to do."""


def value_of(secret: str | Secret) -> str:
    """What stands in the study file itself, or where it says. Raises NoSecretError."""
    if isinstance(secret, str):
        return secret
    found = _environment(secret.env) if secret.env is not None else _keychain(secret.keychain or "")
    if not found:
        raise NoSecretError(f"{secret} holds nothing")
    return found


def _environment(name: str) -> str:
    found = os.environ.get(name)
    if found is None:
        raise NoSecretError(f"the environment variable {name} is not set. Run: export {name}=...")
    return found.strip()


def _keychain(name: str) -> str:
    if shutil.which("security") is None:
        raise NoSecretError(f"the keychain is macOS's, and this machine has none ({name}). Use {{env: NAME}}")
    command = ["security", "find-generic-password", "-s", name, "-w"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=KEYCHAIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NoSecretError(
            f"the keychain did not answer within {KEYCHAIN_S:.0f} s. Unlock it and allow `security` to read"
        ) from error
    if done.returncode:
        raise NoSecretError(
            f"the keychain has no generic password of the service {name}. "
            f"Run: security add-generic-password -s {name} -a $USER -w"
        )
    return done.stdout.strip()
