"""Runs API-format graphs without ComfyUI: our nodes and the stock nodes of stock_nodes.py.

The whole graph is validated before anything runs. One Runner keeps the outputs of every node, so that a
second run computes only what changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import traceback
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..host import Cancelled, use_host
from ..host.plain import PlainHost
from ..models.diffusion.placement import ran_out
from ..models.sentences import message_of
from .graph import (
    Classes,
    Graph,
    GraphError,
    Problem,
    accepted_names,
    check_shape,
    constant_inputs,
    input_specs,
    is_link,
    validate,
)
from .jobs import without_folders
from .native_nodes import NATIVE_NODES, NeedsComfyUI, needs_comfyui
from .shown import shown_files

log = logging.getLogger(__name__)

RAN_OUT = "memory ran out"
"""Beginning of the errors that say what helps then."""


class NodeError(RuntimeError):
    """A node failed while running: node_id, class_type and, where one input is to blame, input_name.

    ran_out: there was no memory left for it.
    """

    def __init__(self, node_id: str, class_type: str, error: BaseException, input_name: str = "") -> None:
        self.node_id, self.class_type, self.input_name = node_id, class_type, input_name
        self.ran_out = ran_out(error)
        message = _said_of_memory(error) if self.ran_out else message_of(error)
        place = f"node {node_id} ({class_type})" + (f", input {input_name!r}" if input_name else "")
        super().__init__(f"{place}: {message}")


@dataclass
class RunResult:
    """What one run gave.

    outputs: node id -> output tuple; ui: node id -> what it shows; files: those saved in the output folder.
    """

    outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    ui: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class _Kept:
    signature: str
    outputs: tuple[Any, ...]
    ui: dict[str, Any]


def all_node_classes() -> dict[str, type]:
    """The stock nodes, those among them that are only declared here, and the pack's own."""
    from ..nodes import NODE_CLASS_MAPPINGS
    from .stock_nodes import STOCK_NODES

    return {**STOCK_NODES, **NATIVE_NODES, **NODE_CLASS_MAPPINGS}


class Runner:
    """Runs graphs on one PlainHost and remembers unchanged nodes between runs."""

    def __init__(self, host: PlainHost | None = None, classes: Classes | None = None) -> None:
        self.host = host or PlainHost()
        self.classes = dict(classes) if classes is not None else all_node_classes()
        self._kept: dict[str, _Kept] = {}
        self._instances: dict[str, Any] = {}

    def cancel(self) -> None:
        """Stop the current run at its next step; may be called from another thread."""
        self.host.cancel()

    def run(self, graph: Mapping[str, Any], extra_pnginfo: Mapping[str, Any] | None = None) -> RunResult:
        """Validate and run. Raises GraphError before, NodeError during the run, Cancelled when stopped.

        After a NodeError that says that memory ran out, nothing is kept of what nodes gave.
        """
        try:
            return self._run(graph, extra_pnginfo)
        except NodeError as error:
            if error.ran_out:
                self._free_memory(error)
            raise

    def _run(self, graph: Mapping[str, Any], extra_pnginfo: Mapping[str, Any] | None) -> RunResult:
        prompt = check_shape(graph)
        original = without_folders(json.loads(json.dumps(prompt)))
        self.host.resume()
        with use_host(self.host), torch.inference_mode():
            order = validate(prompt, self.classes)
            self._refuse_declared(prompt, order)
            self._forget_nodes_not_in(prompt)
            result = RunResult()
            signatures: dict[str, str] = {}
            for node_id in order:
                self.host.check_cancelled()
                signatures[node_id] = self._signature(prompt, node_id, signatures)
                hidden = {"PROMPT": original, "UNIQUE_ID": node_id, "EXTRA_PNGINFO": extra_pnginfo}
                self._run_or_reuse(prompt, node_id, signatures[node_id], hidden, result)
        return result

    def _refuse_declared(self, prompt: Graph, order: Sequence[str]) -> None:
        """GraphError that names the nodes which only ComfyUI can run, before any other has run."""
        lacking = [key for key in order if issubclass(self.classes[prompt[key]["class_type"]], NeedsComfyUI)]
        if lacking:
            raise GraphError(
                [Problem(key, prompt[key]["class_type"], "", needs_comfyui()) for key in lacking]
            )

    def drop_shown(self) -> None:
        """Remove the files of what nodes only showed; those nodes run again in the next run."""
        self.forget([key for key, kept in self._kept.items() if shown_files(kept.ui, "temp")])
        for path in self.host.temp_dir().iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):  # one that somebody reads goes with the folder
                    path.unlink()

    def forget(self, node_ids: Iterable[str]) -> None:
        """Have these nodes run again in the next run, whether their inputs change or not."""
        for node_id in node_ids:
            self._kept.pop(node_id, None)

    def _free_memory(self, error: NodeError) -> None:
        """Let go of what nodes gave, and of what the frames of a failed run still hold."""
        self._kept.clear()
        failed: BaseException | None = error
        while failed is not None:
            traceback.clear_frames(failed.__traceback__)
            failed = failed.__cause__ or failed.__context__
        torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()

    def _run_or_reuse(
        self, prompt: Graph, node_id: str, signature: str, hidden: Mapping[str, Any], result: RunResult
    ) -> None:
        kept = self._kept.get(node_id)
        if kept is not None and kept.signature == signature:
            result.cached.append(node_id)
        else:
            self._kept.pop(node_id, None)
            log.info("node %s (%s)", node_id, prompt[node_id]["class_type"])
            kept = self._execute(prompt, node_id, signature, hidden)
            self._kept[node_id] = kept
            result.executed.append(node_id)
        result.outputs[node_id] = kept.outputs
        if kept.ui:
            result.ui[node_id] = kept.ui
            result.files += self._files(kept.ui)

    def _execute(self, prompt: Graph, node_id: str, signature: str, hidden: Mapping[str, Any]) -> _Kept:
        node = prompt[node_id]
        instance = self._instance(node_id, node["class_type"])
        arguments = self._arguments(node, type(instance), hidden)
        try:
            answer = getattr(instance, type(instance).FUNCTION)(**arguments)
        except Cancelled:
            raise
        except Exception as error:
            raise NodeError(node_id, node["class_type"], error, _blamed_input(error, arguments)) from error
        return _Kept(signature, *_unpack(answer))

    def _arguments(
        self, node: Mapping[str, Any], node_class: Any, hidden: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Constants and linked outputs of the declared inputs, and the hidden ones the class asks for."""
        declared = input_specs(node_class)
        given = {name: value for name, value in node["inputs"].items() if name in declared}
        values = {
            name: self._kept[str(value[0])].outputs[value[1]] if is_link(value) else value
            for name, value in given.items()
        }
        wanted = node_class.INPUT_TYPES().get("hidden", {})
        return values | {name: hidden.get(_hidden_type(declared)) for name, declared in wanted.items()}

    def _instance(self, node_id: str, class_type: str) -> Any:
        """The node's object, which lives as long as its id is in the graphs, as in ComfyUI."""
        node_class = self.classes[class_type]
        if type(self._instances.get(node_id)) is not node_class:
            self._instances[node_id] = node_class()
        return self._instances[node_id]

    def _signature(self, prompt: Graph, node_id: str, signatures: Mapping[str, str]) -> str:
        """A digest that is equal for two runs exactly when the node would compute the same again."""
        node = prompt[node_id]
        node_class = self.classes[node["class_type"]]
        declared = input_specs(node_class)
        inputs = [
            (name, (signatures[str(value[0])], value[1]) if is_link(value) else value)
            for name, value in sorted(node["inputs"].items())
            if name in declared
        ]
        content = repr((node["class_type"], _is_changed(node, node_class), inputs))
        return hashlib.sha256(content.encode()).hexdigest()

    def _forget_nodes_not_in(self, prompt: Graph) -> None:
        for store in (self._kept, self._instances):
            for node_id in [key for key in store if key not in prompt]:
                del store[node_id]

    def _files(self, ui: Mapping[str, Any]) -> list[Path]:
        saved = shown_files(ui, "output")
        return [self.host.output_dir() / file.get("subfolder", "") / file["filename"] for file in saved]


def _is_changed(node: Mapping[str, Any], node_class: Any) -> Any:
    """What IS_CHANGED says of the constants; NaN or an exception means: always run again, as in ComfyUI."""
    ask = getattr(node_class, "IS_CHANGED", None)
    if ask is None:
        return False
    names = accepted_names(ask)
    constants = constant_inputs(node, node_class)
    given = (
        constants if names is None else {name: value for name, value in constants.items() if name in names}
    )
    try:
        answer = ask(**given)
    except Exception as error:
        log.warning("IS_CHANGED of %s failed (%s): the node runs again", node["class_type"], error)
        return uuid.uuid4()
    return uuid.uuid4() if answer != answer else answer


def _hidden_type(declared: Any) -> str:
    return declared if isinstance(declared, str) else str(declared[0])


def _said_of_memory(error: BaseException) -> str:
    """What helps when memory ran out, where the node does not say it."""
    said = (str(error) or type(error).__name__).splitlines()[0]
    if said.startswith(RAN_OUT):
        return said
    elsewhere = ", or give --device cpu" if isinstance(error, torch.OutOfMemoryError) else ""
    remedy = f"take a smaller picture or fewer at a time, close other programs{elsewhere}"
    return f"{RAN_OUT}: {remedy} ({said[:200]})"


def _unpack(answer: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A node's return value as (outputs, ui)."""
    if isinstance(answer, dict):
        return tuple(answer.get("result", ())), answer.get("ui", {})
    return tuple(answer or ()), {}


def _blamed_input(error: BaseException, arguments: Mapping[str, Any]) -> str:
    """The one input whose name stands in quotes in the error's text."""
    named = [name for name in arguments if f"'{name}'" in str(error) or f'"{name}"' in str(error)]
    return named[0] if len(named) == 1 else ""


__all__ = ["GraphError", "NodeError", "RunResult", "Runner", "all_node_classes"]
