"""The page's modules, tested by node itself: node --test tests/web/."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from figura.nodes.people import FiguraPointPrompt
from figura.people import keypoints, points_json, prompt_kinds
from figura.people.prompts import JOINT_ROOM, parse_points

HERE = Path(__file__).resolve().parent
FILES = sorted(HERE.glob("*.test.mjs"))
LEAST_NODE = 20
LIMIT_S = 300


@pytest.fixture(scope="module")
def node() -> str:
    """Node, or a skip where there is none that can run these tests."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("no node here: install Node.js 20 or newer to test web/")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < LEAST_NODE:
        pytest.skip(
            f"node {version.strip()} is too old: Node.js {LEAST_NODE} or newer is needed to test web/"
        )
    return path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_modules_do_what_their_tests_say(node, file):
    done = subprocess.run(
        [node, "--test", str(file)], cwd=HERE, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def run(node: str, script: str, given: Any = None) -> Any:
    """What a script of the page's modules prints as JSON; it can read `given` as JSON from its input."""
    command = [node, "--input-type=module", "--eval", script]
    done = subprocess.run(
        command, cwd=HERE, input=json.dumps(given), capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_page_and_node_know_the_same_joints_states_boxes_and_limits(node):
    names = "BODY_18, HAND_21, LIMBS, HAND_EDGES, STATES, DEFAULT_STATE"
    limits = "VERSION, MAX_POINTS, MAX_PEOPLE, JOINT_ROOM"
    page = run(
        node,
        f"""import {{ {names} }} from "../../web/points/document/joints.mjs";
        import {{ BOXES, {limits} }} from "../../web/points/document/reading.mjs";
        import {{ CONFIDENT }} from "../../web/points/document/detected.mjs";
        console.log(JSON.stringify({{ {names}, {limits}, BOXES, CONFIDENT }}));""",
    )
    assert page["BOXES"] == list(prompt_kinds.BOXES)
    assert page["BODY_18"] == list(keypoints.BODY_18) and page["HAND_21"] == list(keypoints.HAND_21)
    for ours, theirs, names_of in (
        ("LIMBS", keypoints.LIMBS, "BODY_18"),
        ("HAND_EDGES", keypoints.HAND_EDGES, "HAND_21"),
    ):
        assert page[ours] == [[page[names_of][a], page[names_of][b]] for a, b in theirs]
    assert page["STATES"] == list(points_json.STATES) and page["DEFAULT_STATE"] == points_json.DEFAULT_STATE
    for limit in ("VERSION", "MAX_POINTS", "MAX_PEOPLE"):
        assert page[limit] == getattr(points_json, limit)
    assert page["JOINT_ROOM"] == JOINT_ROOM and page["CONFIDENT"] == keypoints.CONFIDENT


def test_what_the_editor_writes_is_what_the_node_reads(node):
    text = run(
        node,
        """import { Session } from "../../web/points/session.mjs";
        const session = new Session();
        session.showPicture([640, 448]);
        session.startPlacing("joints", "right_knee");
        const click = (...place) => { session.pointerDown(place, 5); session.pointerUp(); };
        click(287.26, 334);
        session.toggleHand("left_hand");
        session.setTool("positive");
        click(10, 20);
        session.setTool("full_box");
        session.pointerDown([200, 430], 5);
        session.pointerMove([380, 90], 5);
        session.pointerUp();
        console.log(JSON.stringify(session.text));""",
    )
    prompt = parse_points(text, 640, 448, "pose_full_box")
    assert prompt.joints[keypoints.BODY_18.index("right_knee")].tolist() == pytest.approx([287.3, 334, 1])
    assert prompt.full_box == (200, 90, 380, 430) and prompt.positive_px.tolist() == [[10, 20]]
    assert (prompt.left_hand[:, 2] > 0).all() and prompt.right_hand is None


def random_person(random: np.random.Generator) -> keypoints.Person:
    body = np.append(random.integers(0, 100, (18, 2)), random.random((18, 1)) < 0.6, axis=1)
    states = [str(random.choice(points_json.STATES)) if there else None for there in body[:, 2]]
    return keypoints.Person((body * body[:, 2:]).astype(np.float32), states=tuple(states))


def random_text(random: np.random.Generator) -> str:
    """A points text of a picture of 200 x 50 pixels with few joints, or with none."""
    names = random.choice(keypoints.BODY_18, random.choice([0, 0, 1, 2]), replace=False)
    joints = {str(name): {"x": int(random.integers(200)), "y": int(random.integers(50))} for name in names}
    said = {"width": 200, "height": 50, "people": [{"joints": joints}]}
    if random.random() < 0.2:
        said["positive"] = random.integers(0, 50, (2, 2)).tolist()
    if random.random() < 0.2:
        said["full_box"] = [*random.integers(0, 20, 2).tolist(), *random.integers(21, 50, 2).tolist()]
    return json.dumps(said)


def test_ghosts_are_the_joints_that_the_node_takes_from_the_connected_pose(node):
    random = np.random.default_rng(5)
    cases, expected = [], []
    black = torch.zeros(1, 50, 200, 3)
    for _ in range(120):
        pose = keypoints.Pose(tuple(random_person(random) for _ in range(random.integers(1, 4))), 100, 100)
        corners = [*random.integers(0, 25, 2).tolist(), *random.integers(25, 50, 2).tolist()]
        box = corners if random.random() < 0.6 else None
        number = -1 if random.random() < 0.7 else int(random.integers(len(pose.people)))
        text = random_text(random)
        done = FiguraPointPrompt().run(
            black, "pose", text, keypoints.write_pose_keypoint([pose]), box, number
        )
        (prompt,), ((frame,),) = done["result"][1], done["ui"]["figura_poses"]
        cases.append([text, frame])
        expected.append([prompt.joints.tolist(), prompt.given.tolist()])
    found = run(
        node,
        """import { readFileSync } from "node:fs";
        import { findGhosts, adoptGhosts, listGhosts } from "../../web/points/document/ghosts.mjs";
        import { BODY_18 } from "../../web/points/document/joints.mjs";
        import { readDocument } from "../../web/points/document/reading.mjs";
        console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf-8")).map(([text, frame]) => {
          const { doc } = readDocument(text);
          const ghosts = findGhosts(doc, frame, frame.person).person;
          const { joints } = adoptGhosts(doc, listGhosts(ghosts)).people[0];
          return [BODY_18.map((name) => joints[name] ? [joints[name].x, joints[name].y, 1] : [0, 0, 0]),
            BODY_18.map((name) => Boolean(joints[name]) && joints[name].state !== "detected")];
        })));""",
        cases,
    )
    for (joints, given), (said, marks) in zip(found, expected, strict=True):
        np.testing.assert_allclose(joints, said, atol=0.051)
        assert given == marks


def test_no_module_is_loaded_as_an_extension():
    modules = HERE.parent.parent / "web" / "points"
    assert FILES and list(modules.glob("*.mjs")) and not list(modules.rglob("*.js"))


def test_values_are_never_written_as_markup():
    for path in (HERE.parent.parent / "web").rglob("*.*js"):
        text = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http:" + "//",
            "https:",
        ):
            allowed = path.name in ("elements.mjs", "source.mjs") and word == "http:" + "//"
            allowed |= path.name == "known.mjs" and word == "https:"  # of model files
            assert allowed or word not in text, f"{path.name}: {word}"
