"""The resource types of Tencent Cloud, only for the API of localcloud."""
