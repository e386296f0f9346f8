# SPDX-License-Identifier: MIT
"""Parts: what a board is made of, fetched and verified. Second stage of the pipeline."""

from tzkit.parts.part import Part

__all__ = ["Part"]
