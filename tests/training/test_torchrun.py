"""`torchrun -m resnetkit train`: killed, resumed and restarted jobs end in the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
from tests.training.runs import FLAGS, assert_equal_bits, metrics

FLAGS = [*FLAGS, "--limit", "322"]  # the last batch has two images: one rank alone takes them


def torchrun(out: Path, *flags: str, ranks: int = 2, restarts: int = 0) -> subprocess.Popen:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    own = ["--workers", "1", "--checkpoint-seconds", "0.1", "--out", str(out)]
    return subprocess.Popen(
        [*launcher, "--max-restarts", str(restarts), "-m", "resnetkit", "train", *flags, *own],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finish(job: subprocess.Popen) -> tuple[str, str]:
    out, said = job.communicate(timeout=300)
    assert job.returncode == 0, said
    assert "Traceback" not in said
    return out, said


def ranks_of(job: subprocess.Popen) -> list[int]:
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
    return [int(pid) for pid in children]


def after_a_checkpoint(job: subprocess.Popen, out: Path) -> None:
    while not list(out.glob("checkpoints/step-*")):
        assert job.poll() is None, job.communicate()
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("torchrun") / "run"
    told, said = finish(torchrun(out, *FLAGS, "--json"))
    assert told.count('"run"') == 1
    assert said.count("epoch 1/3: ") == 1
    assert "on 2 ranks, norms over each rank's images" in said
    assert [row["step"] for row in metrics(out)] == [11, 22, 33]
    return out


def test_all_killed_and_resumed(undisturbed, tmp_path):
    out = tmp_path / "run"
    job = torchrun(out, *FLAGS)
    after_a_checkpoint(job, out)
    for pid in [job.pid, *ranks_of(job)]:
        os.kill(pid, signal.SIGKILL)
    job.communicate()
    assert not (out / "classifier").exists()
    finish(torchrun(out, "--resume"))
    assert_equal_bits(undisturbed, out)


def test_any_depth_killed_and_resumed(tmp_path):
    flags = [*FLAGS, "--model", "resnet14", "--any-depth", "--epochs", "2", "--limit", "130"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(torchrun(whole, *flags))
    job = torchrun(killed, *flags)
    after_a_checkpoint(job, killed)
    for pid in [job.pid, *ranks_of(job)]:
        os.kill(pid, signal.SIGKILL)
    job.communicate()
    assert not (killed / "classifier").exists()
    finish(torchrun(killed, "--resume"))
    assert_equal_bits(whole, killed)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_killed_comes_back_by_itself(undisturbed, tmp_path, rank):
    out = tmp_path / "run"
    job = torchrun(out, *FLAGS, restarts=2)
    after_a_checkpoint(job, out)
    os.kill(ranks_of(job)[rank], signal.SIGKILL)
    _, said = finish(job)
    assert "from step" in said
    assert_equal_bits(undisturbed, out)


def test_a_mistake_is_one_line(tmp_path):
    job = torchrun(tmp_path / "run", "fashion-mnist", "--model", "resnet9")
    _, said = job.communicate(timeout=100)
    assert job.returncode != 0
    assert [line for line in said.splitlines() if line.startswith("resnetkit")] == [
        "resnetkit: unknown model 'resnet9'; did you mean resnet8 or preresnet1001 or resnet50?"
    ] or said.count("unknown model 'resnet9'") == 1
    assert not (tmp_path / "run").exists()


def test_other_ranks_cannot_resume(undisturbed, tmp_path):
    import shutil

    shutil.copytree(undisturbed, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "classifier")
    command = [sys.executable, "-m", "resnetkit", "train", "--resume", "--out", tmp_path / "run"]
    done = subprocess.run([*command, "--threads", "1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "cannot go on in the same bits: ranks: 2 -> 1" in done.stderr


@pytest.mark.parametrize("model", ["resnet8", "resnet14 --any-depth"])
def test_norms_over_all_ranks_give_the_gradients_of_one_process(tmp_path, model):
    """The first momentum of SGD without decay is the gradient of step 1."""
    flags = (
        f"fashion-mnist --model {model} --limit 61 --batch-size 64 --epochs 1 --val-fraction 0.001 "
        "--image-size 14 --precision fp32 --weight-decay 0 --sync-bn --threads 1"
    ).split()
    found = []
    for ranks in (1, 2):
        finish(torchrun(tmp_path / str(ranks), *flags, ranks=ranks))
        tensors = safetensors.torch.load_file(
            tmp_path / str(ranks) / "checkpoints" / "step-000000001.safetensors"
        )
        loss = metrics(tmp_path / str(ranks))[0]["train_loss"]
        found.append((loss, {n: t for n, t in tensors.items() if n.endswith("momentum_buffer")}))
    (one_loss, one), (two_loss, two) = found
    assert two_loss == pytest.approx(one_loss, rel=1e-6)
    for name, gradient in one.items():
        limit = 1e-3 if "stem.conv" in name else 1e-5  # equal background pixels cancel there
        assert (gradient - two[name]).norm() <= limit * gradient.norm(), name
