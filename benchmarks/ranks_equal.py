"""The same recipe at 1, 2 and 4 ranks: step 1 compared number by number, and how well it ends.

    python benchmarks/ranks_equal.py

The first momentum of SGD without weight decay is the gradient of step 1. With norms over all ranks
(--sync-bn) it must be the one process's. The stem's convolution is listed apart, and everything is
done once more with pixels as they are (mean 0): the background is then 0. With its usual value of
-0.8 everywhere, float32 sums of the stem's gradient cancel, in one process as well as in several.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch

RANKS = (1, 2, 4)
MODELS = ("resnet8", "resnet20", "resnet56", "preresnet110")
STEP = (
    "--limit 61 --batch-size 64 --epochs 1 --val-fraction 0.001 --precision fp32 --weight-decay 0 "
    "--warmup-steps 0 --sync-bn"
).split()
PIXELS = {"mean subtracted": [], "as they are": ["--mean", "0", "--std", "1"]}
WHOLE = "--model resnet20 --limit 6000 --epochs 4 --batch-size 128 --seed 1".split()
RESULTS = Path(__file__).parent / "results" / "ranks_equal.json"


def train(out: Path, ranks: int, *flags: str) -> dict:
    """The last line of metrics.jsonl of a run with so many ranks."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    own = ["--threads", "1", "--workers", "1", "--out", str(out)]
    subprocess.run(
        [*launcher, "-m", "resnetkit", "train", "fashion-mnist", *flags, *own],
        check=True, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])


def first_gradient(out: Path) -> dict[str, torch.Tensor]:
    tensors = safetensors.torch.load_file(out / "checkpoints" / "step-000000001.safetensors")
    return {n[10:]: t.double() for n, t in tensors.items() if n.endswith("momentum_buffer")}


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> dict[str, float]:
    """Relative differences: of the whole gradient, and of the worst tensor but the stem's."""
    flat = [torch.cat([t.flatten() for t in gradient.values()]) for gradient in (one, other)]
    each = {n: float((t - other[n]).norm() / t.norm()) for n, t in one.items()}
    stem = each.pop("stem.conv.weight/momentum_buffer")
    whole = float((flat[0] - flat[1]).norm() / flat[0].norm())
    return {"whole": whole, "stem.conv": stem, "worst other tensor": max(each.values())}


def main() -> None:
    folder, results = Path(tempfile.mkdtemp(prefix="ranks-")), {"step 1": {}, "final": {}}
    for model, (pixels, flags) in itertools.product(MODELS, PIXELS.items()):
        losses, gradients = {}, {}
        for ranks in RANKS:
            out = folder / f"{model}-{pixels}-{ranks}"
            losses[ranks] = train(out, ranks, "--model", model, *STEP, *flags)["train_loss"]
            gradients[ranks] = first_gradient(out)
        for ranks in RANKS[1:]:
            found = difference(gradients[1], gradients[ranks])
            found["loss"] = abs(losses[ranks] - losses[1]) / losses[1]
            results["step 1"][f"{model}, {pixels}, {ranks} ranks"] = found
            shown = {name: f"{value:.1e}" for name, value in found.items()}
            print(model, pixels, ranks, shown, flush=True)
    for norms in ("--sync-bn", "--no-sync-bn"):
        for ranks in RANKS:
            row = train(folder / f"whole-{ranks}{norms}", ranks, *WHOLE, norms)
            results["final"][f"{ranks} ranks, {norms}"] = row["val_top1"]
            print(f"{ranks} ranks {norms}: {row['val_top1']:.2%}", flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
