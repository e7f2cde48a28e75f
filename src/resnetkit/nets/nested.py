"""The networks inside a deep one: the first blocks of every stage, the same stem and head."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor, nn

from resnetkit.errors import UserError
from resnetkit.nets.create import blank
from resnetkit.nets.initialise import why_no_identity_start
from resnetkit.nets.network import Network
from resnetkit.nets.recompute import after, outputs, through
from resnetkit.nets.spec import CONVOLUTIONS, MLPSpec, ResNetSpec, Spec


def inner_layers(spec: Spec) -> tuple[int, ...]:
    """Layers of the networks inside one that are worth having, the shallowest first.

    Half of the blocks of every stage, a quarter, and so on down to one; the whole is left out.
    """
    found, depths = [], spec.depths
    while max(depths) > 1:
        depths = tuple(-(-depth // 2) for depth in depths)
        found.append(replace(spec, depths=depths).layers)
    return tuple(reversed(found))


def inner_spec(spec: Spec, layers: int) -> Spec:
    """The network of so many layers inside another, with about the same part of each stage.

    A deeper one of them contains every shallower one.

    Raises:
        UserError (a ValueError): there is none of so many layers, or the network is one in which
            a block cannot be left out.
    """
    check_nested(spec)
    assert isinstance(spec, ResNetSpec)
    a_block, stages = CONVOLUTIONS[spec.block], len(spec.depths)
    fewest, most = 2 + a_block * stages, spec.layers
    blocks, odd = divmod(layers - 2, a_block)
    if odd or not fewest <= layers <= most:
        raise UserError(
            f"a network of {most} layers holds none of {layers}: it has every "
            f"{a_block}{'nd' if a_block == 2 else 'rd'} from {fewest} to {most}"
        )
    depths = [1] * stages
    for _ in range(blocks - stages):
        least = min(range(stages), key=lambda s: (depths[s] + 1) / spec.depths[s])
        depths[least] += 1
    return replace(spec, depths=tuple(depths))


def check_nested(spec: Spec) -> None:
    """Raise UserError for a network that shallower ones are not taken from."""
    connected = isinstance(spec, MLPSpec)
    reason = "a fully connected network is not cut" if connected else why_no_identity_start(spec)
    if reason:
        raise UserError(f"this network is of one depth: {reason}")


def inner_network(net: Network, spec: Spec) -> Network:
    """The network inside another that a spec says.

    Its stem and its blocks in the first stage are the other's own, and so are all its parameters.
    From the second stage on it has running statistics of its own, for what comes into a stage
    depends on how many blocks there are before it; they begin as copies.

    Args:
        net: the whole.
        spec: what `inner_spec` gave, or another that differs from the whole's in its depths alone.
    """
    inner = blank(spec)
    inner.stem = net.stem
    inner.stages[0] = nn.Sequential(*list(net.stages[0].children())[: spec.depths[0]])
    theirs = set(net.modules())
    for path, module in inner.named_modules():
        if module in theirs:
            continue
        outer = net.get_submodule(path)
        for name, _ in list(module.named_parameters(recurse=False)):
            setattr(module, name, getattr(outer, name))
        for name, _ in list(module.named_buffers(recurse=False)):
            setattr(module, name, getattr(outer, name).clone())
    return inner.train(net.training)


def own_statistics(inner: Network, net: Network) -> dict[str, Tensor]:
    """The buffers of a network inside another that are not the other's, by their names."""
    theirs = set(net.buffers())
    return {name: buffer for name, buffer in inner.named_buffers() if buffer not in theirs}


class Nested(nn.Module):
    """A network and some of those inside it.

    Attributes:
        net: the whole.
        inner: those inside by their layers, as text; their parameters are those of the whole.
    """

    def __init__(self, net: Network, layers: Iterable[int] = ()):
        super().__init__()
        self.net = net
        self.inner = nn.ModuleDict(
            {str(n): inner_network(net, inner_spec(net.spec, n)) for n in layers}
        )

    @property
    def all(self) -> list[Network]:
        """The whole, then those inside it."""
        return [net for net in (self.net, *self.inner.values()) if isinstance(net, Network)]

    def forward(self, x: Tensor, *layers: int) -> tuple[Tensor, ...]:
        """What the head of the whole reads, (N, features); logits (N, classes) of the whole, then
        of those inside it that are asked for.

        What they have in common, the stem and the first stage, is computed once.
        """
        inside = {net.layers: net for net in self.all[1:]}
        nets, blocks = [self.net, *(inside[number] for number in layers)], self.net.blocks
        shared = [len(blocks), *(net.spec.depths[0] for net in nets[1:])]
        reached = outputs(blocks, self.net.segments, self.net.stem(x), shared)
        pooled = [
            net.pooled(through(net.blocks[n:], after(net.segments, n), reached[n]))
            for net, n in zip(nets, shared, strict=True)
        ]
        return pooled[0], *(net.head(each) for net, each in zip(nets, pooled, strict=True))

    def statistics(self) -> dict[str, Tensor]:
        """What those inside have of their own: `<layers>/<name of a buffer>`."""
        return {
            f"{net.layers}/{name}": buffer
            for net in self.all[1:]
            for name, buffer in own_statistics(net, self.net).items()
        }

    def load_statistics(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `statistics` gave; raises UserError where those are of other networks."""
        own = self.statistics()
        if own.keys() != tensors.keys():
            raise UserError("statistics of other networks inside than there are")
        for name, buffer in own.items():
            buffer.copy_(tensors[name])
