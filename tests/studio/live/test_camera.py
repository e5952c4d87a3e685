"""A camera, here a video file that is played again and again: shown, kept, lost and back."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed")

from isotherm.data.video import probe_video, read_frames
from isotherm.errors import InputError
from isotherm.studio.live import camera as camera_module
from isotherm.studio.live.camera import Camera
from isotherm.studio.live.capture import jpeg
from rigs.quick_camera import serve
from rigs.videos import write_clip


@pytest.fixture(autouse=True)
def _lost_cameras_are_tried_again_at_once(monkeypatch):
    monkeypatch.setattr(camera_module, "serve", serve)


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=8, rate=20, h=480, w=1280)


@pytest.fixture
def camera(clip):
    camera = Camera(str(clip), idle_s=0.0)
    yield camera
    camera.close()
    assert not camera.is_open


def array(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def wait_for(camera: Camera, condition) -> None:
    """Wait until what the camera shows fulfils a condition."""
    new = threading.Event()
    with camera.waking(new.set):
        while not condition(camera.shown):
            assert new.wait(20), camera.shown
            new.clear()


def test_the_newest_frame_is_small_for_those_who_watch_and_whole_for_those_who_ask(camera):
    assert not camera.is_open
    with camera.used():
        still = array(camera.still())
        shown = array(camera.shown.jpeg)
        first = camera.shown.number
        wait_for(camera, lambda now: now.number >= first + 3)
        assert camera.is_open
    assert still.shape == (480, 1280, 3)
    assert shown.shape == (360, 960, 3)
    for picture in (still, shown):
        assert np.abs(picture[20, 20] - (250, 20, 20)).max() < 12
    # nobody uses it any more: it is let go of
    wait_for(camera, lambda now: now.jpeg is None)
    assert not camera.is_open
    assert "nobody" in camera.shown.lost


def test_detections_are_drawn_on_what_is_shown_and_not_on_what_is_kept(camera):
    with camera.used():
        camera.still()
        camera.draw([{"label": "gear", "confidence": 0.5, "box": [200, 300, 400, 420]}])
        wait_for(camera, lambda now: now.jpeg is not None and array(now.jpeg)[270, 152].min() > 200)
        assert array(camera.still())[360, 201].max() < 40  # the left side of the box, on what is kept
        camera.draw([])
        wait_for(camera, lambda now: array(now.jpeg)[270, 152].max() < 60)


def test_some_seconds_become_a_video(camera, tmp_path):
    frames = camera.record(0.6, tmp_path / "kept")
    info = probe_video(tmp_path / "kept")
    assert info.size == (480, 1280)
    kept = list(read_frames(tmp_path / "kept"))
    assert len(kept) == frames >= 2
    times = np.array([frame.time_s for frame in kept])
    assert (np.diff(times) > 0).all()
    assert 0.5 < times[-1] < 6  # the pace is the camera's, also over the end of the file; a busy machine may be late


def test_two_recordings_at_once_are_refused(camera, tmp_path):
    with camera.used():
        camera.still()
        errors = []

        def second():
            try:
                camera.record(0.5, tmp_path / "two")
            except InputError as error:
                errors.append(str(error))

        thread = threading.Thread(target=lambda: camera.record(0.8, tmp_path / "one"))
        thread.start()
        wait_for(camera, lambda now: (tmp_path / "one").exists())
        second()
        thread.join()
    assert errors == ["the camera is being recorded already; wait until that has ended"]


def test_a_lost_camera_says_so_and_comes_back(camera, clip):
    with camera.used():
        camera.still()
        away = clip.with_name("away.mp4")
        clip.rename(away)
        wait_for(camera, lambda now: now.lost is not None)
        assert camera.shown.jpeg is None
        assert "clip.mp4" in camera.shown.lost
        with pytest.raises(InputError, match="the camera shows nothing"):
            camera.still()
        away.rename(clip)
        wait_for(camera, lambda now: now.jpeg is not None)
        assert array(camera.still()).shape == (480, 1280, 3)


def test_a_reading_process_that_dies_takes_nothing_with_it(camera):
    with camera.used():
        camera.still()
        camera._process.kill()
        wait_for(camera, lambda now: now.jpeg is None)
        assert "ended unexpectedly" in camera.shown.lost
        assert array(camera.still()).shape == (480, 1280, 3)  # it is opened again for who asks


class Stream(BaseHTTPRequestHandler):
    """A network camera: one JPEG after the other, until the test ends it."""

    go_on = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while type(self).go_on.is_set():
                part = jpeg(Image.new("RGB", (64, 48), (250, 20, 20)), 90)
                self.wfile.write(b"--frame\r\ncontent-type: image/jpeg\r\ncontent-length: %d\r\n\r\n" % len(part))
                self.wfile.write(part + b"\r\n")
                threading.Event().wait(0.02)
        except OSError:
            pass  # the camera was let go of

    def log_message(self, *_):
        pass


def test_a_stream_from_the_network_that_ends_is_lost_and_comes_back():
    Stream.go_on.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        camera = Camera(f"http://127.0.0.1:{server.server_port}/live.mjpeg")
        with camera.used():
            assert np.abs(array(camera.still())[20, 20] - (250, 20, 20)).max() < 12
            Stream.go_on.clear()
            wait_for(camera, lambda now: now.lost is not None)
            Stream.go_on.set()
            wait_for(camera, lambda now: now.jpeg is not None)
        camera.close()
        Stream.go_on.clear()
        server.shutdown()


def test_a_camera_that_is_closed_opens_no_more(clip):
    camera = Camera(str(clip))
    with camera.used():
        camera.still()
        camera.close()
        wait_for(camera, lambda now: now.jpeg is None)
        with pytest.raises(InputError):
            camera.still()
    assert not camera.is_open
