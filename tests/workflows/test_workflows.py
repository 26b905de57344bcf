"""The shipped workflows: written from one description, valid, complete, and runnable on mini."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from figura import workflows
from figura.headless.graph import GraphError, load_graph, validate
from figura.headless.native_nodes import SD15_CHECKPOINT, is_native
from figura.headless.runner import Runner, all_node_classes
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
from figura.tests.workflows.page_form import definitions, flattened
from figura.workflows import hand_scene, phac, photo, prompts, scene
from figura.workflows.files import BLUEPRINTS, blueprints
from figura.workflows.flow import Flow, Subgraph
from figura.workflows.forms import api_form, node_title, ui_form
from figura.workflows.layout import LEAST_ZOOM, opening_zoom
from figura.workflows.scene import HEIGHT, IMAGE, IMAGE_NAME, WIDTH
from figura.workflows.thumbnails import DRAWN, SHOWN, shown_pictures, square
from PIL import Image

FOLDER = Path(workflows.__file__).parent
FLOWS = {flow.name: flow for flow in workflows.all_flows()}

SAVED = {
    "phac_pose": {"refined"},
    "phac_photo": {"photo_refined"},
    "hands_two_stage": {"hands_person"},
    "humansd_pose": {"humansd_person"},
    "humansd_multi_person": {"humansd_people"},
    "cfld_repose": {"cfld_person"},
    "cfld_interpolate": {"cfld_mix_25", "cfld_mix_50", "cfld_mix_75"},
    "cfld_edit": {"cfld_edited"},
    "pocold_repose": {"pocold_person"},
    "pocold_pose_only": {"pocold_somebody"},
    "pocold_appearance_transfer": {"pocold_dressed"},
}
"""The results of workflows, by the files' stems; of others it is the name without method, and _refined."""

KINDS = ("sam", "phac", "refiner", "pose_detector")
SHOWN_LETTERS = 31
INCOMPLETE = "weights/mini is not complete: figura train writes it"


def is_complete(*kinds: str) -> bool:
    return all(path.is_file() for kind in kinds for path in store.mini_files(kind))


needs_mini = pytest.mark.skipif(not is_complete(*KINDS), reason=INCOMPLETE)
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=list(FLOWS))


def run(name: str, output: Path, *settings: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The pictures of a shipped workflow: saved ones by file stem without number, shown ones by title."""
    graph = load_graph(FOLDER / "api" / f"{name}.json")
    for setting in settings:
        apply_setting(graph, setting, all_node_classes())
    host = PlainHost(IMAGE.parent, output, device="cpu")
    result = Runner(host).run(graph)
    saved = [path for path in result.files if path.is_relative_to(output)]
    shown = {
        graph[node_id]["_meta"]["title"]: np.asarray(Image.open(host.temp_dir() / image["filename"]))
        for node_id, ui in result.ui.items()
        for image in ui.get("images", [])
        if image["type"] == "temp"
    }
    return {re.sub(r"_\d{5}_$", "", path.stem): np.asarray(Image.open(path)) for path in saved}, shown


@every_flow
def test_files_are_what_the_description_says(flow):
    for path, text in workflows.files_of(flow).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m figura.workflows"


def test_there_are_no_other_workflow_files():
    written = {path for flow in FLOWS.values() for path in workflows.files_of(flow)}
    assert set(FOLDER.rglob("*.json")) == written
    assert set(BLUEPRINTS.iterdir()) == set(blueprints())
    assert {path.stem for path in FOLDER.glob("*.jpg")} == {flow.title for flow in FLOWS.values()}


def test_blueprints_are_what_the_descriptions_say():
    for path, text in blueprints().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python -m figura.workflows"


def test_templates_are_listed_by_what_one_gets():
    titles = [flow.title for flow in FLOWS.values()]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert re.fullmatch(r"[A-Z][\w ,.-]+", title) and len(title.split()) > 3, title
        assert len(title) <= SHOWN_LETTERS, f"the page cuts {title}"


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
    parts = [node.node_class for node in flow.nodes if isinstance(node.node_class, Subgraph)]
    assert len(api) == len(flow.nodes) - len(parts) + sum(len(part.nodes) for part in parts) > 4
    assert len(page["nodes"]) == len(flow.nodes) + len(flow.notes)
    drawn = [*page["nodes"], *(node for part in definitions(page).values() for node in part["nodes"])]
    assert {node["type"] for node in drawn} >= {node["class_type"] for node in api.values()}


@every_flow
def test_read_as_the_page_reads_it_the_ui_form_is_the_api_form(flow):
    api = {number: node["inputs"] for number, node in api_form(flow).items()}
    assert flattened(ui_form(flow)) == api


def test_subgraphs_and_the_flows_round_them_share_no_node_numbers():
    for flow in FLOWS.values():
        page = ui_form(flow)
        numbers = [node["id"] for part in [page, *definitions(page).values()] for node in part["nodes"]]
        assert len(set(numbers)) == len(numbers)


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
    for index, first in enumerate(frames):
        assert not any(overlap(first, second) for second in frames[index + 1 :])


@every_flow
def test_it_opens_large_enough_to_be_read(flow):
    nodes = ui_form(flow)["nodes"]
    ends = [max(node["pos"][axis] + node["size"][axis] for node in nodes) for axis in (0, 1)]
    starts = [min(node["pos"][axis] for node in nodes) for axis in (0, 1)]
    assert opening_zoom((ends[0] - starts[0], ends[1] - starts[1])) >= LEAST_ZOOM


@every_flow
def test_only_results_go_to_the_output_folder(flow):
    saved = [node.title for node in flow.nodes if node.class_type == "SaveImage"]
    assert 1 <= len(saved) <= (3 if flow.name == "cfld_interpolate" else 1)
    shown = [node for node in flow.nodes if node.class_type in ("PreviewImage", "MaskPreview")]
    assert shown or flow.name == "mask_expansion_native"


@every_flow
def test_the_note_says_what_to_do_before_it_explains(flow):
    text = flow.notes[0].text
    assert re.search(r"^1\. |Press \*\*Run\*\*|It needs", text, re.MULTILINE)
    if any(node.class_type == "FiguraPointPrompt" for node in flow.nodes):
        assert "into the picture of **Point Prompt**" in text or "drag one" in text
        assert "pixels" not in text.partition("Outside")[0].partition("Only pixels")[0] and "JSON" not in text


@every_flow
def test_steps_of_the_note_begin_with_what_is_in_the_graph(flow):
    titles = [node_title(node).removesuffix(" (Figura)") for node in flow.nodes] + ["Load Image"]
    steps = re.findall(r"^(?:\d\.|-) \*\*([^*]+)\*\*", flow.notes[0].text, re.MULTILINE)
    assert [step for step in steps if not any(title.startswith(step) for title in titles)] == []


@every_flow
def test_where_points_of_a_picture_are_shipped_the_note_says_how_to_take_them_away(flow):
    classes = {node.class_type: node for node in flow.nodes}
    if "LoadImage" in classes and "FiguraPointPrompt" in classes:
        assert classes["FiguraPointPrompt"].values["points"]
        assert "the bin beside *Person 1*" in flow.notes[0].text


@every_flow
def test_the_note_names_every_text_that_speaks_of_the_shipped_picture(flow):
    texts = {node.title: str(node.values.get("text")) for node in flow.nodes}
    told = {title for title, text in texts.items() if text.startswith(photo.TEXT)}
    words = {title: "generator" if title.startswith("Any generator") else f"**{title}**" for title in told}
    assert [title for title in told if words[title] not in flow.notes[0].text] == []


@every_flow
def test_a_text_that_the_note_offers_is_free_or_its_link_is_named(flow):
    steps = re.split(r"^(?=\d\.|- )", flow.notes[0].text, flags=re.MULTILINE)
    linked = [node for node in flow.nodes if not isinstance(node.values.get("text", ""), str)]
    for node in linked:
        title = node_title(node).removesuffix(" (Figura)")
        own = [step for step in steps if f"**{title}**" in step and "`text`" in step]
        assert [step for step in own if "`caption`" not in step] == []


def overlap(first, second) -> bool:
    return all(
        first[axis] < second[axis] + second[axis + 2] and second[axis] < first[axis] + first[axis + 2]
        for axis in (0, 1)
    )


def test_every_node_is_used_by_a_workflow():
    used = {node["class_type"] for flow in FLOWS.values() for node in api_form(flow).values()}
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


@every_flow
def test_thumbnails_are_small_squares(flow):
    path = FOLDER / f"{flow.title}.jpg"
    with Image.open(path) as image:
        assert image.size == (256, 256)
    assert path.stat().st_size < 20_000


def test_a_thumbnail_of_what_only_comfyui_runs_is_drawn():
    image = square(shown_pictures(FLOWS["mask_expansion_native"]))
    shipped = Image.open(FOLDER / f"{FLOWS['mask_expansion_native'].title}.jpg")
    assert np.abs(np.asarray(image, dtype=float) - np.asarray(shipped, dtype=float)).mean() < 4


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
    with pytest.raises(GraphError, match=r"CheckpointLoaderSimple\): is a node of ComfyUI .*--server"):
        run("mask_expansion_native", tmp_path)


@needs_mini
@pytest.mark.parametrize("name", list(FLOWS))
def test_runs_headlessly_with_few_steps(name, tmp_path):
    if name in SAVED and not is_complete(name.partition("_")[0]):
        pytest.skip(INCOMPLETE)
    nodes = api_form(FLOWS[name])
    if any(is_native(node["class_type"]) for node in nodes.values()):
        pytest.skip("has nodes that only ComfyUI can run; tests/comfyui runs it there")
    samplers = [number for number, node in nodes.items() if "steps" in node["inputs"]]
    saved, shown = run(name, tmp_path, *(f"{sampler}.steps=2" for sampler in samplers))
    assert set(saved) == SAVED.get(name, {f"{name.removeprefix('phac_')}_refined"})
    previews = ("PreviewImage", "MaskPreview")
    assert set(shown) == {node["_meta"]["title"] for node in nodes.values() if node["class_type"] in previews}


@needs_mini
@pytest.mark.slow
def test_phac_pose_as_shipped_changes_only_what_was_hidden(tmp_path):
    saved, shown = run("phac_pose", tmp_path)
    changed = (saved["refined"] != shown["Input"]).any(-1)
    allowed = shown["Invisible mask"][..., 0] > 127
    assert changed.any() and not (changed & ~allowed).any()


@needs_mini
@pytest.mark.slow
def test_phac_photo_as_shipped_keeps_the_photo_outside(tmp_path):
    saved, _ = run("phac_photo", tmp_path)
    photo = np.asarray(Image.open(IMAGE))
    changed = (saved["photo_refined"] != photo).any(-1)
    assert saved["photo_refined"].shape == photo.shape
    assert 0 < changed.mean() < 0.15
