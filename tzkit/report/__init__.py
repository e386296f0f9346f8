# SPDX-License-Identifier: MIT
"""The record of a whole run and its views: ``report.json``, ``junit.xml``, the terminal's table.

Last stage of the pipeline. Every view is a pure function of one immutable :class:`RunRecord`.
"""

from pathlib import Path

from tzkit.report.document import ReportDocument, document
from tzkit.report.junit import junit
from tzkit.report.record import SUITES, Boot, Outcome, RunRecord, Suite
from tzkit.report.table import table
from tzkit.store import write_whole

REPORT, JUNIT = "report.json", "junit.xml"

__all__ = [
    "SUITES",
    "Boot",
    "Outcome",
    "ReportDocument",
    "RunRecord",
    "Suite",
    "document",
    "junit",
    "table",
    "write",
]


def write(record: RunRecord, folder: Path) -> None:
    """Write ``report.json`` and ``junit.xml`` into ``folder``, each whole or not at all."""
    write_whole(folder / REPORT, document(record).model_dump_json(indent=1) + "\n")
    write_whole(folder / JUNIT, junit(record))
