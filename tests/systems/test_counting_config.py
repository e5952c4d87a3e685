"""The configuration of counting: from a file, within its bounds, with prompts that name what is counted."""

from __future__ import annotations

import pytest

from isotherm.errors import OptionError
from isotherm.systems.counting_config import CountingConfig, CountPrompts


def test_a_file_is_a_configuration(tmp_path):
    (tmp_path / "count.yaml").write_text(
        "prompts: {whole: 'how many {category} ?'}\ngrid: [2, 4]\nby: expected\nscore: {digits: 2}\n"
    )
    config = CountingConfig.from_file(tmp_path / "count.yaml", overlap=0.5)
    assert (config.grid, config.by, config.overlap, config.score.digits) == ((2, 4), "expected", 0.5, 2)
    assert config.prompts.of("red", part=True) == "how many red ?"
    (tmp_path / "wrong.yaml").write_text("gird: [2, 4]\n")
    with pytest.raises(OptionError, match="did you mean 'grid'"):
        CountingConfig.from_file(tmp_path / "wrong.yaml")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"by": "guess"}, "by is 'guess'"),
        ({"dot_threshold": 0.0}, "dot_threshold is 0.0"),
        ({"dot_radius_tokens": 0.0}, "dot_radius_tokens is 0.0"),
        ({"same_tokens": -1.0}, "same_tokens -1.0"),
        ({"crop_side": 8}, "crop_side is 8"),
        ({"answer_tokens": 0}, "answer_tokens is 0"),
    ],
)
def test_values_out_of_range_are_refused(given, says, unchecked):
    with pytest.raises(OptionError, match=says):
        CountingConfig(**given)


@pytest.mark.parametrize("text", ["how many?", "how many {things}?", "how many {category", "how many {}?"])
def test_a_prompt_must_have_the_category(text):
    with pytest.raises(OptionError, match="prompt"):
        CountPrompts(whole=text)
