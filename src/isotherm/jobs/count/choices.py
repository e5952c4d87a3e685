"""A counting job's words -> a model that answers questions, a configuration, crops."""

from __future__ import annotations

from isotherm.errors import AdapterError
from isotherm.jobs.count.options import CountingOptions, check_overlap, grid_of
from isotherm.jobs.open_model import opened_model
from isotherm.models.choose import OpenModel
from isotherm.systems.counting_config import CountingConfig, CountPrompts
from isotherm.train.recipe import from_plain, read_recipe
from isotherm.vlm.choose import token_methods
from isotherm.vlm.view import LanguageView


def counting_view(options: CountingOptions, opened: OpenModel | LanguageView | None = None) -> tuple[LanguageView, str]:
    """The model, if it answers questions, and why it was chosen; ``opened`` where it is open already."""
    opened = opened_model(options, opened)
    if not isinstance(opened.view, LanguageView):
        raise AdapterError(
            f"{opened.view.name} answers no questions; counting needs a vision-language model, such as Qwen/Qwen3-VL-2B-Instruct"
        )
    return opened.view, opened.reason


def config_of(options: CountingOptions) -> CountingConfig:
    """The file's configuration, and what the options change in it; all checked before the model is loaded."""
    plain = {} if options.config is None else read_recipe(options.config)
    if options.prompt is not None:
        plain["prompts"] = CountPrompts(whole=options.prompt)
    if options.grid is not None:
        plain["grid"] = grid_of(options.grid)
    plain |= {
        name: value
        for name, value in {"overlap": options.overlap, "crop_side": options.crop_side}.items()
        if value is not None
    }
    config = from_plain(CountingConfig, plain, where="" if options.config is None else str(options.config))
    check_overlap(config.overlap)
    token_methods(config.method)
    return config
