"""SQL that finds the entries of an item, a case or a source: a page costs the same however many they have.

Each of the three has an index with its entries by kind, a type by an actor, and those of a kind in order. So the first
of each kind are read, and of these the page.
"""

from typing import Final, NamedTuple

# Which kinds of entries an owner has, the index says itself, by one look behind the kind found last; then the first of
# each kind are read out of the index alone, and the page's leaves from the table.
BY_KIND: Final = """
    WITH RECURSIVE owners AS MATERIALIZED ({owners}), kinds AS (
        SELECT one.* FROM owners CROSS JOIN LATERAL (
            SELECT {name} AS owner, type, {actor} AS actor FROM entries
            WHERE {name} = owners.owner AND {of_type} ORDER BY type, actor LIMIT 1
        ) AS one
        UNION ALL
        SELECT one.* FROM kinds CROSS JOIN LATERAL (
            SELECT {name} AS owner, type, {actor} AS actor FROM entries
            WHERE {name} = kinds.owner AND {of_type} AND {behind} ORDER BY type, actor LIMIT 1
        ) AS one
    ), page AS (
        {beside}
        SELECT found.index FROM kinds CROSS JOIN LATERAL (
            SELECT index FROM entries
            WHERE {name} = kinds.owner AND type = kinds.type AND actor = kinds.actor AND {conditions}
            {common}
            ORDER BY index LIMIT :limit
        ) AS found
        WHERE {of_kinds}
        ORDER BY index LIMIT :limit
    )
    SELECT entries.index, entries.leaf FROM page JOIN entries USING (index) ORDER BY index
"""

# Of a kind, those that are about an item as well. Both are read in order, once; a join may be planned as a loop in a
# loop, where the planner does not know how many entries there are.
_COMMON: Final = """
    INTERSECT
    SELECT index FROM entries WHERE content_id = :content_id AND type = kinds.type AND actor = kinds.actor AND {reach}
"""

# Where the next kind begins, by whether there is one type and one actor. A comparison of both columns will not do where
# the type is given: the index would be entered where the type begins.
_BEHIND: Final = {
    (False, False): "(type, actor) > (kinds.type, kinds.actor)",
    (False, True): "type > kinds.type",
    (True, False): "actor > kinds.actor",
    (True, True): "false",
}


class OfKinds(NamedTuple):
    """What is asked for of some owners.

    Attributes:
        name: the column that says whose an entry is.
        owners: a query of those.
        conditions: what else must hold for an entry.
        typed: only entries of `:type`.
        acted: only entries by `:actor`.
        item: only entries about `:content_id`, in the part of the log that `item` says.
        of_kinds: which kinds are read.
        beside: other entries, as the first part of a UNION.
    """

    name: str
    owners: str
    conditions: str
    typed: bool = False
    acted: bool = False
    item: str = ""
    of_kinds: str = "true"
    beside: str = ""


def by_kind(wanted: OfKinds) -> str:
    """The statement, which takes `limit` beside what its parts name."""
    return BY_KIND.format(
        name=wanted.name,
        owners=wanted.owners,
        conditions=wanted.conditions,
        of_type="type = :type" if wanted.typed else "true",
        # Of one actor it is enough to know the types, of which there are few: those they never had are soon tried.
        actor="CAST(:actor AS text)" if wanted.acted else "actor",
        behind=_BEHIND[wanted.typed, wanted.acted],
        common=_COMMON.format(reach=wanted.item) if wanted.item else "",
        of_kinds=wanted.of_kinds,
        beside=f"{wanted.beside} UNION" if wanted.beside else "",
    )
