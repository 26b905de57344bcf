"""A workflow's UI form, read as ComfyUI's page reads it."""

from __future__ import annotations

from figura.headless.graph import input_specs
from figura.headless.runner import all_node_classes
from figura.workflows.flow import has_seed_control, is_widget
from figura.workflows.subgraphs import SUBGRAPHS

PARTS = [describe(all_node_classes()) for describe in SUBGRAPHS]


def definitions(page: dict) -> dict[str, dict]:
    """The subgraphs of a UI form by their ids."""
    return {part["id"]: part for part in page.get("definitions", {}).get("subgraphs", [])}


def flattened(page: dict) -> dict[str, dict]:
    """Node number -> inputs of a UI form, subgraphs taken apart: links as [number, slot], and fields."""
    parts, found = definitions(page), {}
    places = {node["id"]: node for node in page["nodes"]}
    links = {link[0]: link for link in page["links"]}

    def source(link: list | tuple) -> list:
        node = places[link[1]]
        if node["type"] not in parts:
            return [str(link[1]), link[2]]
        (inner,) = (
            each for each in parts[node["type"]]["links"]
            if each["target_id"] == -20 and each["target_slot"] == link[2]
        )  # fmt: skip
        return [f"{link[1]}:{inner['origin_id']}", inner["origin_slot"]]

    for node in page["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        given = {slot["name"]: source(links[slot["link"]]) for slot in node["inputs"] if slot["link"]}
        given = fields_of(node) | given
        if node["type"] in parts:
            found |= _inside(parts[node["type"]], node["id"], given)
        else:
            found[str(node["id"])] = given
    return found


def _inside(part: dict, number: int, given: dict) -> dict[str, dict]:
    """The same of a subgraph's definition that stands as node `number`, given its inputs."""
    names = [slot["name"] for slot in part["inputs"]]
    links = {link["id"]: link for link in part["links"]}
    for index, slot in enumerate(part["inputs"]):
        starting = [
            link["id"] for link in part["links"] if (link["origin_id"], link["origin_slot"]) == (-10, index)
        ]
        assert slot["linkIds"] == starting
    found = {}
    for node in part["nodes"]:
        values = fields_of(node)
        for slot in node["inputs"]:
            link = links.get(slot["link"])
            if link is not None and link["origin_id"] == -10:
                values[slot["name"]] = given.get(names[link["origin_slot"]])
            elif link is not None:
                values[slot["name"]] = [f"{number}:{link['origin_id']}", link["origin_slot"]]
        found[f"{number}:{node['id']}"] = {name: value for name, value in values.items() if value is not None}
    return found


def fields_of(node: dict) -> dict:
    """Input name -> value of a UI node, read as the page reads it."""
    values = iter(node["widgets_values"])
    classes = all_node_classes() | {part.id: part for part in PARTS}
    fields = {}
    for name, spec in input_specs(classes[node["type"]]).items():
        if is_widget(spec):
            fields[name] = next(values)
            if has_seed_control(spec):
                assert next(values) == "fixed"
            if spec.options.get("image_upload"):
                assert next(values) == "image"
    assert not list(values)
    return fields
