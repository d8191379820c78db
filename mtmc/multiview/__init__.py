"""What association across cameras and the learning of a site share: geometry in time, and log-likelihood ratios.

::

    arrays.py          index arithmetic: ranges, groups, one-to-one choices
    trajectories.py    positions and velocities on the ground plane at common times
    co_observation.py  two cameras that see something near one position at one time
    clock_sync.py      clock offsets between cameras with overlapping views
    registration.py    small corrections of calibrations, from co-observations
    appearance.py      embeddings, and their log-likelihood ratio by expectation maximisation
    likelihoods.py     the formulas of all other cues, each once

Everything here is a function of arrays. Nothing depends on the settings of a stage.
"""
