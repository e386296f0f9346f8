# SPDX-License-Identifier: MIT
"""``repo init`` and ``repo sync`` of one release, and the record of what they brought.

Interrupted, both continue where they stopped when they are called again; a tree counts as fetched
only when a sync has ended well.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from tzkit.advice import no_room
from tzkit.errors import EnvironmentFailed, RequestError
from tzkit.job import Job, StageStep
from tzkit.parts import Part
from tzkit.process import Runner
from tzkit.upstream.host import check_disk
from tzkit.upstream.tree import Tree

MANIFESTS = "https://github.com/OP-TEE/manifest.git"
# Servers that drop connections do so less often when fewer are asked for at once.
JOBS = (4, 1)
PAUSE_SECONDS = 5.0
NOTE = "fetched"

NO_REPO = "the program 'repo', which fetches OP-TEE's tree, is not installed"
HOW_TO_GET_REPO = (
    "install the package 'repo' where the distribution has one; else put "
    "https://storage.googleapis.com/git-repo-downloads/repo into a folder of PATH and make it "
    "executable"
)
AGAIN = "run the same command again: it continues where it stopped"


def init_argv(tree: Tree, reference: Path | None) -> list[str]:
    """The command that chooses manifest and release."""
    argv = ["repo", "init", "-u", MANIFESTS, "-m", tree.manifest, "-b", tree.release]
    return [*argv, "--reference", str(reference)] if reference is not None else argv


def sync_argv(jobs: int) -> list[str]:
    """The command that fetches, or continues to."""
    return ["repo", "sync", f"-j{jobs}", "-c", "--no-clone-bundle"]


def check_reference(reference: Path | None) -> None:
    """Raises RequestError when the mirror is no folder with repositories of repo's."""
    if reference is None:
        return
    if not any((reference / name).is_dir() for name in (".repo", "OP-TEE")):
        raise RequestError(
            f"--reference {reference}: no mirror that repo has made",
            hint="give a folder that 'repo sync' filled with the same manifest",
        )


def fetch(job: Job, tree: Tree, reference: Path | None, stage: StageStep) -> tuple[Part, ...]:
    """The parts of the fetched tree; nothing is done when it was whole before.

    Call with the tree locked. Raises EnvironmentFailed with what to do.
    """
    note = tree.note(NOTE)
    if note is not None:
        stage.cached = True
        return tuple(Part(**part) for part in note["parts"])
    check_disk(tree.root)
    check_repo(tree)
    log = job.log("fetch")
    log.unlink(missing_ok=True)
    tree.root.mkdir(parents=True, exist_ok=True)
    stage.update("repo init")
    job.runner.run(
        init_argv(tree, reference),
        what=f"asking for OP-TEE {tree.release}",
        cwd=tree.root,
        log=log,
        hint=f"check the network, then {AGAIN}",
    )
    _sync(job.runner, tree, log, stage)
    parts = _parts(job.runner, tree)
    tree.write_note(NOTE, {"parts": [asdict(part) for part in parts]})
    return parts


def missing_repo() -> str | None:
    """That 'repo' is missing and how to get it, or None."""
    return None if shutil.which("repo") else f"{NO_REPO}: {HOW_TO_GET_REPO}"


def check_repo(tree: Tree) -> None:
    """Raises EnvironmentFailed when the tree is still to be fetched and ``repo`` is missing."""
    if tree.note(NOTE) is None and missing_repo() is not None:
        raise EnvironmentFailed(NO_REPO, hint=HOW_TO_GET_REPO)


def _sync(runner: Runner, tree: Tree, log: Path, stage: StageStep) -> None:
    """Sync, a second time with one connection when the first was cut short."""
    for attempt, jobs in enumerate(JOBS, 1):
        stage.update(f"repo sync, try {attempt}")
        try:
            runner.run(
                sync_argv(jobs),
                what=f"fetching OP-TEE {tree.release} ({tree.manifest})",
                cwd=tree.root,
                log=log,
                hint=f"check the network, or use --reference; then {AGAIN}",
            )
            return
        except EnvironmentFailed as error:
            if attempt == len(JOBS) or no_room(error.advice):
                raise
            time.sleep(PAUSE_SECONDS)


def _parts(runner: Runner, tree: Tree) -> tuple[Part, ...]:
    """Every git of the tree with its commit, as repo tells them."""
    text = runner.run(["repo", "manifest", "-r"], what="listing what was fetched", cwd=tree.root)
    try:
        return read_manifest(text)
    except (ElementTree.ParseError, KeyError) as error:
        raise EnvironmentFailed(
            f"'repo manifest -r' in {tree.root} says nothing that can be read ({error})",
            hint="remove the folder, then run the same command again",
        ) from error


def read_manifest(text: str) -> tuple[Part, ...]:
    """The projects of a manifest with revisions. Raises ParseError or KeyError."""
    root = ElementTree.fromstring(text)
    remotes = {remote.attrib["name"]: remote.attrib["fetch"] for remote in root.iter("remote")}
    default = next((one.attrib.get("remote", "") for one in root.iter("default")), "")
    return tuple(_part(project, remotes, default) for project in root.iter("project"))


def _part(project: ElementTree.Element, remotes: dict[str, str], default: str) -> Part:
    name = project.attrib["name"]
    place = project.attrib.get("path", name)
    origin = f"{remotes[project.attrib.get('remote', default)].rstrip('/')}/{name}"
    return Part(Path(place).name, project.attrib["revision"], None, origin, place)
