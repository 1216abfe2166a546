"""Tencent Cloud API 3.0 over HTTP: the request path, the servers, the admin application."""
