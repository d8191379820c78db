"""Data sets by name, augmentation and sampling.

Each data set is one module with a function from a folder to a :class:`~reid.data.records.DatasetSplit`; its docstring
shows the layout it reads, its constants hold the published counts it checks.
"""

from __future__ import annotations

from collections.abc import Callable

from reid.data import cityflow, cuhk03, folder, market, synthcity, vehicleid, veri, veriwild, viper
from reid.data.records import DatasetSplit, Record, Track

__all__ = ["DATASETS", "DatasetSplit", "Record", "Track"]

#: ``DATASETS[name](root, **options)``; every loader takes ``check_counts``, its other options are its own.
DATASETS: dict[str, Callable[..., DatasetSplit]] = {
    "veri776": veri.load,
    "vehicleid": vehicleid.load,
    "veriwild": veriwild.load,
    "cityflow": cityflow.load,
    "market1501": market.load_market,
    "dukemtmc": market.load_duke,
    "cuhk03": cuhk03.load,
    "viper": viper.load,
    "folder": folder.load,
    "synthcity": synthcity.load,
}
