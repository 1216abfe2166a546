"""Pulumi provider plugins for localcloud that replace tencentcloud, random and tls if they are not installed.

`plugins.py` writes the executables; `server.py` serves one provider; `adapter.py` implements Pulumi's provider API;
`tencentcloud/` and `state_only/` have one table for each resource type.
"""
