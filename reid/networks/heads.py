"""What stands between a pooled feature and a loss.

B images, d channels of the feature, C identities, V viewpoints, E outputs for self-supervision.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.losses.precision import full_precision, wide

__all__ = [
    "BNNeck",
    "BottleneckClassifier",
    "CosineHead",
    "DinoHead",
    "Embedder",
    "SubclassHead",
    "classifier",
    "cosines",
    "neck",
]


def neck(dim: int, *, bias: bool = False) -> nn.BatchNorm1d:
    """The batch normalization between feature and classifier; its bias stays at 0 unless ``bias``."""
    norm = nn.BatchNorm1d(dim)
    norm.bias.requires_grad_(bias)
    return norm


def classifier(dim: int, classes: int) -> nn.Linear:
    """The linear classifier behind a neck, without bias."""
    layer = nn.Linear(dim, classes, bias=False)
    nn.init.normal_(layer.weight, std=0.001)
    return layer


def cosines(x: Tensor, weights: Tensor) -> Tensor:
    """Cosines (B, C) of features (B, d) and class weights (C, d), of any length, in full precision."""
    with full_precision(x.device):
        return functional.normalize(wide(x)) @ functional.normalize(weights).T


class Embedder(nn.Module):  # type: ignore[misc]
    """What is deployed: images to features; code that compares them scales them to unit length first.

    Args:
        backbone: Images to pooled features.
        neck: What follows, if anything.

    Attributes:
        dim: Channels of the feature.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone, self.neck = backbone, neck if neck is not None else nn.Identity()
        self.dim = backbone.dim

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) normalized images to (B, d)."""
        return self.neck(self.backbone(images))


class BNNeck(nn.Module):  # type: ignore[misc]
    """Batch normalization without bias, then a linear classifier without bias: features stay centered on 0."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = neck(dim)
        self.classifier = classifier(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C) of features (B, d)."""
        return self.classifier(self.norm(x))


class CosineHead(nn.Module):  # type: ignore[misc]
    """Cosine similarity to one weight per class, times a learned scale (SGFD Eq. 2)."""

    def __init__(self, dim: int, classes: int, scale: float = 10.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, dim))
        self.scale = nn.Parameter(torch.tensor(scale))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, d)."""
        with full_precision(x.device):
            return self.scale * functional.normalize(wide(x)) @ functional.normalize(self.weight).T


class SubclassHead(nn.Module):  # type: ignore[misc]
    """VAL's classifier: one center for every viewpoint of every identity, compared by cosine.

    Attributes:
        centers: (C, V, d) parameter.
    """

    def __init__(self, dim: int, classes: int, views: int) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.empty(classes, views, dim))
        nn.init.normal_(self.centers, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Cosines (B, C, V) of features (B, d)."""
        classes, views, dim = self.centers.shape
        return cosines(x, self.centers.view(-1, dim)).view(-1, classes, views)


class DinoHead(nn.Module):  # type: ignore[misc]
    """SSBVER's self-supervised head: three-layer perceptron, unit sphere, one unit prototype per output.

    Args:
        dim: d.
        outputs: E.
        hidden: Channels of the hidden layers.
        bottleneck: Channels on the sphere.
    """

    def __init__(self, dim: int, outputs: int, hidden: int = 2048, bottleneck: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.prototypes = nn.Parameter(torch.empty(outputs, bottleneck))
        nn.init.trunc_normal_(self.prototypes, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, E), cosines in fp32: at the teacher's temperature half precision would choose for it."""
        return cosines(self.mlp(x), self.prototypes)


class BottleneckClassifier(nn.Sequential):  # type: ignore[misc]
    """SLSR's head: 512 channels, dropout, linear classifier."""

    def __init__(self, dim: int, classes: int, width: int = 512, dropout: float = 0.5) -> None:
        classifier = nn.Linear(width, classes)
        reduce = nn.Linear(dim, width)
        nn.init.kaiming_normal_(reduce.weight, mode="fan_out")
        nn.init.normal_(classifier.weight, std=0.001)
        for layer in (reduce, classifier):
            nn.init.zeros_(layer.bias)
        super().__init__(reduce, nn.BatchNorm1d(width), nn.LeakyReLU(0.1), nn.Dropout(dropout), classifier)
