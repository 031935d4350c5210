"""The unprivileged account that PostgreSQL runs as when we are root, and the way to its files for it.

PostgreSQL refuses to run as root. Its data may lie under directories that only root may enter (/root, a directory made
by mktemp): the account is let through exactly those, by an access control entry for it alone, which neither opens them
to others nor lets it list them.
"""

import errno
import os
import pwd
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from services.cli.errors import UserMissing

_NAME = "nobody"

_ACL = "system.posix_acl_access"
_ACL_HEADER = struct.pack("<I", 2)
_ACL_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_PASS = 0o1


@dataclass(frozen=True)
class Account:
    """A user of the machine, by numbers."""

    uid: int
    gid: int


def engine_account() -> Account | None:
    """Whom PostgreSQL is to run as; none when we are not root and it simply runs as us.

    Raises:
        UserMissing: the machine lacks even the user `nobody`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError as missing:
        raise UserMissing(_NAME) from missing
    return Account(entry.pw_uid, entry.pw_gid)


def let_reach(account: Account, path: Path) -> None:
    """Lets the account pass through every directory above `path`."""
    for directory in path.resolve().parents:
        if not _may_pass(directory.stat(), account):
            _let_pass(directory, account)


def let_read_tree(top: Path) -> None:
    """Makes a tree readable by all, executables executable: wheels unpacked under a strict umask are not."""
    for directory, _, files in os.walk(top):
        _widen(Path(directory), 0o055)
        for name in files:
            path = Path(directory, name)
            if not path.is_symlink():
                _widen(path, 0o055 if path.stat().st_mode & stat.S_IXUSR else 0o044)


def _widen(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


def _may_pass(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _let_pass(directory: Path, account: Account) -> None:
    """Adds `user:<account>:--x` to the directory's access control list; a file system without lists gets o+x."""
    entries = _acl(directory)
    if entries is None:
        _widen(directory, stat.S_IXOTH)
        return
    entries[_USER, account.uid] = entries.get((_USER, account.uid), 0) | _PASS
    mask = entries.get((_MASK, _NO_ID), entries[_GROUP_OBJ, _NO_ID])
    entries[_MASK, _NO_ID] = mask | _PASS
    packed = b"".join(_ACL_ENTRY.pack(tag, rights, who) for (tag, who), rights in sorted(entries.items()))
    try:
        os.setxattr(directory, _ACL, _ACL_HEADER + packed)
    except OSError as refused:
        if refused.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
        _widen(directory, stat.S_IXOTH)


def _acl(directory: Path) -> dict[tuple[int, int], int] | None:
    """The list as (tag, id) -> rights, made of the mode bits when there is none yet; None: no lists here."""
    try:
        packed = os.getxattr(directory, _ACL)
    except OSError as refused:
        if refused.errno in (errno.ENOTSUP, errno.EOPNOTSUPP):
            return None
        if refused.errno != errno.ENODATA:
            raise
        mode = directory.stat().st_mode
        return {
            (_USER_OBJ, _NO_ID): mode >> 6 & 7,
            (_GROUP_OBJ, _NO_ID): mode >> 3 & 7,
            (_OTHER, _NO_ID): mode & 7,
        }
    return {(tag, who): rights for tag, rights, who in _ACL_ENTRY.iter_unpack(packed[len(_ACL_HEADER) :])}
