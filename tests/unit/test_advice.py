# SPDX-License-Identifier: MIT
"""The catalogue of symptoms: its rules, what it finds and leaves alone, the README made from it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from console_guest import joined, recorded

from tzkit.advice import (
    CATALOGUE,
    COMMANDS,
    CONSOLES,
    NO_ROOM,
    SHOWN,
    Entry,
    Place,
    advice_for,
    read_catalogue,
    troubleshooting_table,
)
from tzkit.errors import DISK_FULL, RequestError

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- advice: begin -->\n", "<!-- advice: end -->\n"
ENTRIES = read_catalogue(CATALOGUE).entry
EXAMPLES = [(entry, example) for entry in ENTRIES for example in entry.examples]


def found(text: str, *places: Place) -> list[str]:
    return [known.id for known in advice_for(text, *places)]


# ---- What is found ----


@pytest.mark.parametrize(("entry", "example"), EXAMPLES, ids=lambda given: getattr(given, "id", ""))
def test_example_is_found_in_all_its_places(entry: Entry, example: str) -> None:
    """First, also among the entries of other places that are looked up together with it."""
    for place in entry.places:
        together = COMMANDS if place in COMMANDS else CONSOLES
        assert found(f"before\n{example}\nafter\n", place)[:1] == [entry.id]
        assert found(f"before\n{example}\nafter\n", *together)[:1] == [entry.id]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_entry_is_not_found_elsewhere(entry: Entry) -> None:
    others = [place for place in (*COMMANDS, *CONSOLES) if place not in entry.places]
    for example in entry.examples:
        assert entry.id not in found(example, *others)


# Symptom: the entry that must know it. The names are those people search for.
NAMED = {
    "TEEC_Opensession failed with code 0xffff000c origin 0x3": "ta-too-large",
    "TEEC_Opensession failed with code 0xffff0008 origin 0x3": "ta-missing",
    "TEEC_Opensession failed with code 0xffff000f origin 0x3": "ta-signature",
    "TEEC_InvokeCommand(forward) failed 0xffff3024 origin 0x3": "ta-crashed",
    "TEEC_InvokeCommand(MAKE_NET) failed 0xffff000c origin 0x4": "ta-heap-full",
    "TEEC_InvokeCommand(backward) failed 0xffff0006 origin 0x4": "versions-differ",
    "E/TC:? 0 pgt_check:341 Page tables are not available": "page-tables",
    "[ 1.5] Initramfs unpacking failed: write error": "initramfs-unpacking",
    "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block": "no-root",
    "make: *** No rule to make target 'flash'.  Stop.": "no-flash-target",
    "mcopy: Disk full": "boot-partition-full",
    "/bin/sh: darknetp: not found": "darknetp-missing",
}


@pytest.mark.parametrize("line", NAMED)
def test_symptom_people_meet_is_known(line: str) -> None:
    assert found(line, *COMMANDS, *CONSOLES) == [NAMED[line]]


def test_specific_advice_makes_the_general_superfluous() -> None:
    lines = (
        "Initramfs unpacking failed: write error\n"
        "Kernel panic - not syncing: No working init found.\n"
    )
    assert found(lines, "boot") == ["initramfs-unpacking"]
    assert found(lines.splitlines()[1], "boot") == ["no-root"]


def test_few_are_told_the_most_specific_first() -> None:
    everything = "\n".join(example for _, example in reversed(EXAMPLES))
    ranks = [entry.id for entry in ENTRIES]
    for places in (COMMANDS, CONSOLES):
        told = [ranks.index(name) for name in found(everything, *places)]
        assert len(told) == SHOWN
        assert told == sorted(told)


@pytest.mark.parametrize("console", ["normal", "secure"])
def test_passing_xtest_shows_no_symptom(console: str) -> None:
    assert advice_for(joined(recorded(console)), *COMMANDS, *CONSOLES) == ()


def test_core_that_aborts_long_after_its_start_is_another_matter() -> None:
    start, abort = "I/TC: OP-TEE version: 4.5.0", "E/TC:0 0 Core data-abort at address 0x0"
    started = "I/TC: Primary CPU switching to normal world boot"
    assert found(f"{start}\n{abort}", "boot") == ["core-abort"]
    assert found(f"{start}\n{started}\n{abort}", "boot") == []


@pytest.mark.parametrize("end", ["\n", " "], ids=["lines", "one line"])
def test_long_log_costs_little(end: str) -> None:
    """Megabytes in less than a second where nothing else runs."""
    words = "  CC /src/out-br/build/edk2/BaseTools/x.o ../toolchains/aarch64/bin/aarch64-none-gcc"
    log = f"{words} TEEC_Opensession{end}" * 20000
    advice_for(log, *COMMANDS, *CONSOLES)
    began = time.monotonic()
    assert advice_for(log, *COMMANDS, *CONSOLES) == ()
    assert time.monotonic() - began < 5


def test_no_markdown_on_the_terminal() -> None:
    for entry in ENTRIES:
        assert not any("`" in line for line in entry.advice().lines())


def test_entries_that_code_names_are_there() -> None:
    assert {entry.id for entry in ENTRIES} >= NO_ROOM


def test_full_disk_is_told_alike_whoever_notices_it() -> None:
    (known,) = advice_for("No space left on device", *COMMANDS)
    assert DISK_FULL in known.cure


def test_full_disk_with_our_work_below_tmp_is_no_full_tmp() -> None:
    told = "cp: error writing '/build/out/a': No space left on device"
    assert found(told, *COMMANDS) == ["disk-full"]


# ---- The file ----

GOOD = """
[[entry]]
id = "one"
places = ["build"]
patterns = ['one (?:thing|two)']
examples = ["one thing"]
symptom = "a `symptom`"
cause = "a cause"
cure = "a cure"
threads = ["OP-TEE/build#1"]
covers = ["two"]

[[entry]]
id = "two"
places = ["fetch"]
patterns = ['another']
examples = ["another"]
symptom = "another"
cause = "a cause"
cure = "a cure"
"""

# rule: (text of the good file, what replaces it, what the message must hold)
BROKEN = {
    "not TOML": ('id = "one"', "id = ", "Invalid value"),
    "unknown key": ('id = "one"', 'id = "one"\nremedy = "x"', "entry.0.remedy: unknown key"),
    "missing key": ('cure = "a cure"\nthreads', "threads", "entry.0.cure: this key is missing"),
    "id with blanks": ('id = "one"', 'id = "One thing"', "entry.0.id: "),
    "unknown place": ('["build"]', '["attic"]', "entry.0.places.0: "),
    "no place": ('["build"]', "[]", "entry.0.places: "),
    "no pattern": ("['another']", "[]", "entry.1.patterns: "),
    "no example": ('["another"]', "[]", "entry.1.examples: "),
    "no regular expression": ("['another']", "['another(']", "another(: no regular expression"),
    "pattern without example": ("['another']", "['another', 'x']", "no example shows the pattern"),
    "example without pattern": ('["another"]', '["another", "x"]', "no pattern finds the example"),
    "bar in a cell": ('cause = "a cause"', 'cause = "a | b"', "entry.0.cause: "),
    "lines in a cell": ('cause = "a cause"', 'cause = "a\\nb"', "entry.0.cause: "),
    "empty cell": ('symptom = "another"', 'symptom = ""', "entry.1.symptom: "),
    "thread without owner": ("OP-TEE/build#1", "build#1", "entry.0.threads.0: "),
    "id twice": ('id = "two"', 'id = "one"', "one: the id of 2 entries"),
    "covers nothing": ('["two"]', '["three"]', "one: covers 'three', which no later entry is"),
    "covers itself": ('["two"]', '["one"]', "one: covers 'one', which no later entry is"),
}  # fmt: skip


def test_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    assert [entry.id for entry in read_catalogue(path).entry] == ["one", "two"]


@pytest.mark.parametrize("rule", BROKEN)
def test_broken_file_is_refused(rule: str, tmp_path: Path) -> None:
    old, new, expected = BROKEN[rule]
    assert old in GOOD
    path = tmp_path / "broken.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(RequestError) as refused:
        read_catalogue(path)
    assert expected in refused.value.message
    assert str(path) in refused.value.message


# ---- The README ----


def test_readme_is_made_from_the_catalogue() -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    shown, _, after = rest.partition(END)
    expected = f"\n{troubleshooting_table()}\n"
    if os.environ.get("TZKIT_REGENERATE"):
        README.write_text(f"{before}{BEGIN}{expected}{END}{after}")
        shown = expected
    assert shown == expected, "TZKIT_REGENERATE=1 ./inv test writes it anew"


def test_every_entry_of_the_readme_is_under_one_heading() -> None:
    table = troubleshooting_table()
    for entry in ENTRIES:
        row = f"| {entry.symptom} | {entry.cause} | {entry.cure} |"
        assert table.count(row) == int(entry.readme), entry.id
