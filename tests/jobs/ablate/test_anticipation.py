"""The ablation as a job and on the command line."""

from __future__ import annotations

import json

import pytest
import yaml

from isotherm.cli.main import main
from isotherm.errors import OptionError
from isotherm.jobs.ablate.options import AblateAnticipationJob
from rigs.anticipation import plain_anticipation


def test_the_command_prints_a_table_and_says_where_the_runs_are(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "tiny.yaml"
    plain = {k: v for k, v in plain_anticipation(steps=1).items() if k != "devices"}
    plain["data"]["validation"][0]["count"] = 5
    recipe.write_text(yaml.safe_dump(plain))
    words = [
        "ablate",
        "anticipation",
        "--config",
        str(recipe),
        "--arms",
        "none,real",
        "--seeds",
        "1",
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "95 % intervals" in out
    assert "figures without an interval are of fewer than 3 clips" in out
    assert out.count("\n") > 7
    record = json.loads((tmp_path / "runs" / "ablation-tiny" / "run.json").read_text())
    assert len(list((tmp_path / "runs" / "ablation-tiny").glob("*/seed-0"))) == 2
    assert not list((tmp_path / "runs" / "ablation-tiny").glob("*/seed-1"))
    assert record["status"] == "finished"
    assert main([*words, "--set", "training.step=1"]) == 2
    assert "did you mean 'steps'" in capsys.readouterr().err
    assert main([*words, "--set", "devices.accelerator=tpu"]) == 2
    assert "tpu" in capsys.readouterr().err
    assert main(["ablate", "anticipation", "--config", "none.yaml"]) == 2
    assert "none.yaml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "words"), [({"seeds": 0}, "seeds"), ({"arms": " , "}, "--arms is empty")])
def test_what_is_out_of_range_is_refused(tmp_path, options, words):
    with pytest.raises(OptionError, match=words):
        AblateAnticipationJob(config=tmp_path / "a.yaml", **options)
