"""Residual fully connected networks: an `MLPSpec` made into a torch module."""

from torch import Tensor, nn
from torch.nn import functional

from resnetkit.errors import UserError
from resnetkit.nets.layers import DropPath
from resnetkit.nets.network import Network
from resnetkit.nets.spec import MLPSpec


class Pixels(nn.Module):
    """The first layer, which reads all pixels of an image."""

    def __init__(self, spec: MLPSpec):
        super().__init__()
        self.shape = (spec.channels, spec.size, spec.size)
        self.fc = nn.Linear(spec.channels * spec.size**2, spec.width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, size, size) -> (N, width); raises UserError for images of another size."""
        if x.shape[1:] != self.shape:
            asked, given = (" x ".join(map(str, shape)) for shape in (self.shape, x.shape[1:]))
            raise UserError(f"a fully connected network for images of {asked} cannot read {given}")
        return self.fc(x.flatten(1))


class MLPBlock(nn.Module):
    """y = x + g(x), g being norm, ReLU and a layer, twice; a plain network has g(x) alone."""

    def __init__(self, spec: MLPSpec, drop_path: float):
        super().__init__()
        self.residual = spec.shortcut == "identity"
        self.norm1, self.fc1 = make_norm(spec), nn.Linear(spec.width, spec.width)
        self.norm2, self.fc2 = make_norm(spec), nn.Linear(spec.width, spec.width)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    @property
    def branch_end(self) -> nn.Module:
        """The last layer of g: where it is zero the block is the identity, and learns."""
        return self.fc2

    def forward(self, x: Tensor) -> Tensor:
        """(N, width) -> (N, width)."""
        out = self.fc1(functional.relu(self.norm1(x)))
        out = self.drop_path(self.fc2(functional.relu(self.norm2(out))))
        return x + out if self.residual else out


class MLP(Network):
    """A residual fully connected network, or its plain twin, for images of one size."""

    spec: MLPSpec

    def __init__(self, spec: MLPSpec):
        count = spec.depths[0]
        blocks = [MLPBlock(spec, spec.drop_path * i / count) for i in range(1, count + 1)]
        super().__init__(spec, Pixels(spec), [blocks], make_norm(spec))

    def pooled(self, x: Tensor) -> Tensor:
        """What comes from the last block -> what the head reads, (N, width)."""
        return self.dropout(functional.relu(self.norm(x)))


def make_norm(spec: MLPSpec) -> nn.Module:
    """The spec's normalisation of (N, width)."""
    norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
    return norms[spec.norm](spec.width) if spec.norm in norms else nn.Identity()
