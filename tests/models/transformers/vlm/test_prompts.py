"""What a processor must be told, and one that reads no questions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.prompts import processor_options
from isotherm.models.transformers.vlm.view import TransformersVlm
from rigs.vlm_kin import EVERY


def test_a_processor_is_told_to_say_which_tokens_stand_for_pictures_where_its_model_asks():
    class Asks:
        def forward(self, input_ids, mm_token_type_ids): ...

    class DoesNot:
        def forward(self, input_ids): ...

    silent = SimpleNamespace(return_mm_token_type_ids=False)
    assert processor_options(silent, Asks()) == {"return_mm_token_type_ids": True}
    assert processor_options(silent, DoesNot()) == {}
    assert processor_options(SimpleNamespace(return_mm_token_type_ids=True), Asks()) == {}
    assert processor_options(SimpleNamespace(), Asks()) == {}  # it may not know the option


@pytest.mark.parametrize("policies", [None, {"red": "is it red ?"}])
def test_a_processor_that_writes_its_own_prompts_is_refused(policies):
    """ShieldGemma 2's asks about its policies, whatever is asked of it: one prompt for each."""
    model, processor = EVERY["shieldgemma2"]()
    processor.policy_definitions = policies or processor.policy_definitions
    with pytest.raises(AdapterError, match="'shieldgemma2' writes the same prompt whatever is asked"):
        TransformersVlm(model, processor)
