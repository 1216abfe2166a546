"""Resource types of tencentcloud_iac_pulumi, made with calls of the Tencent Cloud API: one file for each kind of thing.

Which calls, in which order, and what forces a replacement: as the real provider does it (shared facts, measured).
"""
