"""The scoring workload at its full size: the scores that motmetrics and TrackEval give it, to the last digit."""

from mtmc.evaluate.scores import METRICS
from tools.bench.score import ours
from tools.bench.workload_score import make


def test_scores_of_the_workload() -> None:
    truth, predicted = make(2000)
    assert (len(truth), len(predicted)) == (140_087, 140_288)
    found = ours(truth, predicted, METRICS)()
    assert found["IDF1"] == 0.6255336602764155
    assert found["IDTP"] == 87_692
    assert round(found["HOTA"], 6) == 0.534771
