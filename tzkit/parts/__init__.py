# SPDX-License-Identifier: MIT
"""Parts: what a board is made of, fetched and verified. Second stage of the pipeline."""
