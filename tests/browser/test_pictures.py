"""Getting a picture: from the samples, the disk, a folder, the clipboard, and dropped."""

from __future__ import annotations

import base64

import pytest

from rigs.programs import needs
from rigs.shared_page import shared_page
from rigs.studio_page import png

pytestmark = needs("chromium")

SEND = """({kind, files}) => {
    const data = new DataTransfer();
    for (const {name, bytes} of files) data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, {type: "image/png"}));
    const target = document.querySelector("#pictures .drop");
    const event = kind === "paste" ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})
        : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    target.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def shared(browser, studio, cookies, described):
    with shared_page(browser, studio, cookies, described) as page:
        yield page


@pytest.fixture
def desk(shared):
    """The page without a picture."""
    with shared.lent() as desk:
        if desk.tray():
            desk.page.get_by_role("button", name="Empty the tray").click()
        yield desk


def sent(seed: int) -> list[dict[str, str]]:
    return [{"name": f"noise {seed}.png", "bytes": base64.b64encode(png(seed)).decode()}]


def test_a_sample(desk):
    desk.sample("Scene 1")
    assert desk.tray() == ["scene-1.jpg"]
    desk.page.get_by_text("The question is about 1 picture of 1").wait_for()


@pytest.mark.parametrize(("kind", "seed"), [("paste", 1), ("drop", 2)])
def test_pasted_and_dropped(desk, kind, seed):
    if kind == "drop":
        desk.page.evaluate(SEND, {"kind": "dragover", "files": sent(seed)})
    desk.page.evaluate(SEND, {"kind": kind, "files": sent(seed)})
    desk.page.get_by_text(f"noise {seed}.png is ready").wait_for()
    assert desk.tray() == [f"noise {seed}.png"]


def test_files_and_what_is_no_picture(desk, tmp_path):
    good, bad, cut = tmp_path / "good.png", tmp_path / "notes.txt", tmp_path / "cut.png"
    good.write_bytes(png(3))
    bad.write_text("no picture")
    cut.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    desk.watched.expected += ["415", "422", "400"]
    with desk.page.expect_file_chooser() as chosen:
        desk.page.get_by_role("button", name="Files…").click()
    chosen.value.set_files([good, cut])
    desk.page.locator("#failed", has_text="cut.png").wait_for()
    assert desk.tray() == ["good.png"]
    with desk.page.expect_file_chooser() as chosen:
        desk.page.get_by_role("button", name="Files…").click()
    chosen.value.set_files(bad)
    desk.page.locator("#failed", has_text="neither a picture nor a video: notes.txt").wait_for()


def test_a_folder_in_order(desk, tmp_path):
    folder = tmp_path / "holiday"
    folder.mkdir()
    for i in (10, 9, 1):
        (folder / f"picture {i}.png").write_bytes(png(i))
    with desk.page.expect_file_chooser() as chosen:
        desk.page.get_by_role("button", name="Folder…").click()
    chosen.value.set_files(folder)
    desk.page.get_by_text("3 pictures are ready").wait_for()
    assert desk.tray() == ["picture 1.png", "picture 9.png", "picture 10.png"]
    desk.page.get_by_role("list", name="Pictures to ask about").get_by_role("button", name="picture 9.png").click()
    desk.page.get_by_text("The question is about 2 pictures of 3").wait_for()
    desk.page.get_by_role("button", name="Empty the tray").click()
    assert desk.tray() == []


def test_a_reload_keeps_the_tray_and_says_what_the_studio_lost(desk, studio):
    desk.sample("Scene 1")
    desk.page.evaluate(SEND, {"kind": "paste", "files": sent(21)})
    desk.page.get_by_text("noise 21.png is ready").wait_for()
    names = desk.tray()
    desk.page.get_by_text("The question is about 1 picture of 2").wait_for()
    desk.page.reload()
    desk.page.wait_for_selector("html.ready")
    assert desk.tray() == names == ["noise 21.png", "scene-1.jpg"]
    desk.page.get_by_text("The question is about 1 picture of 2").wait_for()
    drawn = "[...document.querySelectorAll('.tray img')].every((one) => one.complete && one.naturalWidth > 0)"
    desk.page.wait_for_function(drawn)
    desk.page.evaluate(
        """() => {
            const kept = JSON.parse(sessionStorage.getItem("isotherm-tray"));
            kept.taken[0].id = "f".repeat(32);
            kept.taken[0].thumb = `/api/pictures/${kept.taken[0].id}/thumb`;
            sessionStorage.setItem("isotherm-tray", JSON.stringify(kept));
        }"""
    )
    desk.watched.expected.append("404")
    desk.page.reload()
    desk.page.get_by_text("The studio no longer has noise 21.png; take it again.").wait_for()
    assert desk.tray() == ["scene-1.jpg"]


def test_a_browser_reads_why_a_file_was_refused_while_it_is_sent(desk):
    """The page looks at a file's size itself; here another part of a browser sends one that is too large."""
    send = """async () => {
        const body = new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), new Uint8Array(150 << 20)]);
        const answer = await fetch("/api/pictures?name=a.png", { method: "POST", body });
        return [answer.status, (await answer.json()).error];
    }"""
    desk.watched.expected.append("413")
    status, error = desk.page.evaluate(send)
    assert (status, error) == (413, "the picture has more than 64 MB; send a smaller one")
