"""Uniform resource names, exactly as Pulumi forms them.

`urn:pulumi:<stack>::<project>::<type of parent>$<type>::<name>`; the stack itself never counts as a parent type.
"""

from __future__ import annotations

STACK_TYPE = "pulumi:pulumi:Stack"


def make_urn(stack: str, project: str, parent: str, resource_type: str, name: str) -> str:
    qualified = resource_type
    if parent:
        parent_type = qualified_type(parent)
        if parent_type != STACK_TYPE:
            qualified = f"{parent_type}${resource_type}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def qualified_type(urn: str) -> str:
    return urn.split("::", 3)[2]


def type_of(urn: str) -> str:
    return qualified_type(urn).rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    return urn.split("::", 3)[3]


def package_of(resource_type: str) -> str:
    """`tencentcloud` of `tencentcloud:Vpc/instance:Instance`; also of `pulumi:providers:tencentcloud`."""
    if resource_type.startswith("pulumi:providers:"):
        return resource_type.rsplit(":", 1)[-1]
    return resource_type.split(":", 1)[0]
