# SPDX-License-Identifier: MIT
"""tzkit: build, deploy and test neural networks inside Arm TrustZone."""

__version__ = "0.1.0"
