"""Published association rules, one method each: see ``docs/association_methods.md``.

::

    hierarchical.py    constrained agglomerative clustering, by one strong pair or with every pair possible
    electricity.py     the rules of ELECTRICITY (AI City 2020)
    crossroad_zones/   adjacent cameras, one direction after the other (AI City 2021 and 2022)
"""

from mtmc.associate.methods.crossroad_zones import crossroad_zones
from mtmc.associate.methods.electricity import electricity
from mtmc.associate.methods.hierarchical import hierarchical

__all__ = ["crossroad_zones", "electricity", "hierarchical"]
