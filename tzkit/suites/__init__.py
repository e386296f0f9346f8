# SPDX-License-Identifier: MIT
"""The suites: what is asked of a booted target, and how its answers are judged.

Role in the pipeline: a session gives a shell, a suite turns it into a checked result, the report
shows it. Each suite has a runner, which talks to the target, and a judge, which is a pure function
of what was said. A judge passes only what it has positive evidence for: nothing is called good
because nothing bad was seen.
"""

from typing import Literal

Verdict = Literal["pass", "fail", "error"]
