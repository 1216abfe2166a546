"""Pulumi provider plugins for localcloud: tencentcloud, random and tls, where the real ones are not installed.

`plugins.py` writes the executables; `server.py` serves one provider; `adapter.py` is what every type has in common;
`tencentcloud/` and `state_only/` hold one table for each resource type.
"""
