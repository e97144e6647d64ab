"""Where the files of published accuracies stand, and which layers there should be.

Layers of the 29 networks: Nonaka, Majima, Aoki & Kamitani 2021, doi:10.1016/j.isci.2021.103013
(KamitaniLab/BHscore). Unit counts of AlexNet and VGG19: Horikawa, Aoki, Tsukamoto & Kamitani 2019,
doi:10.1038/sdata.2019.12. Those of other networks: :mod:`unitdb.imports.bhscore_units`.

Files of the 29 networks hold some units of a layer: the authors' code draws 1,000 at random
(decoding/feature_prediction_train.py), and all of VGG-16's first layer alone, 193 MB, would not
go into the archive of 88 MB (its size: KamitaniLab/feature-encoding, handson/02_bhscore.ipynb).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path

from unitdb.errors import PublishedFileError, UnknownNameError
from unitdb.imports.bhscore_units import ALEXNET, BHSCORE_UNITS
from unitdb.release import Person

__all__ = ["LAYOUTS", "Layout", "Network", "Source", "find_sources", "get_layout"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network: its folder, and its layers from early to late with their units, where known."""

    folder: str
    layers: Mapping[str, int | None]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Folders and names of a publication.

    Parameters
    ----------
    pattern : str
        Path of a file; holds ``{folder}``, ``{layer}``, ``{subject}`` and ``{roi}``.
    authors : tuple of Person
        Of the publication.
    networks : mapping of str to Network
        By name.
    fewest : int, optional
        Units of the smallest layer, where files hold samples of units: of each layer of a network
        equally many, or all that it has. Which they are is not in them. None where they hold all.
    """

    name: str
    title: str
    pattern: str
    subjects: tuple[str, ...]
    rois: Mapping[str, str]
    citation: str
    source: str
    authors: tuple[Person, ...]
    networks: Mapping[str, Network]
    fewest: int | None = None

    def path(self, network: str, layer: str, subject: str, roi: str) -> str:
        """Path of a file below the publication's folder.

        Returns
        -------
        str
            Relative to that folder.
        """
        folder = self.networks[network].folder
        return self.pattern.format(folder=folder, layer=layer, subject=subject, roi=roi)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What of a publication is in a folder.

    Parameters
    ----------
    layers : dict of str to tuple of str
        Layers of each network that are complete.
    missing : tuple of str
        Files that are not there, of networks that are.
    """

    folder: Path
    layout: Layout
    subjects: tuple[str, ...]
    rois: tuple[str, ...]
    layers: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]


_VGG19 = {
    f"conv{block}_{number}": n_units
    for block, (n_layers, n_units) in enumerate(
        [(2, 3_211_264), (2, 1_605_632), (4, 802_816), (4, 401_408), (4, 100_352)], 1
    )
    for number in range(1, n_layers + 1)
} | {"fc6": 4_096, "fc7": 4_096, "fc8": 1_000}


@cache
def _bhscore_networks() -> dict[str, Network]:
    text = resources.files("unitdb.imports").joinpath("bhscore_layers.csv").read_text("utf-8")
    found: dict[str, dict[str, int | None]] = {}
    folders = {}
    for row in csv.DictReader(text.splitlines()):
        folders[row["dnn"]] = row["directory"]
        n_units = BHSCORE_UNITS[row["dnn"]][row["layer"]] if row["dnn"] in BHSCORE_UNITS else None
        found.setdefault(row["dnn"], {})[row["layer"]] = n_units
    return {name: Network(folder=folders[name], layers=found[name]) for name in found}


_AOKI = Person(family="Aoki", given="Shuntaro C.")
_KAMITANI = Person(family="Kamitani", given="Yukiyasu")

LAYOUTS = {
    "decodeddnn": Layout(
        name="decodeddnn",
        title="Unit decoding accuracies of AlexNet and VGG19 (Horikawa et al. 2019)",
        pattern="accuracy/{folder}/{layer}/accuracy-{folder}-{layer}-{subject}.mat",
        subjects=("S1", "S2", "S3", "S4", "S5"),
        rois={"VC": "Whole visual cortex"},
        citation="Horikawa, Aoki, Tsukamoto & Kamitani 2019, Scientific Data, "
        "doi:10.1038/sdata.2019.12",
        source="https://doi.org/10.1038/sdata.2019.12",
        authors=(
            Person(family="Horikawa", given="Tomoyasu"),
            _AOKI,
            Person(family="Tsukamoto", given="Mitsuaki"),
            _KAMITANI,
        ),
        networks={
            "AlexNet": Network(folder="AlexNet", layers=ALEXNET),
            "VGG19": Network(folder="VGG19", layers=_VGG19),
        },
    ),
    "bhscore": Layout(
        name="bhscore",
        title="Unit decoding accuracies of 29 networks (Nonaka et al. 2021)",
        pattern="decoding_accuracy/ImageNetTest/{folder}/{layer}/{subject}/{roi}/accuracy.mat",
        subjects=("sub-01", "sub-02", "sub-03"),
        rois={roi: f"Visual area {roi}" for roi in ("V1", "V2", "V3", "V4")}
        | {"HVC": "Higher visual cortex"},
        citation="Nonaka, Majima, Aoki & Kamitani 2021, iScience, doi:10.1016/j.isci.2021.103013",
        source="https://doi.org/10.1016/j.isci.2021.103013",
        authors=(
            Person(family="Nonaka", given="Soma"),
            Person(family="Majima", given="Kei"),
            _AOKI,
            _KAMITANI,
        ),
        networks=_bhscore_networks(),
        fewest=1_000,  # the classes of ImageNet; no other layer has fewer units
    ),
}
"""Known publications, by name."""


def get_layout(name: str) -> Layout:
    """Layout of a publication; UnknownNameError lists those there are."""
    if name not in LAYOUTS:
        raise UnknownNameError(name, LAYOUTS, where="published accuracies")
    return LAYOUTS[name]


def find_sources(
    folder: Path, layout: Layout, *, networks: tuple[str, ...] = (), layers: tuple[str, ...] = ()
) -> Source:
    """Find the files that are there, and name those that are not.

    Subjects and ROIs that have no file at all are left out. Of the others a layer needs all files,
    because a release compares ROIs and subjects over the same units; a layer that lacks one is
    left out. Files of averages over subjects (``Averaged``) are not read.

    Parameters
    ----------
    folder : Path
        The folder that the publisher's archives were unpacked to.
    layout : Layout
        The publication.
    networks, layers : tuple of str
        Only these; all where empty.

    Returns
    -------
    Source
        Subjects, ROIs, complete layers of each network, and missing files.

    Raises
    ------
    UnknownNameError
        No network or layer of that name in the publication.
    PublishedFileError
        There is no such folder, or it holds no complete layer.
    """
    if not folder.is_dir():
        raise PublishedFileError(f"{folder}: no such folder")
    known = {layer for network in layout.networks.values() for layer in network.layers}
    for chosen, valid in ((networks, set(layout.networks)), (layers, known)):
        for name in chosen:
            if name not in valid:
                raise UnknownNameError(name, sorted(valid), where=layout.name)
    wanted = {
        (network, layer, subject, roi): layout.path(network, layer, subject, roi)
        for network, spec in layout.networks.items()
        if not networks or network in networks
        for layer, subject, roi in product(spec.layers, layout.subjects, layout.rois)
        if not layers or layer in layers
    }
    there = {key for key, path in wanted.items() if (folder / path).is_file()}
    subjects = tuple(s for s in layout.subjects if any(key[2] == s for key in there))
    rois = tuple(r for r in layout.rois if any(key[3] == r for key in there))
    complete = {
        network: tuple(
            layer
            for layer in spec.layers
            if there and all((network, layer, s, r) in there for s, r in product(subjects, rois))
        )
        for network, spec in layout.networks.items()
    }
    present = {key[0] for key in there}
    missing = tuple(wanted[k] for k in wanted if k not in there and k[0] in {*present, *networks})
    kept = {network: found for network, found in complete.items() if found}
    if not kept:
        example = missing[0] if missing else next(iter(wanted.values()), layout.pattern)
        raise PublishedFileError(f"{folder}: no complete layer of {layout.name}; no {example}")
    return Source(
        folder=folder, layout=layout, subjects=subjects, rois=rois, layers=kept, missing=missing
    )
