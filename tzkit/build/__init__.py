# SPDX-License-Identifier: MIT
"""Artifacts and images: firmware, trusted application, host program, base system, payload.

Third and fourth stage of the pipeline. Every module offers one function that returns the store
entry for its inputs, and the pure function that says which command makes it.
"""
