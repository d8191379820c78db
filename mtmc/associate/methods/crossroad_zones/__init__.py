"""Adjacent cameras first: the steps of the winners of AI City 2021, track 3, and 2022, track 1.

As described by Liu et al. ("City-scale multi-camera vehicle tracking guided by crossroad zones", 2021) and, for the
votes of boxes, Yang et al. ("Box-grained reranking matching", 2022):

1. Camera bias (``camera_bias.py``): what a camera does to all its pictures is removed from their embeddings.
2. Candidates (``match.py``): each pair of cameras that a link joins is matched by itself, first in one direction,
   then in the other. Of the tracklets that leave by the link's zone and those that arrive by the other, pairs within
   the link's travel times are candidates. Without links every pair of cameras is adjacent, up to ``max_gap_s`` out
   of sight.
3. Re-ranking: the similarity of a pair is re-ranked by k-reciprocal neighbors among the tracklets of these two
   cameras and this direction.
4. Matching: candidates are clustered with complete linkage. With one tracklet of each of two cameras that is a
   one-to-one matching, the most similar pair first. Instead of tracklets, single boxes can vote (``box_voting.py``).
5. Merging: pairs that share a tracklet are one identity. Identities of several cameras are clustered once more, by
   their mean embeddings and with a lower threshold, where a candidate pair of step 2 joins them.
6. An identity with two tracklets of one camera is dissolved.

Travel times, zones and the order of cameras, which the winners wrote into their programs for one road, come from
``scene.yaml``. Their stricter threshold for the first pair of cameras belongs to that road and is left out.
"""

from mtmc.associate.methods.crossroad_zones.match import crossroad_zones

__all__ = ["crossroad_zones"]
