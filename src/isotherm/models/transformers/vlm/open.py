"""Vision-language models of transformers as views: of their vision tokens, or where there are none as a whole."""

from __future__ import annotations

from typing import Any

from isotherm.models.transformers.vlm.checks import check_job
from isotherm.models.transformers.vlm.layouts.layout import NoTokensError
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.models.transformers.vlm.whole import WholeVlm


def vlm_view(model: Any, processor: Any) -> TransformersVlm | WholeVlm:
    """A model that answers in words about pictures.

    Args:
        model: a ``...ForConditionalGeneration``, or another of which
            :func:`isotherm.models.transformers.vlm.checks.writes` is true.
        processor: its own.

    Raises:
        AdapterError: the processor is not the model's, the model sees no pictures or writes no words, or it can be read
            in neither way.
    """
    check_job(model, processor)
    try:
        return TransformersVlm(model, processor)
    except NoTokensError as error:
        return WholeVlm(model, processor, why=str(error))
