import json

from grasp_eval import bench_pick


def test_one_object_is_taken_out_and_written_down(tmp_path, capsys):
    out = tmp_path / "attempts.json"
    assert bench_pick.main(["--seeds", "3:4", "--objects", "1", "--max-attempts", "3", "--json", str(out)]) == 0
    attempts = json.loads(out.read_text())
    assert attempts[-1]["success"]
    assert attempts[-1]["objects"]
    assert "1 of 1 objects taken out" in capsys.readouterr().out
