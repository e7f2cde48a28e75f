"""YAML of plain data: no tags, no aliases; what is wrong is said in one line with its place."""

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from resnetkit.errors import UserError


class _Plain(yaml.SafeLoader):
    """Refuses aliases, a few of which stand for more data than memory holds, and keys twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            problem = f"the alias *{event.anchor}: write the value out"
            raise ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value} stands there twice"
                    raise ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str, where: str) -> Any:
    """Dicts, lists, strings, numbers from YAML text.

    Raises:
        UserError: it is no YAML, or holds tags or aliases; `where` it lies, and the line.
    """
    try:
        return yaml.load(text, _Plain)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{where}{line}: not plain YAML: {error.problem:.200}") from None
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        raise UserError(f"{where}: not plain YAML: {error!s:.200}") from None


def yaml_line(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(
        value,
        default_flow_style=True,
        allow_unicode=str(value).isprintable(),
        width=float("inf"),
    )
    return text.removesuffix("...\n").rstrip("\n")
