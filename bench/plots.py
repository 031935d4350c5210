"""The plots of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.profile import Profile

mpl.use("Agg")
# The same file for the same figures: a renewed report that changed nothing shows no difference.
mpl.rcParams["svg.hashsalt"] = "jubao"
# None at all: a drawing that is made again differs by its figures alone, and names no host.
_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_WIDE, _HIGH = 8.0, 3.2


def rates(path: Path, measured: Mapping[str, Sequence[float]]) -> None:
    """Reports a second of each contestant: a bar for the median, a dot for each turn."""
    figure, axes = plt.subplots(figsize=(_WIDE, _HIGH), layout="constrained")
    for place, (name, values) in enumerate(measured.items()):
        median = sorted(values)[len(values) // 2]
        axes.barh(place, median, height=0.6, color="#4c78a8" if name == "jubao" else "#b8b8b8")
        axes.plot(values, [place] * len(values), "k.", markersize=4)
        axes.annotate(f" {median:,.0f}", (max(values), place), va="center")
    axes.set_yticks(range(len(measured)), list(measured))
    axes.invert_yaxis()
    axes.set_xlim(right=axes.get_xlim()[1] * 1.1)
    axes.set_xlabel("reports a second")
    _keep(figure, path)


def costs(path: Path, profile: Profile) -> None:
    """Processor time a report by process, each split into what it was spent on."""
    kinds = list(dict.fromkeys(kind for shares in profile.values() for kind in shares))
    colours = [plt.get_cmap("tab20")(number % 20) for number in range(len(kinds))]
    figure, axes = plt.subplots(figsize=(_WIDE, _HIGH + 0.25 * len(profile)), layout="constrained")
    for place, shares in enumerate(profile.values()):
        begin = 0.0
        for kind, spent_ms in shares.items():
            axes.barh(place, spent_ms * 1000, left=begin, height=0.7, color=colours[kinds.index(kind)])
            begin += spent_ms * 1000
    axes.set_yticks(range(len(profile)), list(profile))
    axes.invert_yaxis()
    axes.set_xlabel("microseconds of processor time a report")
    patches = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    figure.legend(patches, kinds, fontsize="small", ncols=4, frameon=False, loc="outside lower center")
    _keep(figure, path)


def _keep(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata=_METADATA)
    plt.close(figure)
