# SPDX-License-Identifier: MIT
"""Applications of other people, in darknetz's shape: recognised, fetched, built.

``--app PATH|URL``. An application comes as a folder; :mod:`tzkit.foreign.shape` reads it,
:mod:`tzkit.foreign.build` makes of it what the payload takes, as :mod:`tzkit.build.application`
does of our own.
"""

OWN = "own"  # what --app calls the application of this project
