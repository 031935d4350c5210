"""RFC 6962's Merkle tree over the entries of the log: hashes, proofs and their verification. No input, no output.

A node is a complete subtree: number i of level h covers the entries from i·2^h up to and without (i+1)·2^h.
What a proof consists of is told as nodes, so that whoever keeps hashes can fetch them all at once, and fold them then.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from operator import add
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"
# To copy a hash that was begun is quicker than to begin one, and the children need not be joined to the byte.
_NEW_NODE: Final = sha256(_NODE).copy


class Node(NamedTuple):
    """A complete subtree; level 0 are the entries' own hashes."""

    level: int
    number: int


def leaf_hash(body: bytes) -> bytes:
    """The hash of an entry: SHA-256 over a zero byte and the leaf's bytes."""
    return sha256(_LEAF + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return sha256(_NODE + left + right).digest()


def complete_root(hashes: bytes) -> bytes:
    """The root over a power of two of hashes, given as one string of 32 bytes each."""
    level = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = _parents(level)
    return b"".join(level)


def subtrees(start: int, hashes: list[bytes]) -> list[tuple[int, bytes]]:
    """Level and root of the largest complete subtrees over entries from `start` on, from left to right."""
    left: list[tuple[int, bytes]] = []
    right: list[tuple[int, bytes]] = []
    level = 0
    while hashes:
        if start & 1:
            left.append((level, hashes[0]))
            hashes = hashes[1:]
            start += 1
        if len(hashes) & 1:
            right.append((level, hashes[-1]))
        hashes = _parents(hashes)
        start >>= 1
        level += 1
    return left + right[::-1]


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash of a range from those of its complete subtrees, in order and each smaller than the one before."""
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


class Frontier:
    """A tree that only grows, kept as the hashes of its complete subtrees: at most 64 of them.

    Args:
        size: how many entries it has already.
        peaks: the hashes of `nodes_of(0, size)`.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)
        if len(self.peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} entries has {size.bit_count()} complete subtrees")

    def append(self, leaf: bytes) -> None:
        """Adds the hash of one entry."""
        size, peaks = self.size, self.peaks
        while size & 1:
            leaf = sha256(_NODE + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def append_complete(self, level: int, root: bytes) -> None:
        """Adds 2^level entries by the root over them.

        Raises:
            ValueError: the tree does not end where such a subtree begins.
        """
        if self.size % (1 << level):
            raise ValueError("a complete subtree begins at a multiple of its size")
        size = self.size >> level
        while size & 1:
            root = node_hash(self.peaks.pop(), root)
            size >>= 1
        self.peaks.append(root)
        self.size += 1 << level

    def root(self) -> bytes:
        """The tree's root hash."""
        return fold(self.peaks) if self.peaks else EMPTY_ROOT


def nodes_of(start: int, end: int) -> list[Node]:
    """The complete subtrees that make up a range, from left to right; `start` is a multiple of any power of 2 below."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def inclusion_nodes(index: int, size: int) -> list[list[Node]]:
    """What the inclusion proof of an entry in a tree consists of (RFC 6962, 2.1.1): a list of nodes for each hash.

    Raises:
        ValueError: the tree has no such entry.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} entries has no entry {index}")
    path: list[list[Node]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(nodes_of(middle, end))
            end = middle
        else:
            path.append(nodes_of(start, middle))
            start = middle
    return path[::-1]


def consistency_nodes(old: int, new: int) -> list[list[Node]]:
    """What the proof that a tree is the beginning of another consists of (RFC 6962, 2.1.2).

    It is empty where the older tree is, and between equal ones.

    Raises:
        ValueError: the older tree is larger.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} entries does not continue one of {old}")
    if old in (0, new):
        return []
    path: list[list[Node]] = []
    start, end, whole = 0, new, True
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(nodes_of(middle, end))
            end = middle
        else:
            path.append(nodes_of(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(nodes_of(start, end))
    return path[::-1]


def proof(path: Sequence[Sequence[Node]], hash_of: Callable[[Node], bytes]) -> list[bytes]:
    """The hashes of a proof, by whoever knows the hash of a node."""
    return [fold([hash_of(node) for node in nodes]) for nodes in path]


def inclusion_holds(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the hash `leaf` is entry `index` of the tree of that size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency_holds(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the tree of `old` entries is the beginning of the one of `new` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not path or not hashes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            older, newer = node_hash(beside, older), node_hash(beside, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node_hash(newer, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root


def _split(count: int) -> int:
    """The largest power of 2 below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _parents(hashes: list[bytes]) -> list[bytes]:
    """The hashes of the nodes over pairs; one that is left over has none."""
    parents = []
    children, new_node = iter(hashes), _NEW_NODE
    for pair in map(add, children, children):
        node = new_node()
        node.update(pair)
        parents.append(node.digest())
    return parents
