"""The shipped workflows: written from one description, valid, complete, and runnable on mini."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from figura import workflows
from figura.headless.graph import input_specs, load_graph, validate
from figura.headless.native_nodes import SD15_CHECKPOINT, is_native
from figura.headless.runner import NodeError, Runner, all_node_classes
from figura.headless.settings import apply_setting
from figura.host import use_host
from figura.host.images import SHIPPED_IMAGES
from figura.host.plain import PlainHost
from figura.models import store
from figura.nodes import NODE_CLASS_MAPPINGS
from figura.people.boxes import Box
from figura.people.keypoints import BODY_18
from figura.people.points_json import read_points_text
from figura.people.prompt_kinds import BOXES, PROMPT_KINDS
from figura.people.synthetic import render_people
from figura.workflows import hand_scene, phac, photo, prompts, scene
from figura.workflows.flow import Flow, has_seed_control, is_widget
from figura.workflows.forms import api_form, node_title, ui_form
from figura.workflows.scene import HEIGHT, IMAGE, IMAGE_NAME, WIDTH
from figura.workflows.thumbnails import DRAWN, SHOWN, thumbnail
from PIL import Image

FOLDER = Path(workflows.__file__).parent
FLOWS = {flow.name: flow for flow in workflows.all_flows()}
HAND_STAGES = ("skeleton", "close_up", "mask", "canvas", "known_mask", "person")
DEMO_STAGES = ("prompt", "visible_mask", "coarse", "invisible_mask", "composite", "refined")

SAVED = {
    "hands_two_stage": {f"hands_{stage}" for stage in HAND_STAGES},
    "humansd_pose": {"humansd_skeleton", "humansd_person"},
    "humansd_multi_person": {"humansd_skeletons", "humansd_people"},
    "cfld_repose": {f"cfld_{what}" for what in ("source", "pose", "person", "truth")},
    "cfld_interpolate": {f"cfld_{what}" for what in ("first", "second", "mix_25", "mix_50", "mix_75")},
    "cfld_edit": {f"cfld_{what}" for what in ("reference", "edit_source", "edit_mask", "edited")},
    "pocold_repose": {f"pocold_{what}" for what in ("source", "labels", "attention", "person", "truth")},
    "pocold_pose_only": {"pocold_pose_labels", "pocold_somebody"},
    "pocold_appearance_transfer": {
        f"pocold_{what}"
        for what in ("clothes", "reference", "reference_labels", "mask", "dressed", "dressed_attention")
    },
}
"""Workflows that save something else than the stages of PHAC."""

KINDS = ("sam", "phac", "refiner", "pose_detector")
INCOMPLETE = "weights/mini is not complete: figura train writes it"


def is_complete(*kinds: str) -> bool:
    return all(path.is_file() for kind in kinds for path in store.mini_files(kind))


needs_mini = pytest.mark.skipif(not is_complete(*KINDS), reason=INCOMPLETE)
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=list(FLOWS))


def run(name: str, output: Path, *settings: str) -> dict[str, np.ndarray]:
    """The saved pictures of a shipped workflow by file stem without its number."""
    graph = load_graph(FOLDER / "api" / f"{name}.json")
    for setting in settings:
        apply_setting(graph, setting, all_node_classes())
    files = Runner(PlainHost(IMAGE.parent, output, device="cpu")).run(graph).files
    saved = [path for path in files if path.is_relative_to(output)]
    return {re.sub(r"_\d{5}_$", "", path.stem): np.asarray(Image.open(path)) for path in saved}


@every_flow
def test_files_are_what_the_description_says(flow):
    for path, text in workflows.files_of(flow).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m figura.workflows"


def test_there_are_no_other_workflow_files():
    written = {path for flow in FLOWS.values() for path in workflows.files_of(flow)}
    assert set(FOLDER.rglob("*.json")) == written


def test_there_is_a_workflow_and_a_thumbnail_for_every_kind_of_prompt():
    kinds = {
        node.values["prompt_type"]
        for flow in FLOWS.values()
        for node in flow.nodes
        if node.class_type == "FiguraPointPrompt"
    }
    assert kinds == set(PROMPT_KINDS)
    assert set(SHOWN) | set(DRAWN) == set(FLOWS)
    for name, titles in SHOWN.items():
        there = {node_title(node) for node in FLOWS[name].nodes}
        assert set(titles) <= there


@every_flow
def test_prompts_can_be_read(flow):
    for node in flow.nodes:
        if node.class_type == "FiguraPointPrompt":
            said = read_points_text(node.values["points"])
            for word in BOXES:
                wanted = PROMPT_KINDS[node.values["prompt_type"]].boxes
                assert (getattr(said, word) is not None) == (word in wanted)


@every_flow
def test_the_api_form_is_valid(flow):
    with use_host(PlainHost(IMAGE.parent)):
        assert validate(api_form(flow), all_node_classes())


@every_flow
def test_both_forms_hold_every_node(flow):
    api, page = api_form(flow), ui_form(flow)
    assert len(api) == len(flow.nodes) > 4
    assert len(page["nodes"]) == len(flow.nodes) + len(flow.notes)
    assert {node["type"] for node in page["nodes"]} >= {node["class_type"] for node in api.values()}


@every_flow
def test_ui_links_and_fields_say_the_same_as_the_api_form(flow):
    ui, api = ui_form(flow), api_form(flow)
    links = {link[0]: link for link in ui["links"]}
    for node in ui["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        inputs = api[str(node["id"])]["inputs"]
        linked = {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot["link"]}
        assert {n: [str(link[1]), link[2]] for n, link in linked.items()} == {
            name: value for name, value in inputs.items() if isinstance(value, list)
        }
        for name, link in linked.items():
            assert node["inputs"][link[4]]["name"] == name and link[3] == node["id"]
        assert fields_of(node) | dict.fromkeys(linked) == {
            name: None if name in linked else value for name, value in inputs.items()
        }


def fields_of(node: dict) -> dict:
    """Input name -> value of a UI node, read as the page reads it."""
    values = iter(node["widgets_values"])
    fields = {}
    for name, spec in input_specs(all_node_classes()[node["type"]]).items():
        if is_widget(spec):
            fields[name] = next(values)
            if has_seed_control(spec):
                assert next(values) == "fixed"
            if spec.options.get("image_upload"):
                assert next(values) == "image"
    assert not list(values)
    return fields


@every_flow
def test_outputs_name_the_links_that_start_there(flow):
    ui = ui_form(flow)
    for node in ui["nodes"]:
        for slot, output in enumerate(node["outputs"]):
            starting = [link[0] for link in ui["links"] if link[1:3] == [node["id"], slot]]
            assert (output["links"] or []) == starting


@every_flow
def test_nothing_overlaps_and_every_group_frames_its_nodes(flow):
    ui = ui_form(flow)
    boxes = [(*node["pos"], *node["size"]) for node in ui["nodes"]]
    for index, first in enumerate(boxes):
        assert not any(overlap(first, second) for second in boxes[index + 1 :])
    frames = [group["bounding"] for group in ui["groups"]]
    for box in boxes[: -len(flow.notes)]:
        assert sum(overlap(box, frame) for frame in frames) == 1


def overlap(first, second) -> bool:
    return all(
        first[axis] < second[axis] + second[axis + 2] and second[axis] < first[axis] + first[axis + 2]
        for axis in (0, 1)
    )


def test_every_node_is_used_by_a_workflow():
    used = {node.class_type for flow in FLOWS.values() for node in flow.nodes}
    assert set(NODE_CLASS_MAPPINGS) <= used


@every_flow
def test_every_workflow_has_a_note_and_groups(flow):
    assert flow.notes and len(flow.groups) > 2


def test_a_wrong_description_is_refused():
    flow = Flow("wrong", all_node_classes())
    with flow.group("a", "#fff"):
        mask = flow.add("SolidMask")
        with pytest.raises(ValueError, match="there is no node Nobody"):
            flow.add("Nobody")
        with pytest.raises(ValueError, match="no input 'image'"):
            flow.add("PreviewImage", image=mask["MASK"])
        with pytest.raises(ValueError, match="images takes IMAGE, not MASK"):
            flow.add("PreviewImage", images=mask["MASK"])
        with pytest.raises(ValueError, match="nothing is connected to images"):
            flow.add("PreviewImage")
        with pytest.raises(KeyError, match="it has MASK"):
            mask["IMAGE"]


def test_the_example_picture_is_the_size_its_points_are_for():
    with Image.open(IMAGE) as image:
        assert image.size == (WIDTH, HEIGHT)
    points = json.loads(api_form(FLOWS["phac_photo"])["2"]["inputs"]["points"])
    assert (points["width"], points["height"]) == (WIDTH, HEIGHT)


def test_points_and_boxes_fit_the_person_they_are_for():
    example = render_people([phac.EXAMPLE_SEED], phac.MINI_SIZE, occlusion=phac.EXAMPLE_HIDDEN)
    beside = render_people([scene.SEED], scene.WIDTH, occlusion=scene.HIDDEN_SHARE)
    for people, given, seen in (
        (example, phac.EXAMPLE_JOINTS, {}),
        (beside, phac.SCENE_GIVEN, phac.SCENE_SEEN),
    ):
        truth = people.joints[0, :, :2].numpy()
        for name, place in {**given, **seen}.items():
            assert np.abs(truth[BODY_18.index(name)] - place).max() <= 1.5, name
            assert bool(people.joint_visible[0, BODY_18.index(name)]) == (name in seen), name
    for name, mask in (("roi_box", example.invisible_mask), ("full_box", example.amodal_mask)):
        box = Box(*prompts.EXAMPLE_BOXES[name])
        exact = Box.around_mask(mask[0, 0])
        assert box.union(exact) == box
        assert np.abs(np.subtract(box, exact)).max() <= 6


def test_the_pictures_that_workflows_start_from_are_shipped():
    shipped = {path.name for path in SHIPPED_IMAGES.glob("*.png")}
    assert shipped == {IMAGE_NAME, hand_scene.IMAGE_NAME, photo.IMAGE_NAME}


def test_the_scene_is_drawn_again_as_shipped():
    from figura.workflows.scene import scene

    shipped = np.asarray(Image.open(IMAGE), dtype=np.float32) / 255
    drawn = scene()[0].permute(1, 2, 0).numpy()
    assert np.abs(shipped - drawn).mean() < 1 / 255


def test_the_hand_on_grey_is_transparent_where_it_is_to_be_drawn():
    with Image.open(hand_scene.IMAGE) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (hand_scene.SIZE, hand_scene.SIZE, 4)
    free = pixels[..., 3] == 0
    assert 0.9 < free.mean() < 0.99 and (np.abs(pixels[free][:, :3].astype(int) - 128) <= 1).all()


def test_a_thumbnail_of_what_only_comfyui_runs_is_drawn():
    image = np.asarray(thumbnail(FLOWS["mask_expansion_native"]).convert("L"))
    kept = [(panel > 60).mean() for panel in np.array_split(image, 3, axis=1)]
    assert kept[0] > kept[1] > kept[2] > 0


def test_a_missing_checkpoint_is_offered_by_the_page():
    (loader,) = [
        node
        for node in ui_form(FLOWS["mask_expansion_native"])["nodes"]
        if node["type"] == "CheckpointLoaderSimple"
    ]
    (offered,) = loader["properties"]["models"]
    assert offered["name"] == SD15_CHECKPOINT == loader["widgets_values"][0]
    assert offered["url"].startswith("https://huggingface.co/") and offered["url"].endswith(SD15_CHECKPOINT)
    assert offered["directory"] == "checkpoints"


def test_what_only_comfyui_runs_says_so_when_run_headlessly(tmp_path):
    with pytest.raises(NodeError, match="CheckpointLoaderSimple is a node of ComfyUI .*--server"):
        run("mask_expansion_native", tmp_path)


@needs_mini
@pytest.mark.parametrize("name", list(FLOWS))
def test_runs_headlessly_with_few_steps(name, tmp_path):
    if name in SAVED and not is_complete(name.partition("_")[0]):
        pytest.skip(INCOMPLETE)
    if any(is_native(node.class_type) for node in FLOWS[name].nodes):
        pytest.skip("has nodes that only ComfyUI can run; tests/comfyui runs it there")
    samplers = [node.title or node.class_type for node in FLOWS[name].nodes if "steps" in node.values]
    images = run(name, tmp_path, *(f"{sampler}.steps=2" for sampler in samplers))
    if name in SAVED:
        assert set(images) == SAVED[name]
        return
    if name not in ("phac_pose", "phac_photo"):
        assert {"prompt", f"{name.removeprefix('phac_')}_refined"} <= set(images)
        return
    prefix = "photo_" if name == "phac_photo" else ""
    assert {prefix + stage for stage in DEMO_STAGES} <= set(images)


@needs_mini
@pytest.mark.slow
def test_phac_pose_as_shipped_changes_only_what_was_hidden(tmp_path):
    images = run("phac_pose", tmp_path)
    changed = (images["refined"] != images["occluded"]).any(-1)
    allowed = images["invisible_mask"][..., 0] > 127
    assert changed.any() and not (changed & ~allowed).any()


@needs_mini
@pytest.mark.slow
def test_phac_photo_as_shipped_keeps_the_photo_outside(tmp_path):
    images = run("phac_photo", tmp_path)
    photo = np.asarray(Image.open(IMAGE))
    changed = (images["photo_refined"] != photo).any(-1)
    assert images["photo_refined"].shape == photo.shape
    assert 0 < changed.mean() < 0.15
