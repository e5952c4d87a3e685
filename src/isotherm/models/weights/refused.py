"""Files that a door does not take: what each is, and what to say at that door instead.

A model is named at one door, its weights at another, and both exist in Python and on the command line.
"""

from __future__ import annotations

from isotherm.errors import AdapterError, WeightsError
from isotherm.models.weights.foreign import Foreign
from isotherm.models.weights.recognise import ModelFile

OF_ISOTHERM = {
    "isotherm.scene_classifier/1": ('open_model("scenes", weights="{}")', "--model scenes --weights {}"),
    "isotherm.heatmap_detector/1": ('open_model("detector", weights="{}")', "--model detector --weights {}"),
    "isotherm.tiny_vlm/1": ('open_model("tiny-vlm", weights="{}")', "--model tiny-vlm --weights {}"),
    "isotherm.anticipation/1": (
        'open_model("tiny-anticipation", weights="{}")',
        "--model tiny-anticipation --weights {}",
    ),
    "isotherm.keypoints/1": ('open_model("{}")', "isotherm predict keypoints PICTURE --run {}"),
    "isotherm.grounding/1": (
        'open_model("{}", instruction="find the red cup")',
        "--model {} --instruction 'find the red cup'",
    ),
    "isotherm.heatmap/1": ('isotherm.Heatmap.load("{}")', "isotherm show {}"),
}
"""What opens each of isotherm's own files, in Python and on the command line."""
PROGRAMS = ("onnx", "torchscript", "export")


def no_model(file: ModelFile) -> AdapterError | WeightsError:
    """The error for a file that was named as a model and is none."""
    path = file.fpath
    if file.kind == "tensors":
        what = f"{path} holds {file.words} without their network"
        return AdapterError(
            f'{what}; name the network too, such as open_model("resnet50", weights="{path}"), or load them into your own network by '
            "load_state_dict and give that",
            command_line=f"{what}; name the network too, such as --model resnet50 --weights {path}, or, for a network of your own, "
            f"--model package.module:factory --weights {path}",
        )
    if file.kind == "damaged":
        return WeightsError(
            f"{path} is damaged or cut short: it begins as {file.words} does, and does not end so; copy or download it again"
        )
    message, command_line = _words(file, f"{path} is {file.words}")
    return AdapterError(message, command_line=command_line)


def no_weights(file: ModelFile) -> WeightsError:
    """The error for a file that was named as weights and holds none that another network could take."""
    path = file.fpath
    what = f"{path} is {file.words}" + (", not weights that a named network could take" if file.kind != "other" else "")
    if file.kind == "ultralytics":
        return WeightsError(
            f'{what}; give it as the model: open_model("{path}")',
            command_line=f"{what}; give it as the model: --model {path}",
        )
    if file.kind in PROGRAMS:
        return WeightsError(
            f'{what}; give it as the model, with a method that changes the picture: explain("{path}", photo, method="rise"), or save '
            "the network's state_dict()",
            command_line=f"{what}; give it as the model, with a method that changes the picture: --model {path} --method rise, or save the "
            "network's state_dict() and give that",
        )
    message, command_line = _words(file, what)
    return WeightsError(message, command_line=command_line)


def _words(file: ModelFile, what: str) -> tuple[str, str]:
    """What a file is, and what to do, in the words of Python and of the command line."""
    if isinstance(file.form, Foreign):
        advice = file.form.advice
        return f"{what}; {advice}", f"{what}; {file.form.instead or advice}"
    if file.form:
        python, command = (text.format(file.fpath) for text in OF_ISOTHERM.get(file.form, ("", "")))
        if not command:
            return (f"{what}; no model that is named here is made of it",) * 2
        return f"{what}; open it by {python or command}", f"{what}; open it by {command}"
    advice = "give a model's name, a file of ultralytics, TorchScript, torch.export or ONNX, or a folder that save_pretrained wrote"
    return (f"{what}; {advice}",) * 2
