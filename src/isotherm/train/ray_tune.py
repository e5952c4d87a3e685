"""A sweep's trials on Ray Tune, on this machine or on a cluster with a shared folder."""

from __future__ import annotations

import importlib
import json
import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from isotherm.atomic import atomic_write
from isotherm.errors import MissingExtraError, OptionError
from isotherm.progress import Progress, Say, silent
from isotherm.runs.file import to_json
from isotherm.train.sweep import (
    TRIAL,
    Range,
    Sweep,
    SweepConfig,
    Values,
    history,
    shown,
    trial_dpath,
    trials_of,
    with_values,
)

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # processes that Ray starts ahead, one for each processor: Tune gives its trials' an environment, for which it starts others
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_niceness": "0",  # 15 by default: beside any other work the trials would stand still
}
FINISHED, STOPPED = "finished", "stopped early"
MODE = {"less": "min", "more": "max"}


@dataclass(frozen=True)
class Job:
    """What every trial needs; goes to the workers. Names of folders in a recipe, such as a model's, start from
    ``started_in``, where the command was given.
    """

    config: SweepConfig
    recipe: Mapping[str, Any]
    module: str
    metric: str
    root: str
    dpath: str
    skip_bad: bool
    started_in: str


def run_trials(
    sweep: Sweep, *, dpath: Path, address: str | None = None, skip_bad: bool = False, say: Say = silent
) -> dict[str, str]:
    """Run the trials that are not finished; returns how each ended, by the name of its folder.

    Args:
        dpath: the sweep's folder; on a cluster, the same place for all machines.
        address: of a cluster; None: Ray is started here and ended afterwards.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: the cluster does not answer.
        Exception: what ``say`` raises ends the trials that run, and comes out as it is.
    """
    config = sweep.config
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        from ray import tune
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "a sweep") from error
    # this machine's own address is asked for; newer versions of Ray listen on all, and let in who has this machine's token
    local = (
        {"num_cpus": max(os.cpu_count() or 1, config.cpus), "_node_ip_address": "127.0.0.1"}
        if address is None
        else {"address": address}
    )
    try:
        ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False, **local)
    except ConnectionError as error:
        raise OptionError(
            f"no Ray cluster answers at {address!r} ({error}); start one with 'ray start --head', or leave --address away"
        ) from error
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # that its own tables are missing, twelve times
    module = getattr(sweep.module, "__name__", "")  # a module goes to other processes by its name
    root, folder, here = (str(path.resolve()) for path in (sweep.root, dpath, Path()))
    job = Job(config, dict(sweep.recipe), module, sweep.metric, root, folder, skip_bad, here)
    ended: dict[str, str] = {}
    raised: list[Exception] = []
    try:
        space, search, samples = _searched(sweep, dpath)
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_trial, job=job), {"cpu": config.cpus, "gpu": config.gpus}),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric=sweep.metric,
                mode=MODE[sweep.better],
                num_samples=samples,
                max_concurrent_trials=config.at_once,
                search_alg=search,
                reuse_actors=True,
                scheduler=_scheduler(config),
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                storage_path=str((dpath / "ray").resolve()),
                verbose=0,
                callbacks=[_teller(sweep.metric, _kept(say, raised), ended)],
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        if samples:
            tuner.fit()
    except Exception as error:
        raise (raised[0] if raised else error) from None  # Ray puts an error of its own around what a listener raises
    finally:
        ray.shutdown()
    return _endings(dpath, ended)


def _trial(config: Values, *, job: Job) -> None:
    """One training in its own folder; what it wrote before is told again first, so that the sweep knows it."""
    from ray import tune

    torch.set_num_threads(job.config.cpus)
    # Ray starts trials in folders of its own; a machine of a cluster may lack this one
    if Path(job.started_in).is_dir():
        os.chdir(job.started_in)
    values = config.get("trial", config)
    dpath, metric = trial_dpath(Path(job.dpath), values), job.metric
    _noted(Path(job.dpath), values)
    reports = history(dpath, metric)
    for step, value in reports:
        tune.report({metric: value, "step": step, "folder": dpath.name})
    if (dpath / "evaluation.json").is_file():
        return
    done = max((step for step, _ in reports), default=0)

    def on_validation(step: int, figures: Mapping[str, float]) -> None:
        if (group := metric.rpartition("/")[0]) and not any(name.startswith(f"{group}/") for name in figures):
            groups = sorted({name.rpartition("/")[0] for name in figures if name.startswith("val/")})
            raise OptionError(
                f"metric is {metric!r}, and no picture of {group} validates; there are {', '.join(groups)}"
            )
        if step > done and metric in figures:
            tune.report({metric: figures[metric], "step": step, "folder": dpath.name})

    module: Any = importlib.import_module(job.module)
    module.train_run(
        module.recipe_from(with_values(job.recipe, values, seed_each=job.config.seed_each), where=shown(values)),
        dpath,
        root=Path(job.root),
        cache_dpath=Path(job.dpath) / ".cache",
        command=f"a trial of {Path(job.dpath).name}",
        skip_bad=job.skip_bad,
        on_validation=on_validation,
    )


def _searched(sweep: Sweep, dpath: Path) -> tuple[dict[str, Any], Any, int]:
    """(parameter space, search algorithm or None, samples) of what is left to be tried."""
    from ray import tune

    config = sweep.config
    listed = config.listed()
    if listed is not None:
        for values in listed:
            _noted(dpath, values)
        # a process for one that has ended would only tell its figures again, which nothing but a stopping rule asks for
        left = [v for v in listed if config.stop_early or not (trial_dpath(dpath, v) / "evaluation.json").is_file()]
        return {"trial": tune.grid_search(left)}, None, int(bool(left))
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    space: dict[str, optuna.distributions.BaseDistribution] = {
        path: optuna.distributions.IntDistribution(int(c.low), int(c.high), log=c.log)
        if isinstance(c, Range) and c.whole
        else optuna.distributions.FloatDistribution(c.low, c.high, log=c.log)
        if isinstance(c, Range)
        else optuna.distributions.CategoricalDistribution(list(c))
        for path, c in config.values.items()
    }
    there = trials_of(dpath, sweep.metric, {}, better=sweep.better)
    known = [t for t in there if (t.dpath / "evaluation.json").is_file()]
    begun = [t.values for t in there if not (t.dpath / "evaluation.json").is_file()]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = OptunaSearch(
        space=space,
        metric=sweep.metric,
        mode=MODE[sweep.better],
        seed=config.seed + len(there),  # a search that is gone on with would draw its first values once more
        points_to_evaluate=begun or None,
    )
    for trial in known:
        if not math.isnan(trial.best):
            search.add_evaluated_point(dict(trial.values), trial.best)
    return {}, search, max(0, config.trials - len(known))


def _scheduler(config: SweepConfig) -> Any:
    if config.stop_early is None:
        return None
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr="training_iteration",
        grace_period=config.stop_early.grace,
        reduction_factor=config.stop_early.factor,
        max_t=10**9,
    )


def _kept(say: Say, raised: list[Exception]) -> Say:
    """The same, and what it raises is kept."""

    def keeping(message: Progress | str) -> None:
        try:
            say(message)
        except Exception as error:
            raised.append(error)
            raise

    return keeping


def _teller(metric: str, say: Say, ended: dict[str, str]) -> Any:
    from ray.tune import Callback

    class Teller(Callback):
        """Lines about trials, and how each ended."""

        def __reduce__(self) -> Any:  # Ray keeps a copy of its callbacks on disk; a console does not go there
            return Callback, ()

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            values = trial.config.get("trial", trial.config)
            ended.pop(trial_dpath(Path(), values).name, None)
            say(f"trial {shown(values)} starts")

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            say(
                f"trial {shown(trial.config.get('trial', trial.config))}: {metric} {result[metric]:.4g} at step {result['step']}"
            )

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            ended[trial_dpath(Path(), trial.config.get("trial", trial.config)).name] = STOPPED

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            values = trial.config.get("trial", trial.config)
            reason = _reason(trial)
            ended[trial_dpath(Path(), values).name] = f"failed: {reason}"
            say(f"trial {shown(values)} failed: {reason}")

    return Teller()


def _reason(trial: Any) -> str:
    """The last line of what went wrong, without the traceback, nor the name of an error of isotherm."""
    try:
        line = (Path(trial.error_file).read_text().strip().splitlines() or ["unknown"])[-1]
        return re.sub(r"^isotherm\.errors\.\w+: ", "", line)
    except (OSError, TypeError):
        return "unknown"


def _endings(dpath: Path, ended: dict[str, str]) -> dict[str, str]:
    """A run that has been judged at its end is finished, whatever Ray says of it."""
    judged = {fpath.parent.name: FINISHED for fpath in (dpath / "trials").glob("*/evaluation.json")}
    return {**ended, **judged}


def _noted(dpath: Path, values: Values) -> None:
    folder = trial_dpath(dpath, values)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TRIAL).is_file():
        with atomic_write(folder / TRIAL) as file:
            file.write(json.dumps(to_json(values), allow_nan=False).encode())
