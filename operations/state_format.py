"""Names in the state and the event log of Pulumi's engine."""

from __future__ import annotations

STACK = "pulumi:pulumi:Stack"
# Mark an object as a secret (Pulumi's resource.SigKey and resource.SecretSig). Assets have the first mark, too.
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
