"""Every network that torchvision or timm has too: the same tensors, the same logits, both ways.

    make peers
    .venv-peers/bin/python benchmarks/peers_equal.py

Each of their networks gets random weights and random running statistics, is loaded here under its
own names, and must give equal logits (float32, relative error below 1e-4) at two sizes; then its
weights go back into a fresh network of theirs, which must hold equal bits. Writes
benchmarks/results/peers_equal.json.
"""

import json
from pathlib import Path

import torch

import resnetkit as rk
from peer_libraries import peer_libraries
from resnetkit.nets.naming import Naming
from resnetkit.nets.zoo import ZOO

RESULTS = Path(__file__).parent / "results"
SIZES = (64, 96)


def theirs(library: str, name: str) -> torch.nn.Module:
    torchvision, timm = peer_libraries()
    return (torchvision.models.get_model if library == "torchvision" else timm.create_model)(name)


def randomise(net: torch.nn.Module) -> None:
    """Norms too: an identity norm, or a branch of zeros, hides a wrong place."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif tensor.ndim == 1:
            low, high = (0.5, 1.0) if name.endswith(("weight", "running_var")) else (-0.1, 0.1)
            tensor.uniform_(low, high, generator=generator)


def compare(library: Naming, name: str) -> dict:
    peer = theirs(library, name).eval()
    randomise(peer)
    own = rk.create(name).eval()
    rk.load_weights(own, peer.state_dict(), library)
    errors = []
    with torch.no_grad():
        for size in SIZES:
            x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(size))
            expected = peer(x)
            errors.append(((own(x) - expected).norm() / expected.norm()).item())
    back = theirs(library, name)
    back.load_state_dict(rk.state_dict(own, library))
    same = all(
        torch.equal(a, b)
        for a, b in zip(peer.state_dict().values(), back.state_dict().values(), strict=True)
    )
    counts = [sum(p.numel() for p in net.parameters()) for net in (own, peer)]
    return {
        "library": library,
        "name": name,
        "relative_error": max(errors),
        "back_equal": same,
        "parameters_equal": counts[0] == counts[1],
    }


def main() -> None:
    torchvision, timm = peer_libraries()
    shared = [("torchvision", n) for n in torchvision.models.list_models() if n in ZOO]
    shared += [("timm", n) for module in ("resnet", "resnetv2")
               for n in timm.list_models(module=module) if n in ZOO]  # fmt: skip
    rows = []
    for library, name in shared:
        rows.append(compare(library, name))
        print("{library} {name}: {relative_error:.1e}, back {back_equal}, parameters "
              "{parameters_equal}".format(**rows[-1]), flush=True)  # fmt: skip
    good = sum(
        row["relative_error"] < 1e-4 and row["back_equal"] and row["parameters_equal"]
        for row in rows
    )
    print(f"{good} of {len(rows)} networks equal")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers_equal.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
