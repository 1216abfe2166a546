"""Tencent Cloud API 3.0 over HTTP: the path of a request, the servers, the admin side."""
