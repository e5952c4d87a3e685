"""Files of the forms that eye trackers and data sets write, and what is wrong with others: file, line and column."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from isotherm.data.gaze.formats import ReadOptions, read_raw, read_world_timestamps
from isotherm.errors import InputError, OptionError

NAN = float("nan")
EGO4D = """canonical_timestamp_s,norm_pos_x,norm_pos_y,confidence
0.0,0.25,0.75,1.0
0.033333,0.5,0.1,0.98
0.066667,,,0.0
0.1,0.5,1.2,0.2
"""
PUPIL = """gaze_timestamp,world_index,confidence,norm_pos_x,norm_pos_y,base_data
342391.20348100003,0,0.96,0.25,0.75,342391.201506-0 342391.205456-1
342391.20762899995,0,0.3,0.30,0.34,342391.20980199997-0
342391.24,1,1.0,0.5,-0.1,342391.2-0 342391.3-1
"""
NEON = """section id,recording id,timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id
a,b,1754690230077095946,799.5,599.5,1.0,1,
a,b,1754690230082095946,10.0,20.0,1.0,,7
a,b,1754690230087095946,10.0,20.0,0.0,,
a,b,1754690230092095946,1700.25,20.0,1.0,,
"""
TOBII = [
    {"type": "gaze", "timestamp": 0.01, "data": {"gaze2d": [0.25, 0.25], "gaze3d": [1, 2, 3]}},
    {"type": "event", "timestamp": 0.015, "data": {"tag": "x"}},
    {"type": "gaze", "timestamp": 0.02, "data": {}},
    {"type": "gaze", "timestamp": 0.03, "data": {"gaze2d": [1.2, 0.5]}},
]
EXO = "frame_num,tracking_timestamp_us,x,y\n0,148502622,703.5,703.5\n1,148602622,,\n"


def write(tmp_path, text, name="gaze.csv"):
    fpath = tmp_path / name
    fpath.write_text(text)
    return fpath


def test_ego4d_counts_y_from_the_bottom(tmp_path):
    raw = read_raw(write(tmp_path, EGO4D), "ego4d")
    np.testing.assert_allclose(raw.xy, [[0.25, 0.25], [0.5, 0.9], [NAN, NAN], [NAN, NAN]])
    assert raw.time_ns.tolist() == [0, 33_333_000, 66_667_000, 100_000_000]
    assert (raw.unit, raw.clock, raw.missing) == (
        "shares",
        "video",
        {"no place in the file": 1, "confidence below 0.6": 1},
    )
    assert read_raw(raw.path, "ego4d", ReadOptions(least_confidence=0.1)).xy[3, 1] == pytest.approx(-0.2)
    assert "counted from the bottom" in raw.notes[0]


def test_pupil_core_has_frames_and_both_eyes(tmp_path):
    raw = read_raw(write(tmp_path, "\ufeff" + PUPIL), "pupil-core")
    np.testing.assert_allclose(raw.xy, [[0.25, 0.25], [NAN, NAN], [0.5, 1.1]])
    assert raw.frame.tolist() == [0, 0, 1]
    assert raw.time_ns[0] == 342391203481000
    assert raw.notes[1] == "2 of 3 samples are made of both eyes"


def test_pupil_core_of_earlier_versions_calls_two_columns_otherwise(tmp_path):
    older = read_raw(write(tmp_path, PUPIL.replace("gaze_timestamp,world_index", "timestamp,index")), "pupil-core")
    newer = read_raw(write(tmp_path, PUPIL), "pupil-core")
    np.testing.assert_array_equal(older.xy, newer.xy)
    np.testing.assert_array_equal(older.frame, newer.frame)


def test_neon_keeps_every_nanosecond_and_adds_half_a_pixel(tmp_path):
    raw = read_raw(write(tmp_path, NEON), "neon")
    assert raw.time_ns[0] == 1754690230077095946
    np.testing.assert_allclose(raw.xy, [[800, 600], [NAN, NAN], [NAN, NAN], [1700.75, 20.5]])
    assert raw.missing == {"not worn": 1, "blink": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_tobii_lines_without_gaze_are_missing(tmp_path, packed):
    text = "\n".join(json.dumps(line) for line in TOBII)
    fpath = tmp_path / ("gazedata.gz" if packed else "gazedata")
    fpath.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    raw = read_raw(fpath, "tobii-g3")
    np.testing.assert_allclose(raw.xy, [[0.25, 0.25], [NAN, NAN], [1.2, 0.5]])
    assert raw.missing == {"no gaze found by the tracker": 1}
    assert raw.notes[-1] == "1 lines of other types were passed over"


def egtea(form):
    header = [f"## line {i}" for i in range(33)]
    if form == 7:
        rows = [
            "1000\tSMP\t1\t640.0\t480.0\t0\tFixation",
            "42667\tSMP\t1\t0.00\t0.00\t1\t-",
            "84333\tSMP\t1\t1300.5\t10\t2\tSaccade",
            "90000 SMP 1 5 5 2 Blink",
        ]
        return "\n".join([*header, "Time\tType\tTrial\tL POR X [px]\tL POR Y [px]\tFrame\tL Event Info", *rows])
    fill = " ".join(["0"] * 17)
    rows = [f"1.0 a b c d 640.0 480.0 {fill} 00:00:00:00 Fixation", f"42.667 a b c d 0.00 0.00 {fill} 00:00:00:01 -", f"1001.0 a b c d 1300.5 10 {fill} 00:00:01:00 Saccade"]  # fmt: skip
    return "\n".join([*header, "RecordingTime [ms] and more", *rows])


def test_egtea_has_two_forms(tmp_path):
    seven, more = (read_raw(write(tmp_path, egtea(form), f"{form}.txt"), "egtea") for form in (7, 26))
    np.testing.assert_allclose(seven.xy, [[640, 480], [NAN, NAN], [1300.5, 10], [NAN, NAN]])
    assert seven.frame.tolist() == [0, 1, 2, 2]
    assert seven.time_ns.tolist() == [1_000_000, 42_667_000, 84_333_000, 90_000_000]
    assert seven.missing == {"(0, 0), which BeGaze writes where it has no gaze": 1, "blink": 1}
    assert more.frame.tolist() == [0, 1, 24]
    assert more.time_ns.tolist() == [1_000_000, 42_667_000, 1_001_000_000]
    assert seven.gaze_size == (960, 1280)
    assert seven.notes[0] == "the file has 34 lines before its first sample"
    assert "1 Fixation, 1 -, 1 Saccade" in more.notes[-1]


def test_ego_exo4d_in_two_dimensions(tmp_path):
    raw = read_raw(write(tmp_path, EXO, "general_eye_gaze_2d.csv"), "ego-exo4d", ReadOptions(gaze_size=(1408, 1408)))
    np.testing.assert_allclose(raw.xy, [[704, 704], [NAN, NAN]])
    assert raw.time_ns.tolist() == [148502622000, 148602622000]
    assert raw.frame is None
    numbered = read_raw(write(tmp_path, "frame_num,x,y\n0,10,10\n3,20,20\n", "g_2d.csv"), "ego-exo4d")
    assert numbered.frame.tolist() == [0, 3]
    assert "taken for the number of the video's frame" in numbered.notes[-1]


@pytest.mark.parametrize(
    ("format", "text", "words"),
    [
        ("ego4d", PUPIL, r"csv:1: there is no column 'canonical_timestamp_s'.*it looks like pupil-core"),
        ("ego4d", EGO4D.replace("0.5,0.1,", "0.5,high,"), r"csv:3: column 'norm_pos_y' is 'high'; expected a finite number"),
        ("ego4d", EGO4D.replace("0.033333", ""), r"csv:3: column 'canonical_timestamp_s' is ''"),
        ("ego4d", EGO4D.replace("0.5,0.1,", "inf,0.1,"), r"csv:3: column 'norm_pos_x' is 'inf'"),
        ("ego4d", EGO4D.replace("0.25,0.75", "320,240").replace("0.5,0.1", "330,200"), "these look like pixels"),
        ("ego4d", EGO4D + "0.2,0.3\n", r"csv:6: 2 cells; expected 4, as the header has; is the file cut short"),
        ("ego4d", EGO4D.splitlines()[0], "has a header and no rows"),
        ("ego4d", "", "empty"),
        ("ego4d", EGO4D.replace("confidence", "norm_pos_x"), "no column 'confidence'"),
        ("ego4d", EGO4D.replace("canonical_timestamp_s,", "confidence,canonical_timestamp_s,"), "2 columns 'confidence'"),
        ("pupil-core", PUPIL.replace(",1,1.0", ",one,1.0"), r"csv:4: column 'world_index' is 'one'; expected a whole number"),
        ("pupil-core", PUPIL.replace("0,0.96", "0,"), r"csv:2: column 'confidence' is ''"),
        ("neon", NEON.replace("799.5,599.5", "0.5,0.5").replace("1700.25,20.0", "0.2,0.3").replace("10.0,20.0", "0.1,0.2"), "these look like shares"),
        ("neon", NEON.replace("1754690230077095946", "1.75e18"), r"csv:2: column 'timestamp \[ns\]' is '1.75e18'"),
        ("tobii-g3", '{"type": "gaze", "timestamp": 1', r"csv:1: not JSON"),
        ("tobii-g3", '{"type": "gaze", "timestamp": "x", "data": {}}', r"csv:1: 'timestamp' is 'x'"),
        ("tobii-g3", '{"type": "gaze", "timestamp": 1, "data": {"gaze2d": [1]}}', r"csv:1: 'gaze2d' is \[1\]"),
        ("tobii-g3", '{"type": "imu", "timestamp": 1}', "no line of the type 'gaze'"),
        ("egtea", "hello\n", "no row of 7 or 26 words"),
        ("egtea", egtea(7) + "\n1 2 3", r"csv:39: 3 words; expected 7"),
        ("egtea", egtea(26).replace("00:00:01:00", "00:00:01:24"), r"csv:37: the time code '00:00:01:24' has frame 24"),
        ("ego-exo4d", EXO, "calibration"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_named(tmp_path, format, text, words):
    with pytest.raises((InputError, OptionError), match=words):
        read_raw(write(tmp_path, text), format)


@pytest.mark.parametrize("value", ["98", "1.5"])
def test_confidence_in_per_cent_is_refused_with_its_line(tmp_path, value):
    path = tmp_path / "gaze.csv"
    path.write_text(
        f"canonical_timestamp_s,norm_pos_x,norm_pos_y,confidence\n0.1,0.5,0.5,0.9\n0.2,0.5,0.5,{value}\n0.3,0.5,0.5,\n"
    )
    with pytest.raises(
        InputError, match=rf"gaze\.csv:3: column 'confidence' is '{value}'; expected a share from 0 to 1"
    ):
        read_raw(path, "ego4d")


def test_encodings_that_are_not_utf8(tmp_path):
    (tmp_path / "wide.csv").write_bytes(EGO4D.encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_raw(tmp_path / "wide.csv", "ego4d")
    (tmp_path / "zeros.csv").write_bytes(EGO4D.encode() + b"\x00")
    with pytest.raises(InputError, match="holds zero bytes"):
        read_raw(tmp_path / "zeros.csv", "ego4d")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("world_timestamps.npy", np.array([10.0, 10.5]), [10_000_000_000, 10_500_000_000]),
        ("w.npy", np.array([1754690230077095946, 1754690230077095947]), [1754690230077095946, 1754690230077095947]),
        ("w.csv", "section id,recording id,timestamp [ns]\na,b,1754690230077095946\na,b,1754690230110095946\n", [1754690230077095946, 1754690230110095946]),
        ("p.csv", "# timestamps [seconds],pts\n1.5,0\n2.0,1\n", [1_500_000_000, 2_000_000_000]),
        ("a.csv", "frame,capture_timestamp_us\n0,5\n1,7\n", [5_000, 7_000]),
    ],
)  # fmt: skip
def test_world_timestamps_in_their_forms(tmp_path, name, content, expected):
    fpath = tmp_path / name
    np.save(fpath, content) if fpath.suffix == ".npy" else fpath.write_text(content)
    assert read_world_timestamps(fpath).tolist() == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [("a,b\n1,2\n", "expected one with a time and its unit"), ("timestamp [ns]\n5\n5\n", "frame 1 is not later"), ("timestamp [ns]\nx\n", "column 'timestamp")],
)  # fmt: skip
def test_world_timestamps_that_are_none(tmp_path, content, words):
    with pytest.raises(InputError, match=words):
        read_world_timestamps(write(tmp_path, content))
