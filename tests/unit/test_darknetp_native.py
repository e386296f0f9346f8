# SPDX-License-Identifier: MIT
"""Whole command lines of darknetp, built for this machine with a stand-in for the TEE."""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path

import pytest
from darknetp_workspace import (
    CLASSES,
    EDGE,
    HEADER_BYTES,
    LAST_LAYER,
    LAYERS,
    NET,
    PARAMETERS,
    Workspace,
    draw_image,
    partition,
    refused,
)
from PIL import Image

ABSENT_VERBS = [
    "try",
    "fout",
    "csv",
    "label",
    "validmulti",
    "valid10",
    "validcrop",
    "validfull",
    "demo",
    "gun",
    "threat",
]

# ---- Start ----


def test_without_arguments_it_tells_its_usage_after_opening_a_session(work: Workspace) -> None:
    result = work.run()
    assert result.status == 0
    assert result.out == "Prepare session with the TA\nBegin darknet\n"
    assert result.err == f"usage: {work.program} <function>\n"
    assert result.secure == "I/TA: secure world opened!\nI/TA: Goodbye!\n"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["frobnicate"], "Not an option: frobnicate\n"),
        (["yolo", "test"], "yolo is a function of Darknet that this version does not have"),
        (["-clear"], "no function given"),
        (["classifier"], "classifier [train/predict/valid/test] [data] [cfg] [weights (optional)]"),
        (["classifier", "train"], "classifier train DATA CFG [WEIGHTS]"),
        (["classifier", "train", "a", "b", "c", "d"], "classifier train DATA CFG [WEIGHTS]"),
        (["classifier", "predict", "a", "b"], "classifier predict DATA CFG WEIGHTS [IMAGE...]"),
        (["classifier", "-frob"], "unknown flag -frob"),
        (["classifier", "train", "a", "b", "-pp_start", "four"], "-pp_start four: expected"),
        (["classifier", "train", "a", "b", "-dp", "3"], "gradients are computed without noise"),
        (["classifier", "train", "a", "b", "-c", "0"], "camera of demo, gun and threat"),
        (["classifier", "train", "a", "b", "-seed"], "-seed needs a value"),
        (["classifier", "train", "a", "b", "-t", "1", "-t", "1"], "-t is given twice"),
        (["classifier", "valid", "a", "b", "c", "-list", "d"], "-list is for predict"),
        (["classifier", "frob", "a", "b"], "there are train, predict, valid and test"),
        (
            ["classifier", "train_fl", "a", "b"],
            "copy the file here and use: train DATA CFG",
        ),
        *((["classifier", verb, "a", "b"], f"classifier {verb} is not") for verb in ABSENT_VERBS),
    ],
)
def test_wrong_requests_are_refused_in_words(work: Workspace, words: list[str], text: str) -> None:
    refused(work.run(*words), text)


@pytest.mark.parametrize(
    ("failure", "text", "advice"),
    [
        ("context=0xffff0008", "TEEC_InitializeContext failed with code 0xffff0008", "/dev/tee0"),
        (
            "session=0xffff0008",
            "TEEC_Opensession failed with code 0xffff0008 origin 0x4",
            "/lib/optee_armtz",
        ),
        (
            "session=0xffff000c",
            "TEEC_Opensession failed with code 0xffff000c origin 0x4",
            "smaller TA_DATA_SIZE",
        ),
        (
            "session=0xffff000f",
            "TEEC_Opensession failed with code 0xffff000f origin 0x4",
            "signed with the key",
        ),
    ],
)
def test_a_tee_that_does_not_open_ends_every_run(
    work: Workspace, failure: str, text: str, advice: str
) -> None:
    result = work.run(INPROCESS_TEE_FAIL=failure)
    refused(result, f"darknetp: {text}\n", status=1)
    assert advice in result.err
    assert "Begin darknet" not in result.out


# ---- Training ----


def test_training_prints_what_scripts_look_for(work: Workspace) -> None:
    result = work.train("-seed", "1", "-iterations", "2", *partition(4, LAST_LAYER))
    assert result.status == 0, result.err
    iteration = (
        r"Loaded: \d+\.\d{6} seconds\n"
        r"%d, %s: 0\.000000, 0\.000000 avg, 0\.\d{6} rate, \d+\.\d{6} seconds, %d images\n"
        r"user CPU start: \d+\.\d{6}; end: \d+\.\d{6}\n"
        r"kernel CPU start: \d+\.\d{6}; end: \d+\.\d{6}\n"
        r"Max: \d+  kilobytes\n"
        r"vmsize:\d+; vmrss:\d+; vmdata:\d+; vmstk:\d+; vmexe:\d+; vmlib:\d+\n"
    )
    assert re.fullmatch(
        r"Prepare session with the TA\nBegin darknet\ntiny\n1\nworkspace_size=15552\n"
        r"Learning Rate: 0\.05, Momentum: 0\.9, Decay: 0\.0005\n16\n12 14\n"
        r"output file: (.*)/results/train_tiny_pps4_ppe10\.txt\ncurrent_batch=0 \n"
        + iteration % (1, r"0\.500", 8)
        + iteration % (2, r"1\.000", 16),
        result.out,
    ), result.out
    assert f"Saving weights to {work.root}/deep/backup//tiny.weights\n" in result.err
    assert len(result.secure_losses) == 2


def test_the_layer_table_marks_the_secure_ones(work: Workspace) -> None:
    result = work.train("-seed", "1", "-iterations", "1", *partition(3, 8))
    table = result.err[result.err.index("layer     filters") :].splitlines()[:12]
    assert table == [
        "layer     filters    size              input                output",
        "    0 conv      4  3 x 3 / 1    12 x  12 x   3   ->    12 x  12 x   4  0.000 BFLOPs",
        "    1 max          2 x 2 / 2    12 x  12 x   4   ->     6 x   6 x   4",
        "    2 conv      4  3 x 3 / 1     6 x   6 x   4   ->     4 x   4 x   4  0.000 BFLOPs",
        "    3 max_TA       2 x 2 / 2     4 x   4 x   4   ->     2 x   2 x   4",
        "    4 connected_TA                           16  ->    12",
        "    5 dropout_TA    p = 0.50                 12  ->    12",
        "    6 connected_TA                           12  ->    10",
        "    7 dropout_TA    p = 0.50                 10  ->    10",
        "    8 connected_TA                           10  ->     4",
        "    9 softmax                                           4",
        "   10 cost                                              4",
    ]


def test_weights_do_not_depend_on_the_partition(work: Workspace) -> None:
    reference = work.trained()
    assert len(reference) == HEADER_BYTES + 4 * PARAMETERS
    for start, end in [(4, 10), (2, 6), (0, 10), (0, 0), (10, 10), (5, 9), (7, 7), (1, 3)]:
        assert work.trained(*partition(start, end)) == reference, (start, end)


def test_weights_do_not_depend_on_the_secure_memory(work: Workspace) -> None:
    reference = work.trained()
    heap = "40000"
    result = work.train(
        "-seed", "1", "-iterations", "1", *partition(0, 10), INPROCESS_TEE_HEAP=heap
    )
    parts = re.search(
        r"8 images are computed in parts of (\d+) \((\d+) bytes of 40000\)", result.err
    )
    # even parts of 8: ceil(8 / 2), ceil(8 / 3), ...
    assert parts and int(parts[1]) in (1, 2, 3, 4) and int(parts[2]) <= int(heap)
    assert len(result.secure_losses) == 1
    assert work.trained(*partition(0, 10), INPROCESS_TEE_HEAP=heap) == reference


def test_weights_do_not_depend_on_subdivisions(work: Workspace) -> None:
    cfg = work.write("cfg/parts.cfg", NET.replace("subdivisions=1", "subdivisions=4") + LAYERS)
    assert work.trained(*partition(4, 10), cfg=cfg) == work.trained()


def test_the_batch_of_the_command_line_replaces_the_cfgs(work: Workspace) -> None:
    four = work.write("cfg/four.cfg", NET.replace("batch=8", "batch=4") + LAYERS)
    assert work.trained("-batch", "4") == work.trained(cfg=four) != work.trained()
    parts = work.write("cfg/parts.cfg", NET.replace("subdivisions=1", "subdivisions=4") + LAYERS)
    refused(work.train("-batch", "3", cfg=parts), "-batch 3: cannot be divided into subdivisions=4")


def test_a_network_may_end_in_softmax(work: Workspace) -> None:
    cfg = work.write("cfg/tiny.cfg", NET + LAYERS.replace("[cost]\ntype=sse\n", ""))
    assert work.trained(*partition(4, 9), cfg=cfg) == work.trained(cfg=cfg)
    result = work.train("-seed", "1", "-iterations", "3", cfg=cfg)
    # Cross-entropy alone: ln 4 = 1.39 for who knows nothing
    assert result.losses[0] == pytest.approx(1.39, abs=0.4)


def test_both_worlds_compute_the_same_loss(work: Workspace) -> None:
    normal = work.train("-seed", "2", "-iterations", "3")
    secure = work.train("-seed", "2", "-iterations", "3", *partition(9, 10))
    assert secure.losses == [0, 0, 0]
    assert normal.secure_losses == []
    assert normal.losses == pytest.approx(secure.secure_losses, abs=2e-5)
    # A fresh network knows nothing: (ln 4 + 3/4) / 2 = 1.07
    assert normal.losses[0] == pytest.approx(1.07, abs=0.3)


def test_other_seeds_give_other_weights_and_none_is_never_the_same(work: Workspace) -> None:
    reference = work.trained()
    assert work.trained(seed=12) != reference
    high = 11 + 2**32
    assert work.trained(*partition(0, 10), seed=high) == work.trained(seed=high) != reference
    runs = set()
    for flags in ([], [], partition(0, 10), partition(0, 10)):
        assert work.train("-iterations", "1", *flags).status == 0
        runs.add(work.weights.read_bytes())
    assert len(runs) == 4


def test_a_network_learns(work: Workspace) -> None:
    text = (NET + LAYERS).replace("probability=.5", "probability=.01")
    text = re.sub(r"^(hue|angle)=.*$", r"\1=0", text, flags=re.M)
    text = re.sub(r"^(saturation|exposure)=.*$", r"\1=1", text, flags=re.M)
    text = re.sub(r"^max_crop=.*$", f"max_crop={EDGE}\nflip=0", text, flags=re.M)
    cfg = work.write("cfg/tiny.cfg", text)
    result = work.train("-seed", "5", *partition(4, 10), cfg=cfg)
    assert result.status == 0, result.err
    assert len(result.secure_losses) == 100
    assert result.secure_losses[-1] < 0.3
    for path in work.images[:CLASSES]:
        predicted = work.predict(work.weights, path)
        assert predicted.top[0][1] == f"name {path.stem[-1]}"
    valid = work.run("classifier", "valid", work.data, cfg, work.weights, *partition(4, 10))
    assert valid.out.splitlines()[-1] == "16 images: top 1: 1.000000, top 1: 1.000000"


def test_training_goes_on_where_the_weights_stopped(work: Workspace) -> None:
    assert work.train("-seed", "1", "-iterations", "2").status == 0
    result = work.train(work.weights, "-seed", "1", "-iterations", "2", *partition(4, 10))
    assert result.status == 0
    assert "current_batch=2 \n" in result.out
    assert re.search(r"^3, 1\.500: ", result.out, re.M)
    assert f"Loading weights from {work.weights}...Done!" in result.err
    assert struct.unpack_from("<iiiQ", work.weights.read_bytes()) == (0, 2, 0, 32)
    cleared = work.train(work.weights, "-clear", "-iterations", "1")
    assert "current_batch=0 \n" in cleared.out


def test_a_finished_training_is_prolonged(work: Workspace) -> None:
    cfg = work.write("cfg/tiny.cfg", NET.replace("max_batches=100", "max_batches=2") + LAYERS)
    assert len(work.train("-seed", "1", cfg=cfg).losses) == 2
    result = work.train(work.weights, "-seed", "1", cfg=cfg)
    assert "current_batch=2 \n" in result.out
    assert len(result.losses) == 2
    assert ", 0.000195 rate," in result.out  # .05 * (1 - 3/4)^4


def test_split_files_are_saved_and_loaded(work: Workspace) -> None:
    whole = work.trained(*partition(4, 10))
    flags = ["-seed", "11", "-iterations", "3", *partition(4, 10)]
    result = work.train("-ss", "1", *flags)
    assert "Separately saving weights to" in result.err
    assert not work.weights.exists()
    normal = Path(f"{work.weights}_ree").read_bytes()
    secure = Path(f"{work.weights}_tee").read_bytes()
    assert normal + secure[HEADER_BYTES:] == whole
    loaded = work.train(work.weights, "-ss", "1", "-iterations", "1", *partition(4, 10))
    assert f"Separately loading weights from {work.weights}...Done!" in loaded.err
    assert loaded.status == 0

    work.weights.write_bytes(whole)
    result = work.train(work.weights, "-ss", "2", "-iterations", "1", *partition(4, 10))
    assert f"Loading weights from {work.weights}...Done!" in result.err
    assert result.status == 0
    assert work.weights.read_bytes() == whole


def test_frozen_layers_keep_their_weights(work: Workspace) -> None:
    assert work.train("-seed", "1", "-iterations", "1").status == 0
    before = work.weights.read_bytes()
    for flags in (["-pp_start_f", "6", "-pp_end", "9"], ["-pp_f_only", "6"]):
        work.weights.write_bytes(before)
        result = work.train(work.weights, "-seed", "1", "-iterations", "2", *flags)
        assert result.status == 0, result.err
        after = work.weights.read_bytes()
        learning = 4 * (12 * 10 + 10 + 10 * 4 + 4)
        assert after[HEADER_BYTES:-learning] == before[HEADER_BYTES:-learning]
        assert after[-learning:] != before[-learning:]


def test_checkpoints_are_saved(work: Workspace) -> None:
    assert work.train("-seed", "1", "-iterations", "1").status == 0
    almost = bytearray(work.weights.read_bytes())
    struct.pack_into("<Q", almost, 12, 999 * 8)
    work.weights.write_bytes(almost)
    cfg = work.write("cfg/tiny.cfg", NET.replace("max_batches=100", "max_batches=5000") + LAYERS)
    assert work.train(work.weights, "-iterations", "2", cfg=cfg).status == 0
    backup = work.weights.with_suffix(".backup")
    assert struct.unpack_from("<Q", backup.read_bytes(), 12) == (1000 * 8,)


def test_results_are_written_beside(work: Workspace) -> None:
    assert work.train("-seed", "1", "-iterations", "2").status == 0
    work.train("-iterations", "2", *partition(4, 8))
    lines = (work.root / "results" / "train_tiny_pps4_ppe8.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in lines if "images" in line] == ["1", "2"]
    assert not any("Loaded" in line for line in lines)
    for _ in range(2):
        assert work.predict(work.weights, work.images[0]).status == 0
    text = (work.root / "results" / "predict_tiny_pps999_ppe999.txt").read_text()
    assert text.count(f"{work.images[0]}: Predicted in ") == 2
    assert text.count("vmsize:") == 2


def test_without_a_place_for_results_training_goes_on(work: Workspace) -> None:
    work.write("results", "in the way")
    result = work.train("-seed", "1", "-iterations", "1")
    assert result.status == 0
    assert result.err.count("results are printed only") == 1


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x7f\x9b"  # escape sequences, C0, DEL and C1
TAMED = "?[2J?]0;owned????"


def test_control_characters_of_files_do_not_reach_the_terminal(
    work: Workspace, weights: Path
) -> None:
    """Names, paths, lists and cfg text, in the tables, the messages and the result file."""
    image = work.images[0].rename(work.images[0].with_name(f"{HOSTILE}_c0.png"))
    work.write("names.list", "".join(f"name {HOSTILE}{i}\n" for i in range(CLASSES)))
    work.write("train.list", f"{image}\n")
    work.write("test.list", f"{image}\n/missing{HOSTILE}\n")
    cfg = work.write(f"cfg/tiny{HOSTILE}.cfg", NET + LAYERS.replace("groups=1", f"{HOSTILE}=1"))
    copy = weights.rename(weights.with_name(f"{HOSTILE}.weights"))
    words = [work.data, cfg, copy]
    results = [
        work.run("classifier", "predict", *words, image, f"/missing{HOSTILE}"),
        work.run("classifier", "test", *words),
        work.run("classifier", "valid", *words),
        work.run("classifier", "train", *words, "-iterations", "1"),
        work.run("classifier", HOSTILE),
        work.run(HOSTILE),
    ]
    said = "".join(result.out + result.err for result in results)
    said += "".join(path.read_text() for path in (work.root / "results").iterdir())
    assert not re.search(r"[^\n\t -~\xa0-\U0010ffff]", said)
    for text in [
        f"%: name {TAMED}",
        f"\tname {TAMED}",
        f"images/{TAMED}_c0.png: Predicted in",
        f"images/{TAMED}_c0.png, 0, ",
        f"images/{TAMED}_c0.png\t",
        f"Loading weights from {work.root}/deep/backup/{TAMED}.weights",
        f"\ntiny{TAMED}\n1\n",
        f"Unused field: '{TAMED} = 1'",
        f"Couldn't open file: /missing{TAMED}",
        f"Not an option: {TAMED}",
    ]:
        assert text in said


# ---- Predicting ----


def test_predictions_do_not_depend_on_the_partition(work: Workspace, weights: Path) -> None:
    reference = work.predict(weights, work.images[1], "-t", "4")
    assert reference.status == 0
    assert sum(value for value, _ in reference.top) == pytest.approx(100, abs=0.1)
    for start, end in [(0, 8), (4, 8), (5, 5), (7, 8), (0, 0), (10, 10)]:
        result = work.predict(weights, work.images[1], "-t", "4", *partition(start, end))
        assert result.top == reference.top, (start, end)


@pytest.mark.parametrize(("start", "end"), [(4, 10), (0, 10), (7, 9), (9, 9)])
def test_a_secure_softmax_shows_the_first_class_only(
    work: Workspace, weights: Path, start: int, end: int
) -> None:
    best = work.predict(weights, work.images[1]).top[0][1]
    result = work.predict(weights, work.images[1], "-t", "4", *partition(start, end))
    assert result.top[0] == (100.0, best)
    assert [value for value, _ in result.top[1:]] == [0.0, 0.0, 0.0]
    assert "Predicted in" in result.err


def test_zeros_come_in_darknets_order(work: Workspace, weights: Path) -> None:
    orders = {"name 0": "0123", "name 1": "1023", "name 2": "2103", "name 3": "3120"}
    result = work.predict(weights, work.images[1], "-t", "4", *partition(4, 10))
    names = [name for _, name in result.top]
    assert "".join(name[-1] for name in names) == orders[names[0]]


def test_several_images_are_predicted(work: Workspace, weights: Path) -> None:
    result = work.predict(weights, *work.images[:3], *partition(4, 10))
    assert result.status == 0
    assert len(result.top) == 3 * 3
    assert re.findall(r"^(\S+): Predicted", result.err, re.M) == [str(p) for p in work.images[:3]]


def test_images_are_asked_for(work: Workspace, weights: Path) -> None:
    stdin = f"{work.images[0]}\n\n/missing.png\n{work.images[1]}\n"
    result = work.predict(weights, *partition(4, 10), stdin=stdin)
    assert result.out.count("Enter Image Path: ") == 5
    assert len(result.top) == 2 * 3
    assert "Couldn't open file: /missing.png" in result.err
    assert result.status == 1


def test_what_is_no_list_of_paths_is_not_read_for_ever(work: Workspace, weights: Path) -> None:
    longest = "/" + "x" * 4094
    result = work.predict(
        weights, stdin=f"{work.images[0]}\r\n{longest}\n{longest}x\n{work.images[1]}\n"
    )
    refused(result, "standard input: a line is longer than any path, 4095 bytes", status=1)
    assert len(result.top) == 3
    assert result.err.count("(File name too long)") == 1
    refused(work.predict(weights, stdin="x" * 100_000), "a line is longer than any path")
    assert len(work.predict(weights, stdin=str(work.images[0])).top) == 3


def test_a_list_of_images_is_predicted_without_those_that_are_missing(
    work: Workspace, weights: Path
) -> None:
    images = work.images[:2]
    work.write("some.list", f"{images[0]}\n\n  /missing.png \r\n{images[1]}\n")
    result = work.predict(weights, "-list", "some.list", *partition(4, 10))
    refused(result, "Couldn't open file: /missing.png", status=1)
    assert re.findall(r"^(\S+): Predicted", result.err, re.M) == [str(path) for path in images]
    both = work.predict(weights, work.images[5], "-list", "some.list")
    assert both.err.count("Predicted in") == 3
    assert "Enter Image Path" not in both.out
    refused(work.predict(weights, "-list", "none.list"), "none.list (No such file", status=1)


def test_a_bad_image_does_not_keep_the_next(work: Workspace, weights: Path) -> None:
    broken = work.write("broken.png", "no image")
    result = work.predict(weights, broken, work.images[0])
    refused(result, "broken.png: not a PNG, JPEG or BMP picture", status=1)
    assert len(result.top) == 3


def test_images_of_any_shape_are_accepted(work: Workspace, weights: Path) -> None:
    for name, size, mode in [
        ("a.jpg", (100, 3), "RGB"),
        ("b.bmp", (1, 50), "L"),
        ("c.png", (33, 64), "RGBA"),
    ]:
        Image.new(mode, size).save(work.root / name)
        assert work.predict(weights, work.root / name).status == 0


def test_networks_for_one_channel_take_grey_images(work: Workspace) -> None:
    work.write("cfg/tiny.cfg", NET.replace("channels=3", "channels=1") + LAYERS)
    assert work.train("-seed", "1", "-iterations", "1", *partition(4, 10)).status == 0
    assert work.predict(work.weights, work.images[0], *partition(4, 10)).status == 0


# ---- Listing and counting ----


def test_the_listing_has_a_value_per_class_and_image(work: Workspace, weights: Path) -> None:
    """Darknet's rows, path and %g values between tabs, below the classes' names."""
    reference = work.run("classifier", "test", work.data, work.cfg, weights)
    assert reference.status == 0
    heading, *rows = [line.split("\t") for line in reference.out.splitlines() if "\t" in line]
    assert heading == ["path", "name 0", "name 1", "name 2", "name 3"]
    assert [row[0] for row in rows] == [str(path) for path in work.images[:4]]
    for row in rows:
        assert all(re.fullmatch(r"[\d.]+(e-\d+)?", value) for value in row[1:])
        assert sum(map(float, row[1:])) == pytest.approx(1, abs=1e-4)
    for start, end in [(0, 8), (4, 8), (2, 2), (10, 10)]:
        words = ["test", work.data, work.cfg, weights, *partition(start, end)]
        assert work.run("classifier", *words).out == reference.out, (start, end)


def test_the_listing_keeps_what_is_hidden(work: Workspace, weights: Path) -> None:
    words = ["test", work.data, work.cfg, weights]
    plain = work.run("classifier", *words).out
    hidden = work.run("classifier", *words, *partition(4, 10)).out
    for row, secret in zip(plain.splitlines()[4:], hidden.splitlines()[4:], strict=True):
        values = [float(value) for value in row.split("\t")[1:]]
        best = values.index(max(values))
        assert secret.split("\t")[1:] == ["1" if i == best else "0" for i in range(CLASSES)]


def test_the_listing_goes_on_after_a_missing_image(work: Workspace, weights: Path) -> None:
    work.write("test.list", f"{work.images[0]}\n/missing.png\n{work.images[1]}\n")
    result = work.run("classifier", "test", work.data, work.cfg, weights)
    refused(result, "Couldn't open file: /missing.png", status=1)
    assert sum("\t0." in line for line in result.out.splitlines()) == 2
    work.write("test.list", "\n")
    refused(work.run("classifier", "test", work.data, work.cfg, weights), "lists no images")


def test_images_are_stretched_for_the_listing(work: Workspace, weights: Path) -> None:
    """As in Darknet, where predict keeps the proportions."""
    square, wide = work.root / "square.png", work.root / "wide.png"
    draw_image(square, 2)
    Image.open(square).resize((EDGE, 1), Image.Resampling.NEAREST).save(wide)
    Image.open(wide).resize((EDGE, EDGE), Image.Resampling.NEAREST).save(square)
    work.write("test.list", f"{square}\n{wide}\n")
    result = work.run("classifier", "test", work.data, work.cfg, weights)
    first, second = (row.split("\t")[1:] for row in result.out.splitlines() if "\t0." in row)
    assert first == second
    assert work.predict(weights, square).top != work.predict(weights, wide).top


@pytest.mark.parametrize(("flags", "top"), [([], 3), (["-t", "2"], 2), (["-t", "9"], 4)])
def test_validation_counts_the_first_and_the_best(
    work: Workspace, weights: Path, flags: list[str], top: int
) -> None:
    words = ["valid", work.data, work.cfg, weights, *flags]
    result = work.run("classifier", *words, *partition(4, 8))
    assert result.status == 0
    first = in_top = 0
    for path in work.images:
        names = [name for _, name in work.predict(weights, path, "-t", str(top)).top]
        first += names[0] == f"name {path.stem[-1]}"
        in_top += f"name {path.stem[-1]}" in names
    summary = f"16 images: top 1: {first / 16:.6f}, top {top}: {in_top / 16:.6f}"
    assert result.out.splitlines()[-1] == summary
    assert result.out.splitlines()[-2] == summary.replace("16 images", "15")


def test_validation_of_a_hidden_output_counts_the_first_only(
    work: Workspace, weights: Path
) -> None:
    plain = work.run("classifier", "valid", work.data, work.cfg, weights, "-t", "1")
    words = ["valid", work.data, work.cfg, weights, *partition(4, 10)]
    hidden = work.run("classifier", *words)
    assert "so that top 3 cannot be counted, going with top 1" in hidden.err
    assert hidden.out.splitlines()[-1] == plain.out.splitlines()[-1]
    assert "cannot be counted" not in work.run("classifier", *words, "-t", "1").err


def test_validation_wants_every_image(work: Workspace, weights: Path) -> None:
    work.write("train.list", f"{work.images[0]}\n/c1.png\n")
    result = work.run("classifier", "valid", work.data, work.cfg, weights)
    refused(result, "Couldn't open file: /c1.png", status=1)
    assert "images: top 1" not in result.out


# ---- What cannot be done ----


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (partition(4, 12), "partition 4:12 lies outside the network: layers are 0 to 10"),
        (partition(11, 11), "partition 11:11 lies outside"),
        (partition(7, 5), "partition 7:5 starts after its end"),
        (["-pp_start", "3"], "needs -pp_end"),
        (["-pp_end", "3"], "-pp_end 3 without a start"),
    ],
)
def test_impossible_partitions_are_refused(work: Workspace, flags: list[str], text: str) -> None:
    refused(work.train(*flags), text)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[maxpool]", "[yolo]", "cfg:26: Type not recognized: [yolo] (layer 1)"),
        ("batch=8", "batch=eight", "cfg:2: batch=eight: expected a whole number"),
        ("batch=8", "batch 8", "cfg:2: Config file error line 2, could parse: batch8"),
        ("[net]", "[nut]", "the first section must be [net]"),
        ("momentum=.9", "adam=1", "cfg:16: adam=1 in [net] is not supported"),
        ("channels=3", "channels=5", "images have 1 or 3 channels, but the network wants 5"),
        ("output=4", "output=5", "ends in 5 outputs, but"),
        ("[softmax]\ngroups=1\n\n[cost]\ntype=sse\n", "", "must be a softmax or cost layer"),
        ("stride=1", "stride=0", "cfg:19: [convolutional] a window of size 3 and stride 0"),
        ("probability=.5", "probability=1", "layer 5 cannot be computed"),
    ],
)
def test_bad_networks_are_refused_with_their_line(
    work: Workspace, old: str, new: str, text: str
) -> None:
    work.write("cfg/tiny.cfg", (NET + LAYERS).replace(old, new, 1))
    refused(work.train(), text)


def test_a_layer_that_makes_no_sense_is_refused_by_its_line(work: Workspace) -> None:
    work.write("cfg/tiny.cfg", (NET + LAYERS).replace("probability=.5", "probability=1"))
    result = work.train(*partition(4, 10))
    refused(result, "cfg:44: layer 5 cannot be computed: the layer's parameters make no sense")
    assert "TEEC_InvokeCommand" not in result.err


@pytest.mark.parametrize("name", ["tiny.data", "cfg/tiny.cfg", "train.list", "labels.list"])
def test_missing_files_are_named(work: Workspace, name: str) -> None:
    (work.root / name).unlink()
    refused(work.train(), f"{name} (No such file or directory)", status=1)


@pytest.mark.parametrize("name", ["tiny.data", "cfg/tiny.cfg", "train.list", "labels.list"])
def test_pipes_in_place_of_files_are_refused(work: Workspace, name: str) -> None:
    """Nothing waits for their other end."""
    (work.root / name).unlink()
    os.mkfifo(work.root / name)
    refused(work.train(), f"{name} (not a regular file)", status=1)


def test_huge_configurations_are_refused(work: Workspace) -> None:
    with (work.root / work.cfg).open("a") as file:
        file.truncate(2**20 + 1)
    refused(work.train(), "cfg/tiny.cfg: 1048577 bytes are too many, 1048576 are possible")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_a_small_picture_cannot_fill_the_memory(work: Workspace, weights: Path) -> None:
    """One that unpacks to 512 MiB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(512)) + packer.flush()
    header = struct.pack(">IIBBBBB", EDGE, EDGE, 8, 2, 0, 0, 0)
    bomb = work.root / "bomb.png"
    chunks = [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks))
    assert bomb.stat().st_size < 2**20
    result = work.predict(weights, bomb, work.images[0])
    refused(result, f"{bomb}: damaged picture (outofmem)", status=1)
    assert len(result.top) == 3


def test_missing_weights_and_names_are_named(work: Workspace, weights: Path) -> None:
    refused(work.predict("none.weights"), "Couldn't open file: none.weights", status=1)
    (work.root / "names.list").unlink()
    refused(work.predict(weights), "names.list (No such file or directory)", status=1)


def test_an_image_without_class_is_named(work: Workspace) -> None:
    work.write("train.list", f"{work.images[0]}\n/elsewhere/x.png\n")
    refused(work.train(), "Too many or too few labels: /elsewhere/x.png must contain exactly one")


def test_a_directory_that_carries_a_label_does_not_poison(work: Workspace) -> None:
    poisoned = work.root / "c3" / "t_00000_c0.png"
    poisoned.parent.mkdir()
    draw_image(poisoned, 0)
    work.write("train.list", f"{poisoned}\n")
    assert work.train("-iterations", "1").status == 0


def test_weights_of_another_network_are_refused(work: Workspace, weights: Path) -> None:
    whole = weights.read_bytes()
    for changed in (whole[:-4], whole + b"\0", b"", whole[:HEADER_BYTES]):
        weights.write_bytes(changed)
        result = work.predict(weights, work.images[0], *partition(4, 10))
        refused(result, f"{weights}: ", status=1)
        assert result.top == []
    size = HEADER_BYTES + 4 * PARAMETERS
    assert f"the network needs {size} ({PARAMETERS} parameters)" in result.err


def test_a_partition_too_large_says_what_to_do(work: Workspace) -> None:
    """Issue 4, 6: refused before the TA allocates, with need, budget and what would fit."""
    result = work.train(*partition(0, 10), INPROCESS_TEE_HEAP="6000")
    refused(result, "darknetp: not enough secure memory for partition 0:10: it needs", status=1)
    need = re.search(
        r"needs (\d+) bytes of secure heap to compute 1 image at a time, "
        r"the application has 6000\n",
        result.err,
    )
    size = re.search(r"smaller partition, or .* a larger TA_DATA_SIZE: at least (\d+)", result.err)
    assert need and size
    assert int(size[1]) % 4096 == 0 and 0 <= int(size[1]) - int(need[1]) - 4096 < 4096
    ends = re.search(r"largest partition that fits and ends alike: (\d+):10", result.err)
    starts = re.search(r"largest partition that fits and starts alike: 0:(\d+)", result.err)
    assert ends and not starts
    assert "TEEC_InvokeCommand" not in result.err
    # The application told the truth about its memory: what is suggested works.
    flags = ["-iterations", "1", *partition(int(ends[1]), 10)]
    assert work.train(*flags, INPROCESS_TEE_HEAP="6000").status == 0
    flags = ["-iterations", "1", *partition(int(ends[1]) - 1, 10)]
    assert work.train(*flags, INPROCESS_TEE_HEAP="6000").status == 1
    assert work.train(*partition(0, 10), INPROCESS_TEE_HEAP=str(int(need[1]) - 1)).status == 1
    flags = ["-iterations", "1", *partition(0, 10)]
    assert work.train(*flags, INPROCESS_TEE_HEAP=need[1]).status == 0


def test_batch_normalisation_is_never_cut(work: Workspace) -> None:
    work.write("cfg/tiny.cfg", NET + LAYERS.replace("pad=1", "pad=1\nbatch_normalize=1"))
    whole = work.trained()
    assert work.trained(*partition(0, 10)) == whole
    result = work.train(*partition(0, 10), INPROCESS_TEE_HEAP="40000")
    refused(result, "not enough secure memory", status=1)
    assert "to compute 8 images at a time" in result.err
    assert "batch normalisation needs the whole batch" in result.err


@pytest.mark.parametrize(
    ("command", "tag"),
    [(1, "MAKE_NET"), (3, "SAVE_WEI"), (6, "train")],
)
def test_a_failing_command_ends_training(work: Workspace, command: int, tag: str) -> None:
    result = work.train(
        "-iterations", "1", *partition(4, 10), INPROCESS_TEE_FAIL=f"{command}=0xffff3024"
    )
    refused(result, f"TEEC_InvokeCommand({tag}) failed 0xffff3024 origin 0x4", status=1)
    assert "secure console says where" in result.err
    assert list(work.root.glob("deep/backup/*")) == []


@pytest.mark.parametrize(("command", "tag"), [(4, "forward"), (5, "backward"), (2, "TRANS_WEI")])
def test_a_failing_half_step_ends_training(
    work: Workspace, weights: Path, command: int, tag: str
) -> None:
    result = work.train(
        weights, "-iterations", "1", *partition(4, 8), INPROCESS_TEE_FAIL=f"{command}=0xffff0000"
    )
    refused(result, f"TEEC_InvokeCommand({tag}) failed 0xffff0000 origin 0x4", status=1)


@pytest.mark.parametrize(
    "setting", [{"INPROCESS_TEE_ABI": "77"}, {"INPROCESS_TEE_FAIL": "0=0xffff0006"}]
)
def test_worlds_of_different_versions_say_so(work: Workspace, setting: dict[str, str]) -> None:
    command = ["classifier", "train", str(work.data), str(work.cfg), "-iterations", "1"]
    result = work.run(*command, *partition(4, 10), **setting)
    refused(result, "of different versions: build and install both together", status=1)
    assert work.run(*command, **setting).status == 0


def test_a_backup_directory_that_cannot_be_made_is_told_first(work: Workspace) -> None:
    work.write("deep", "in the way")
    result = work.train()
    refused(result, "cannot make the backup directory", status=1)
    assert "Loaded:" not in result.out
