"""Families of models: found through entry points, also of a package that is installed here, and chosen by how surely they match."""

from __future__ import annotations

import inspect
import re
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from torch import nn

from isotherm.errors import AdapterError, OptionError
from isotherm.models import choose
from isotherm.models import family as families_module
from isotherm.models.choose import family_of_name, family_of_object, open_view
from isotherm.models.family import Family, Fit, Match, families, named, takes_options_of

PAGE = Path(__file__).parents[2] / "docs" / "adding_models.md"
OURS = {
    "torchvision",
    "timm",
    "transformers",
    "ultralytics",
    "imagenet",
    "scenes",
    "detector",
    "tiny-vlm",
    "tiny-anticipation",
}


@pytest.fixture
def registered(monkeypatch):
    """Makes entry points of invented packages visible beside the installed ones."""

    def register(**points: object) -> None:
        true_points = tuple(families_module.entry_points(group=families_module.GROUP))
        extra = tuple(EntryPoint(name, f"invented_{name}:FAMILY", families_module.GROUP) for name in points)
        load = EntryPoint.load
        monkeypatch.setattr(EntryPoint, "load", lambda point: _value(points, point, load))
        monkeypatch.setattr(families_module, "entry_points", lambda *, group: (*true_points, *extra))
        families.cache_clear()

    yield register
    monkeypatch.undo()
    families.cache_clear()


def _value(points, point, load):
    if not point.value.startswith("invented_"):
        return load(point)
    value = points[point.name]
    if isinstance(value, Exception):
        raise value
    return value


def test_our_own_families_are_found_through_the_same_entry_points():
    assert set(families()) == OURS


def test_a_package_that_is_installed_adds_its_models(programs, tmp_path):
    """The page's package, word for word, installed in a folder of its own: by name, by prefix, as an object, on the command line."""
    site, kit = tmp_path / "site", tmp_path / "site" / "leafkit"
    info = site / "leafkit-1.0.dist-info"
    kit.mkdir(parents=True)
    info.mkdir()
    code, toml = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL), "leafkit.family:FAMILY"
    assert code is not None
    assert f'leafkit = "{toml}"' in PAGE.read_text()
    (kit / "__init__.py").touch()
    (kit / "family.py").write_text(code[1])
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leafkit\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[isotherm.models]\nleafkit = {toml}\n")
    script = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, isotherm\n"
        "from isotherm.cli.main import entry\n"
        "from leafkit.family import LeafNet\n"
        "photo = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)\n"
        "for model in ('leafnet', 'leafkit:leafnet', LeafNet()):\n"
        "    maps = isotherm.explain(model, photo, size=32, trust='off')\n"
        "    print(maps.chosen[0], '|', tuple(maps[0].values.shape), maps[0].label)\n"
        "print(tuple(isotherm.explain('leafnet', photo, size=(100, 80), trust='off')[0].values.shape))\n"
        "try: isotherm.open_model('leafnet', sise=3)\n"
        "except isotherm.IsothermError as error: print(error)\n"
        "try: isotherm.open_model('leafnett')\n"
        "except isotherm.IsothermError as error: print(error)\n"
        "sys.argv = ['isotherm', 'layers', '--model', 'leafnet']\n"
        "entry()\n"
    )
    ran = programs.run(script, [str(site)], cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    named, prefixed, wrapped, oblong, option, unknown, *layers = ran.stdout.splitlines()
    assert named.startswith("model: leafnet is leafkit's network of leaves | (8, 8)")
    assert prefixed.startswith("model: leafnet from leafkit, as the prefix says | (8, 8)")
    assert wrapped.startswith("model: LeafNet is a class of leafkit | (8, 8)")
    assert oblong == "(25, 20)"
    assert "leafkit models take no option sise; did you mean size?" in option
    assert "there is no model 'leafnett'" in unknown
    assert "features: Sequential (4 inside)" in "\n".join(layers)


def view_stub(name: str, *, size: int = 1) -> object:
    raise AssertionError("nothing is opened here")


def test_the_surest_family_reads_a_model_and_among_equals_another_package(registered):
    def fits(fit):
        return lambda model: Match(fit, "an invented reason") if model == "resnet50" else None

    registered(
        weaker=Family(name="weaker", matches=fits(Fit.LIKELY), load=view_stub),
        equal=Family(name="equal", matches=fits(Fit.NAMED), load=view_stub),
    )
    assert family_of_name("resnet50")[0].name == "equal"
    assert family_of_name("resnet18")[0].name == "torchvision"
    assert family_of_name("weaker:resnet50")[0].name == "weaker"
    assert family_of_name("timm:resnet50")[0].name == "timm"


def test_a_family_is_not_asked_where_another_one_is_as_sure(registered):
    asked: list[object] = []
    registered(unsure=Family(name="unsure", matches=asked.append, load=view_stub, surest_name=Fit.LIKELY))
    assert family_of_name("resnet18")[0].name == "torchvision"
    assert asked == []
    assert family_of_name("vit_tiny_patch16_224")[0].name == "timm"
    assert asked == ["vit_tiny_patch16_224"]


def test_packages_stay_unimported_where_another_one_knows_the_name_as_surely(programs, tmp_path):
    code = (
        "import sys; from isotherm.models.choose import family_of_name as f\n"
        "for name in ('yoloe-11s-seg.yaml', 'resnet50'):\n"
        "    print(f(name)[0].name, 'torchvision' in sys.modules, 'timm' in sys.modules)"
    )
    expected = ["ultralytics", "False", "False", "torchvision", "True", "False"]
    assert programs.run(code, cwd=tmp_path).stdout.split() == expected


def test_a_module_of_ones_own_is_read_by_its_family_before_the_general_one(registered):
    class Mine(nn.Module):
        pass

    def matches(model):
        return Match(Fit.LIKELY, "mine") if isinstance(model, Mine) else None

    assert family_of_object(Mine())[0].name == "own"
    registered(mine=Family(name="mine", matches=matches, load=view_stub))
    found, _ = family_of_object(Mine())
    assert found.name == "mine"
    with pytest.raises(AdapterError, match="opened by name"):
        open_view(Mine())


def test_a_family_that_cannot_be_imported_is_named_and_does_not_take_the_others_with_it(registered):
    registered(broken=ImportError("no module named 'leafcore'"), odd=42)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert set(families()) == OURS
    said = " ".join(str(w.message) for w in caught)
    assert "invented_broken" in said
    assert "leafcore" in said
    assert "it is a int, expected an isotherm.models.family.Family" in said


def test_two_families_of_one_name_are_refused(registered):
    registered(scenes=Family(name="scenes", matches=lambda model: None, load=view_stub))
    with pytest.raises(AdapterError, match="both have a model family called scenes"):
        families()


def test_a_missing_package_is_named(registered):
    registered(
        far=Family(
            name="far", matches=lambda model: None, load=view_stub, package="surely_not_installed", names=lambda: ["x"]
        )
    )
    with pytest.raises(AdapterError, match="needs the package surely_not_installed"):
        open_view("far:thing")


@pytest.mark.parametrize(("old", "new"), [("prompt", "class_prompt"), ("fuse", "fuse_batchnorm")])
def test_options_in_an_old_spelling_are_answered_with_the_new_one(old, new):
    with pytest.raises(OptionError, match=f"^{old}= is called {new}= where a model of ultralytics is opened"):
        open_view("yolo11n.yaml", **{old: False})


def test_a_loader_has_the_options_of_what_it_hands_them_on_to():
    def wrap(model, *, processor=None, names=None, size: int | None = None, seed=1):
        return model, names, size

    @takes_options_of(wrap, but=["processor"])
    def load(name, *, seed=0, **options):
        return wrap(name, **options)

    assert str(inspect.signature(load)) == "(name, *, seed=0, names=None, size: 'int | None' = None)"
    assert load("a", size=3) == ("a", None, 3)
    with pytest.raises(TypeError, match="color"):
        load("a", color=3)


def test_options_are_those_of_the_family():
    with pytest.raises(OptionError, match="scenes, which ships with isotherm, takes no option prompt"):
        open_view("scenes", prompt="x")


@pytest.mark.parametrize(
    ("matches", "message"),
    [(lambda model: 1 / 0, "ZeroDivisionError"), (lambda model: True, "matches gave True, expected")],
)
def test_a_family_of_another_package_whose_matches_fails_is_left_out_by_name(monkeypatch, matches, message):
    foreign = Family(name="leafkit", matches=matches, load="leafkit.family:load")
    monkeypatch.setattr(choose, "families", lambda: {"leafkit": foreign, **families()})
    with pytest.warns(RuntimeWarning, match=rf"family leafkit \(leafkit.family:load\) was left out.*{message}"):
        assert choose.open_view("scenes").view.name.startswith("scene")


def test_a_fault_of_our_own_families_is_not_passed_over(monkeypatch):
    ours = Family(name="scenes", matches=lambda model: 1 / 0, load="isotherm.zoo.scenes.view:load_scenes")
    monkeypatch.setattr(choose, "families", lambda: {"scenes": ours})
    with pytest.raises(ZeroDivisionError):
        choose.open_view("scenes")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda name: None, r"the model family odd \(.*test_family\..*\) gave None; expected an object that fulfils"),
        (lambda name: nn.Linear(1, 1), "gave Linear.*; expected an object that fulfils"),
        (lambda name: {}["weights"], r"the model family odd \(.*\) failed \(KeyError: 'weights'\); update its package"),
    ],
)
def test_a_family_that_opens_nothing_is_named(registered, make, message):
    def matches(model):
        return Match(Fit.OWN, "odd") if isinstance(model, str) and model == "oddnet" else None

    registered(odd=Family(name="odd", matches=matches, load=make))
    with pytest.raises(AdapterError, match=message):
        open_view("oddnet")


def test_an_error_of_ours_from_a_family_stays_as_it_is(registered):
    def load(name):
        raise OptionError("this leaf is upside down")

    registered(odd=Family(name="odd", matches=lambda model: None, load=load))
    with pytest.raises(OptionError, match=r"^this leaf is upside down$"):
        open_view("odd:oddnet")


class Leaf(nn.Module):
    """A class that a family is known by."""


def test_a_family_is_known_by_a_pattern_of_names_and_a_class():
    matches = named("leaf(-small)?", "a network of leaves", wrapped=f"{Leaf.__module__}:Leaf")
    assert matches("leaf-small") == Match(Fit.OWN, "a network of leaves")
    assert matches("leaf-smaller") is None
    assert matches(Leaf()).fit == Fit.OWN
    assert matches(nn.Linear(1, 1)) is None
