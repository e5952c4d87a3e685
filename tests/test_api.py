"""The front door: what a user may give, what comes back, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from isotherm import ClassLogit, Contrast, Detection, Heatmap, TopK, explain, explain_many, open_model
from isotherm.cam.methods import gradcam, hirescam
from isotherm.cam.scores import Function, Named
from isotherm.cam.trace import Targets
from isotherm.errors import AdapterError, MethodError, OptionError, TargetError
from isotherm.explaining import resolve_methods, resolve_score
from isotherm.relevance.score import Score
from rigs.tiny_views import TinyClassifier, TinyDetector, TinyNet

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [PICTURE, Image.fromarray(PICTURE), torch.from_numpy(PICTURE).permute(2, 0, 1), PICTURE[:, :, 0]],
    ids=["array", "PIL", "tensor", "grey"],
)
def test_pictures_of_any_kind(image):
    maps = explain(TinyClassifier(), image, trust="off")
    assert len(maps) == 1
    assert maps.picture.shape == PICTURE.shape
    assert maps[0].frame.source_size.tolist() == [40, 60]


def test_a_path(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    by_path = explain(TinyClassifier(TinyNet()), tmp_path / "a.png", trust="off")
    assert by_path.maps[0].picture is not None
    np.testing.assert_array_equal(by_path.picture, PICTURE)


def test_targets_in_every_form():
    view = TinyClassifier()

    def labels(target):
        return [m.label for m in explain(view, PICTURE, target=target, trust="off")]

    assert labels("bus") == ["bus"]
    assert labels(2) == ["bus"]
    assert labels(["bus", 0]) == ["bus", "cat"]
    assert labels(ClassLogit("tram")) == ["tram"]
    assert labels(Contrast("cat", "bus")) == ["cat rather than bus"]
    assert len(labels(TopK(3))) == 3
    assert labels(lambda p: p.logits.logsumexp(1)) == ["score"]
    assert len(explain(TinyDetector(), PICTURE, trust="off")) == 3
    assert len(explain(TinyDetector(), PICTURE, target=1, trust="off")) == 1


def test_methods_side_by_side_come_target_by_target():
    maps = explain(TinyClassifier(), PICTURE, target=TopK(2), method=["gradcam", hirescam], trust="off")
    assert [m.meta["method"] for m in maps] == ["GradCAM", "HiResCAM"] * 2
    assert maps[0].label == maps[1].label != maps[2].label
    assert maps[0].signed


def test_names_of_methods_are_read_generously():
    view = TinyClassifier()
    assert resolve_methods("Grad-CAM", view) == [gradcam]
    assert [m.name for m in resolve_methods("GradCAM++", view)] == ["GradCAM++"]
    assert [m.name for m in resolve_methods("d-rise", view)] == ["D-RISE"]
    assert resolve_methods(None, view) == [hirescam]
    with pytest.raises(MethodError, match="did you mean gradcam"):
        resolve_methods("gradcamm", view)


def test_what_was_chosen_is_said():
    maps = explain(TinyClassifier(), PICTURE, trust="off")
    text = "\n".join(maps.chosen)
    assert "HiResCAM, the default" in text
    assert "second: the last layer with cells" in text
    assert "HiResCAM at second" in str(maps)
    named = explain(TinyClassifier(), PICTURE, method="gradcam", layers="second", trust="off")
    assert not any("default" in line or "layers" in line for line in named.chosen)


def test_trust_is_computed_once_when_asked(monkeypatch):
    view = TinyClassifier()
    runs = []
    run = view.run
    view.run = lambda inputs: runs.append(len(inputs)) or run(inputs)
    maps = explain(view, PICTURE, target=TopK(3), method=["gradcam", "hirescam"])
    assert len(runs) == 1
    trust = maps.trust
    assert len(trust) == len(maps) == 6
    assert all(t is not None for t in trust[:4])
    assert trust[4:] == (None, None)
    count = len(runs)
    assert maps.trust is trust
    assert len(runs) == count > 1
    assert maps.trust_lines[0].startswith("trust: ")
    assert "not judged" in maps.trust_lines[5]
    assert explain(view, PICTURE, trust="off").trust == ()


def test_which_maps_the_fast_check_judges_does_not_depend_on_their_order():
    view = TinyClassifier()
    names = list(view.names)
    judged = {}
    for order in (names, names[::-1], [names[2], names[0], names[3], names[1]]):
        maps = explain(view, PICTURE, target=order, method=["gradcam", "hirescam"])
        rows = [(m.meta["score"], order[i // 2], maps.trust[i], maps.trust_lines[i]) for i, m in enumerate(maps)]
        surest = sorted({score for score, *_ in rows})[-2:]
        for i, (score, name, trust, line) in enumerate(rows):
            assert (trust is not None) == (score in surest)
            assert "the two targets with the highest scores only; --trust full" in line or trust is not None
            assert line == judged.setdefault((name, i % 2), line)
    assert len(judged) == 8


def test_of_equally_sure_targets_the_first_are_judged_whatever_they_are_called():
    class Thrice(Score):
        """One and the same score under three names."""

        def __call__(self, prediction, inputs):
            def read(prediction, target):
                return prediction.logits[:, 0]

            row = torch.zeros(3, dtype=torch.long)
            return Targets(prediction.logits[row, 0], row, ("last", "middle", "first"), read)

    maps = explain(TinyClassifier(), PICTURE, target=Thrice())
    assert [m.label for m, t in zip(maps, maps.trust, strict=True) if t is not None] == ["last", "middle"]


def test_the_fast_check_judges_the_surest_findings_and_their_class():
    for which in ((0, 1, 2), (2, 1, 0)):
        maps = explain(TinyDetector(), PICTURE, target=Detection(which, of=("box", "class")))
        assert len(maps) == 6
        assert [m.meta["finding"] for m, t in zip(maps, maps.trust, strict=True) if t is not None] == [0, 0]


def test_a_model_that_has_no_score_for_changed_pictures_is_said_not_to_be_checked():
    class Scaled(TinyNet):
        """Contrast is taken to one, and a picture that is more even than the first one, as the covered one is, is NaN."""

        least = None

        def forward(self, x):
            contrast = x.std((1, 2, 3), keepdim=True)
            self.least = 0.9 * float(contrast.min()) if self.least is None else self.least
            return super().forward(x / contrast.masked_fill(contrast < self.least, torch.nan))

    torch.manual_seed(0)
    (trust,) = explain(TinyClassifier(Scaled()), PICTURE, method="gradcam").trust
    assert trust.verdict == "not checked"
    assert trust.line() == "trust: evidence gain unknown → not checked (covered pictures score NaN or infinity)"


def test_judging_leaves_the_model_as_it_was():
    view = TinyClassifier()
    before = {k: v.clone() for k, v in view.model.state_dict().items()}
    _ = explain(view, PICTURE, trust="full").trust
    for key, value in view.model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_map_that_is_right_is_believed_and_an_inverted_one_is_not():
    class Bright(nn.Module):
        """The logit is the brightness of the upper left corner."""

        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 8, 3, padding=1)
            self.pool = nn.AvgPool2d(4)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            f = self.pool(torch.relu(self.layer(x)))
            window = torch.zeros_like(f)
            window[:, :, :2, :2] = 1
            return self.head((f * window).sum((2, 3)))

    torch.manual_seed(1)
    net = Bright()
    with torch.no_grad():
        net.layer.weight.abs_()
        net.head.weight.abs_().mul_(10)  # classes that differ by less than a nat are as good as alike
    view = TinyClassifier(net)
    view.names = ("bright", "other")
    view.auto_layers = lambda: type("C", (), {"layers": ("layer",), "reason": ""})()
    picture = np.full((40, 60, 3), 30, np.uint8)
    picture[:10, :15] = 230
    (good,) = explain(view, picture, target="bright").trust
    assert good.verdict == "believable", good.line()
    from isotherm.relevance.method import LayerMethod

    inverted = LayerMethod("Inverted", lambda a, g: -(a * g), signed=True)
    (bad,) = explain(view, picture, target="bright", method=inverted).trust
    assert bad.verdict in ("do not trust", "no evidence"), bad.line()


def test_many_pictures_come_back_in_order_whatever_the_batch():
    view = TinyClassifier()
    pictures = [np.roll(PICTURE, i, 1) for i in range(5)]
    single = [explain(view, p, target="bus", trust="off")[0].values for p in pictures]
    together = list(
        explain_many(view, iter(pictures), target="bus", trust="off", batch=2, titles=[f"p{i}" for i in range(5)])
    )
    assert [e.name for e in together] == [f"p{i}" for i in range(5)]
    for one, e in zip(single, together, strict=True):
        torch.testing.assert_close(e[0].values, one)


def test_nothing_found_is_said_not_raised():
    view = TinyDetector()
    find = view.find
    view.find = lambda raw, inputs: find(raw, inputs).take(torch.arange(0))
    maps = explain(view, PICTURE)
    assert len(maps) == 0
    assert "found nothing" in maps.notes[-1]
    assert maps.trust == ()
    assert isinstance(maps._repr_html_(), str)


def test_no_positive_evidence_is_said():
    net = TinyNet()
    with torch.no_grad():
        net.head.weight.copy_(-net.head.weight.abs())
    maps = explain(TinyClassifier(net), PICTURE, target="cat", trust="off")
    assert not maps[0].has_evidence
    assert "no positive evidence for cat" in maps.notes[-1]


def test_notebook_and_files(tmp_path):
    maps = explain(TinyDetector(), PICTURE, target=Detection(0), trust="off")
    assert "<img" in maps._repr_html_()
    assert maps[0]._repr_png_()[:4] == b"\x89PNG"
    (fpath,) = maps.save(tmp_path / "x.npz")
    again = Heatmap.load(fpath)
    torch.testing.assert_close(again.values, maps[0].values)
    assert again.meta["box"] == maps[0].meta["box"]
    many = explain(TinyDetector(), PICTURE, trust="off").save(tmp_path / "y.safetensors")
    assert [f.name for f in many] == ["y-000.safetensors", "y-001.safetensors", "y-002.safetensors"]


def test_findings_are_in_source_pixels():
    view = TinyDetector(size=(16, 24))
    maps = explain(view, PICTURE, trust="off")  # 40 x 60 source, 2.5 pixels per input pixel
    inputs = view.prepare([PICTURE])
    boxes = view.find(view.run(inputs), inputs).boxes.detach() * 2.5
    for finding, box in zip(maps.findings, boxes, strict=True):
        assert finding.box == pytest.approx(box.tolist(), abs=1e-3)


@pytest.mark.parametrize("smooth", ["eigen", "augment", "both"])
def test_smoothing(smooth):
    maps = explain(TinyClassifier(), PICTURE, method="gradcam", smooth=smooth, trust="off")
    plain = explain(TinyClassifier(maps and TinyNet()), PICTURE, method="gradcam", trust="off")
    assert maps[0].values.shape == plain[0].values.shape
    assert ("copies" in " ".join(maps.notes)) == (smooth != "eigen")
    with pytest.raises(MethodError, match="cannot be eigen-smoothed"):
        explain(TinyClassifier(), PICTURE, method="occlusion", smooth="eigen", trust="off")


def test_scores_from_what_users_give():
    assert resolve_score(None) is None
    assert resolve_score("a") == Named(("a",))
    assert resolve_score([1, "b"]) == Named((1, "b"))
    assert isinstance(resolve_score(lambda p: p.logits[:, 0]), Function)
    with pytest.raises(TargetError, match="empty"):
        resolve_score([])


@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_explained():
    with pytest.raises(OptionError, match="target is a float"):
        explain(TinyClassifier(), PICTURE, target=1.5)
    with pytest.raises(AdapterError, match="not a model that isotherm can read"):
        open_model(object())
    with pytest.raises(OptionError, match="takes no options"):
        explain(TinyClassifier(), PICTURE, device="cpu")
    with pytest.raises(AdapterError, match=r"did you mean .*resnet50"):
        open_model("resnet51")
