"""A Tencent Cloud on one Linux host. Independent of Tandem."""
