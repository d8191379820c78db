"""The models that a run can name: what they are, where their files lie, and which one ``auto`` stands for.

The registry (:mod:`mtmc.zoo.registry`) is data. :func:`choose` turns ``auto`` and ``package`` into the name of one
model, :func:`model_file` turns a name into a file, and :func:`describe` says what a run's model is.
:func:`setting_names` lists the names, and :func:`name_remedy` says what to do about another one.
"""

from mtmc.zoo.config import ModelsConfig
from mtmc.zoo.registry import MODELS, Model, Task, find_model, names_model, package_model
from mtmc.zoo.resolve import ModelSummary, choose, describe, model_file, name_remedy, setting_names

__all__ = [
    "MODELS",
    "Model",
    "ModelSummary",
    "ModelsConfig",
    "Task",
    "choose",
    "describe",
    "find_model",
    "model_file",
    "name_remedy",
    "names_model",
    "package_model",
    "setting_names",
]
