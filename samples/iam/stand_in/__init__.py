"""iam-apiserver, iam-authz-server and iam-pump, with the behaviour that a deployment depends on.

Runs on Python 3.11 with Debian 12's pymysql, redis, bcrypt, yaml and jwt. Modules import each other relatively: in
the repository this is `samples.iam.stand_in`, in a release `lib/stand_in`.
"""

from __future__ import annotations

VERSION = "v1.0.0-stand-in"
