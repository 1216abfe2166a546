"""Tencent Cloud API 3.0 over HTTP: signatures, dispatch, parameters, errors, throttling, faults."""
