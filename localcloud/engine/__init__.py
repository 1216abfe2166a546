"""Runs a Pulumi Python program where no `pulumi` command is to be had. For localcloud only.

The program runs unchanged in a child process and talks, through the Pulumi SDK, to the resource monitor
here. What it declares is compared with the state of the last run, and made so:

    monitor -> deployment (what to do) -> steps (do it, write the state) -> providers (dynamic, random, tls, tencent)
"""

from __future__ import annotations

import os

# gRPC logs each closed connection otherwise, in the middle of what the person reads.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
