"""A Tencent Cloud on one Linux machine. Knows nothing of Tandem."""
