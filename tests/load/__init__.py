"""An open-loop load on a deployed group: each request leaves at its time, whether or not earlier ones were answered.

`requests.py` sends requests and records them, `iam.py` has the requests of the IAM services, `__main__.py` runs on the
client's side, and `result.py` reads what was recorded.
"""
