"""The Merkle tree: RFC 6962's own recursion is the reference for every root and every proof."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.tiles import (
    HEIGHT,
    TILE_BYTES,
    WIDTH,
    Edge,
    KnownTiles,
    Place,
    Shelf,
    Tile,
    bundle,
    hash_in,
    number_of,
    number_path,
    place_of,
    tile_asked,
    width_of,
)
from services.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    Node,
    consistency_holds,
    consistency_nodes,
    inclusion_holds,
    inclusion_nodes,
    leaf_hash,
    node_hash,
    nodes_of,
    proof,
)

# The inputs that Certificate Transparency's implementations share, and the roots of their first n (RFC 6962 hashing).
INPUTS = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(1_000)]


def root_of(hashes: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word by word."""
    if not hashes:
        return sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    cut = split(len(hashes))
    return node_hash(root_of(hashes[:cut]), root_of(hashes[cut:]))


def path_of(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(hashes) == 1:
        return []
    cut = split(len(hashes))
    if index < cut:
        return [*path_of(index, hashes[:cut]), root_of(hashes[cut:])]
    return [*path_of(index - cut, hashes[cut:]), root_of(hashes[:cut])]


def proof_of(old: int, hashes: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF of RFC 6962, 2.1.2."""
    if old == len(hashes):
        return [] if whole else [root_of(hashes)]
    cut = split(len(hashes))
    if old <= cut:
        return [*proof_of(old, hashes[:cut], whole=whole), root_of(hashes[cut:])]
    return [*proof_of(old - cut, hashes[cut:], whole=False), root_of(hashes[:cut])]


def split(count: int) -> int:
    cut = 1
    while cut * 2 < count:
        cut *= 2
    return cut


def hash_of(node: Node) -> bytes:
    return root_of(LEAVES[node.number << node.level : (node.number + 1) << node.level])


def test_roots_are_those_that_others_publish() -> None:
    """The roots over Certificate Transparency's shared test inputs come out as published."""
    frontier = Frontier()
    assert (
        frontier.root()
        == EMPTY_ROOT
        == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )
    for entry, root in zip(INPUTS, ROOTS, strict=True):
        frontier.append(leaf_hash(entry))
        assert frontier.root().hex() == root


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257, 511, 513])
def test_every_proof_of_a_size_is_the_one_of_the_rfc(size: int) -> None:
    """Every inclusion proof and consistency proof of a tree equals the recursion of the RFC, and holds."""
    root = root_of(LEAVES[:size])
    step = 1 if size < 40 else 7
    for index in range(0, size, step):
        path = proof(inclusion_nodes(index, size), hash_of)
        assert path == path_of(index, LEAVES[:size])
        assert inclusion_holds(LEAVES[index], index, size, path, root)
    for old in range(1, size + 1, step):
        path = proof(consistency_nodes(old, size), hash_of)
        assert path == proof_of(old, LEAVES[:size])
        assert consistency_holds(old, size, path, root_of(LEAVES[:old]), root)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_proof_that_is_not_the_one_does_not_hold(data: st.DataObject) -> None:
    """A proof with a byte changed, a hash dropped or doubled, or for another place, size or root, is refused."""
    size = data.draw(st.integers(2, 300))
    index = data.draw(st.integers(0, size - 1))
    root = root_of(LEAVES[:size])
    path = proof(inclusion_nodes(index, size), hash_of)
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    assert not inclusion_holds(LEAVES[index], other, size, path, root)
    assert not inclusion_holds(LEAVES[other], index, size, path, root)
    assert not inclusion_holds(LEAVES[index], index, size, path, root_of(LEAVES[: size + 1]))
    at = data.draw(st.integers(0, len(path) - 1))
    for changed in (path[:at] + path[at + 1 :], [*path, path[at]], [*path[:at], flipped(path[at]), *path[at + 1 :]]):
        assert not inclusion_holds(LEAVES[index], index, size, changed, root)
    assert not inclusion_holds(LEAVES[index], size, size, path, root)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_history_that_was_changed_has_no_consistency(data: st.DataObject) -> None:
    """No proof of the log as it was leads to a log in which an entry of the past is another."""
    new = data.draw(st.integers(2, 300))
    old = data.draw(st.integers(1, new - 1))
    changed = data.draw(st.integers(0, old - 1))
    rewritten = [*LEAVES[:changed], flipped(LEAVES[changed]), *LEAVES[changed + 1 : new]]
    path = proof_of(old, rewritten)
    assert not consistency_holds(old, new, path, root_of(LEAVES[:old]), root_of(rewritten))
    honest = proof(consistency_nodes(old, new), hash_of)
    assert consistency_holds(old, new, honest, root_of(LEAVES[:old]), root_of(LEAVES[:new]))
    for path in (honest[:-1], [*honest, honest[0]], [flipped(honest[0]), *honest[1:]]):
        assert not consistency_holds(old, new, path, root_of(LEAVES[:old]), root_of(LEAVES[:new]))
    assert not consistency_holds(new, old, honest, root_of(LEAVES[:new]), root_of(LEAVES[:old]))


def test_of_equal_trees_and_from_the_empty_one() -> None:
    """Equal sizes need equal roots and no proof; what follows the empty tree needs none either."""
    root = root_of(LEAVES[:5])
    assert consistency_nodes(5, 5) == consistency_nodes(0, 5) == []
    assert consistency_holds(5, 5, [], root, root)
    assert not consistency_holds(5, 5, [], root, flipped(root))
    assert not consistency_holds(5, 5, [root], root, root)
    assert consistency_holds(0, 5, [], EMPTY_ROOT, root)
    assert not consistency_holds(0, 5, [], root, root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_there_is_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    """An entry beyond the tree has no proof, and none of a larger tree is made for a smaller."""
    with pytest.raises(ValueError, match="no entry"):
        inclusion_nodes(index, size)
    with pytest.raises(ValueError, match="does not continue"):
        consistency_nodes(size + 1, size)


def test_a_frontier_is_taken_up_where_it_was_left() -> None:
    """A frontier made of size and peaks goes on as the one it was taken from, by entries or by whole subtrees."""
    whole = Frontier()
    for leaf in LEAVES[:512]:
        whole.append(leaf)
    again = Frontier(whole.size, whole.peaks)
    again.append_complete(8, root_of(LEAVES[512:768]))
    again.append(LEAVES[768])
    assert again.root() == root_of(LEAVES[:769])
    with pytest.raises(ValueError, match="multiple"):
        again.append_complete(8, EMPTY_ROOT)
    with pytest.raises(ValueError, match="complete subtrees"):
        Frontier(3, [EMPTY_ROOT])


@given(st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=60, deadline=None)
def test_an_edge_grows_as_the_tree_does(batches: list[int]) -> None:
    """However entries come in batches, the edge has the tree's root, and full tiles are those of the whole tree."""
    edge = Edge()
    tiles: dict[tuple[int, int], Tile] = {}
    leaves = LEAVES * 4
    for count in batches:
        edge, full = edge.extended(leaves[edge.size : edge.size + count])
        tiles |= {(tile.level, tile.number): tile for tile in full}
    known = leaves[: edge.size]
    assert edge.root() == root_of(known)
    assert edge.frontier().root() == edge.root()
    assert sorted(tiles) == [(0, number) for number in range(edge.size // WIDTH)]
    for (_, number), tile in tiles.items():
        inside = known[number * WIDTH : (number + 1) * WIDTH]
        assert tile.hashes == b"".join(inside)
        assert tile.root == root_of(inside)


def test_tiles_of_tiles() -> None:
    """A full tile of level 1 stands over 256 of level 0, and its root is that of all their entries."""
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(WIDTH * WIDTH + 300)]
    edge, tiles = Edge().extended(leaves)
    (upper,) = [tile for tile in tiles if tile.level == 1]
    lower = [tile for tile in tiles if tile.level == 0]
    assert upper.hashes == b"".join(tile.root for tile in lower[:WIDTH])
    assert upper.root == root_of(leaves[: WIDTH * WIDTH])
    assert [len(hashes) // 32 for hashes in edge.partial] == [44, 1, 1]
    assert edge.root() == root_of(leaves)
    assert len(upper.hashes) == TILE_BYTES


@pytest.mark.parametrize("node", [Node(0, 300), Node(3, 41), Node(7, 3), Node(8, 1), Node(8, 2)])
def test_a_node_is_found_in_its_tile(node: Node) -> None:
    """The hash of a node is computed from the one tile that holds it."""
    tiles: dict[tuple[int, int], bytes] = {}
    edge, full = Edge().extended(LEAVES)
    tiles |= {(tile.level, tile.number): tile.hashes for tile in full}
    tiles |= {(level, (edge.size >> 8 * level) >> 8): hashes for level, hashes in enumerate(edge.partial)}
    place = place_of(node)
    assert hash_in(tiles[place.level, place.number], place) == hash_of(node)


def test_nodes_cover_a_range() -> None:
    """The complete subtrees of a range are its binary digits, from left to right."""
    assert nodes_of(0, 13) == [Node(3, 0), Node(2, 2), Node(0, 12)]
    assert nodes_of(8, 11) == [Node(1, 4), Node(0, 10)]
    assert nodes_of(4, 4) == []


def test_widths_are_those_of_the_specification() -> None:
    """A tree of 70,000 entries has the tiles that the specification's example counts."""
    size = 70_000
    assert [width_of(0, n, size) for n in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_of(1, n, size) for n in (0, 1, 2)] == [256, 17, 0]
    assert [width_of(2, n, size) for n in (0, 1)] == [1, 0]


@given(st.integers(0, 10**15))
def test_a_number_has_one_path(number: int) -> None:
    """A tile's path tells its number, and no other path does."""
    assert number_of(number_path(number)) == number
    assert number_path(1234067) == "x001/x234/067"


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("0/000", (0, 0, 256)),
        ("0/x001/x234/067", (0, 1234067, 256)),
        ("1/000.p/7", (1, 0, 7)),
        ("entries/000", (-1, 0, 256)),
        ("entries/x001/000.p/255", (-1, 1000, 255)),
        ("63/000", (63, 0, 256)),
    ],
)
def test_paths_of_tiles_are_read(path: str, tile: tuple[int, int, int]) -> None:
    """Level, number and width are what the path says."""
    assert tile_asked(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/",
        "0/0",
        "0/0000",
        "0/x000/001",
        "64/000",
        "00/000",
        "-1/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/07",
        "0/000.p/",
        "0/001/000",
        "0/x001",
        "entries",
        "entry/000",
        "0/٠٠٠",
        "0/000/",
        "0/x001//000",
        "0/" + "x999/" * 40 + "999",
    ],
)
def test_what_is_no_path_of_a_tile_is_none(path: str) -> None:
    """A path that is not the one way to write a tile's place is refused."""
    assert tile_asked(path) is None


def test_a_bundle_holds_its_entries() -> None:
    """Entries stand in a bundle after their lengths in two bytes."""
    assert bundle([b"", b"ab", b"c" * 258]) == b"\x00\x00" + b"\x00\x02ab" + b"\x01\x02" + b"c" * 258


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def test_a_shelf_knows_the_tiles_of_one_checkpoint() -> None:
    """What is known of a checkpoint's tree is known while that checkpoint is asked about, and not under another."""
    shelf = Shelf()
    known = shelf.of("one")
    known.add(1, 0, b"hashes")
    assert (1, 0) in shelf.of("one")
    assert (1, 0) not in shelf.of("two")
    assert (1, 0) not in shelf.of("one")
    assert (1, 0) in known


def test_a_known_tile_says_what_the_tile_says() -> None:
    """The hash of every node within a known tile is that of the tile's hashes, also when asked for once more."""
    hashes = b"".join(leaf_hash(b"%d" % number) for number in range(WIDTH))
    known = KnownTiles()
    known.add(2, 5, hashes)
    places = [Place(2, 5, start, 1 << above) for above in range(HEIGHT) for start in range(0, WIDTH, 1 << above)]
    for place in places * 2:
        assert known.hash_in(place) == hash_in(hashes, place)


def test_of_too_many_tiles_the_oldest_go() -> None:
    """However many tiles are read, about a thousand stay, those read last."""
    known = KnownTiles()
    for number in range(3_000):
        known.add(1, number, b"")
    kept = [number for number in range(3_000) if (1, number) in known]
    assert kept == list(range(3_000 - 1_024, 3_000))
