"""What a ComfyUI server says: its refusals and the events of its websocket, which may make no sense."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from ..models.sentences import shown
from .graph import Graph, Problem

log = logging.getLogger(__name__)


def refusal(answer: Mapping[str, Any], graph: Graph) -> list[Problem] | str:
    """What a server said against a graph, as problems with node and input where it named them."""
    problems = [
        Problem(
            str(node_id),
            str(node.get("class_type", class_of(graph, str(node_id)))),
            str((error.get("extra_info") or {}).get("input_name", "")),
            f"{error.get('message', '')}: {error.get('details', '')}".strip(": "),
        )
        for node_id, node in (answer.get("node_errors") or {}).items()
        for error in node.get("errors", [])
    ]
    error = answer.get("error", answer)
    text = (
        f"{error.get('message', '')} {error.get('details', '')}".strip()
        if isinstance(error, dict)
        else str(error)
    )
    return problems or f"the server refused the graph: {text}"


def event_of(text: Any) -> dict[str, Any]:
    """What a message of the websocket says; nothing for a preview, and for what is no JSON object."""
    if not isinstance(text, str):
        return {}
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict):
        return event
    log.debug("passed over an event that is no JSON object: %s", shown(text))
    return {}


def steps_of(data: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many steps are done, and of how many; None where that is not said."""
    try:
        return int(data["value"]), int(data["max"])
    except (KeyError, TypeError, ValueError, OverflowError):
        log.debug("passed over progress without numbers: %s", shown(str(data)))
        return None


def is_of(event: Mapping[str, Any], prompt_id: str) -> bool:
    """Whether an event of the websocket speaks of that run."""
    data = event.get("data")
    return isinstance(data, dict) and data.get("prompt_id") == prompt_id


def class_of(graph: Graph, node_id: str) -> str:
    return str(graph.get(node_id, {}).get("class_type", "?"))
