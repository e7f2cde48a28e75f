import json

from resnetkit.training.run_folder import METRICS, free_name, read_metrics


def test_metrics_end_at_the_first_line_that_is_none(tmp_path):
    row = dict.fromkeys(METRICS, 1.0)
    lines = [json.dumps(row), json.dumps(row), '{"epoch": 3, "st']
    (tmp_path / "m").write_text("\n".join(lines))
    assert read_metrics(tmp_path / "m") == [row, row]
    (tmp_path / "m").write_text(json.dumps(row) + '\n{"epoch": 2}\n' + json.dumps(row))
    assert read_metrics(tmp_path / "m") == [row]
    (tmp_path / "m").write_bytes(b"\xff\n")
    assert read_metrics(tmp_path / "m") == []


def test_run_folders_are_numbered(tmp_path):
    assert free_name("d", "m", tmp_path) == tmp_path / "d-m-1"
    (tmp_path / "d-m-1").mkdir()
    assert free_name("d", "m", tmp_path) == tmp_path / "d-m-2"
