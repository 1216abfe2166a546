"""Renders templates. An undefined variable is an error, never an empty string."""

from __future__ import annotations

import re
from functools import cache

import jinja2

from provisioning.errors import TemplateError


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("provisioning", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; values come from validated settings
    )
    environment.filters["regex_escape"] = re.escape
    environment.filters["word"] = quote_word
    return environment


def quote_word(text: str) -> str:
    """Quote one word of a unit file (systemd.syntax(7)). ${NAME} stays a reference to an environment variable."""
    plain = text and all(character.isalnum() or character in "_-./:=,@+${}" for character in text)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return text if plain else f'"{quoted}"'


def render(template: str, **values: object) -> str:
    """The text of `templates/<template>`. Raises TemplateError."""
    try:
        return _environment().get_template(template).render(values)
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"provisioning/templates/{template}" + (f":{line}" if line else "")
        raise TemplateError(f"{where}: the template cannot be rendered: {error}", look_at=where) from error
