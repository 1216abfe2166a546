"""A load on a deployed group for tests: operations/drill/requests.py sends it and operations/drill/result.py counts.

`iam.py` has the requests of an administrator of the IAM services, `__main__.py` runs on the client's side, and
`result.py` starts it from a test.
"""
