"""Tencent Cloud's resource types, for localcloud's API only."""
