"""Reading a listing to its end, page by page."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_PAGE = 200


def every_row(http: "httpx.Client", path: str, member: str) -> list[dict[str, Any]]:
    """All rows of a listing that answers `{member: [...], "next": cursor}`."""
    rows: list[dict[str, Any]] = []
    parameters: dict[str, str | int] = {"limit": _PAGE}
    while True:
        page = http.get(path, params=parameters).json()
        rows.extend(page[member])
        if page["next"] is None:
            return rows
        parameters["cursor"] = page["next"]
