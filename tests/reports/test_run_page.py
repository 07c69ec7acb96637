"""The page of a run: one file, complete for odd records, proof against hostile ones."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from crowdbench.record import SCHEMA_VERSION, RunFolder
from crowdbench.results import KeypointMetrics, Metric, WorstImages
from crowdbench.running.keypoint_errors import uncounted_errors
from reports.content import read_content
from reports.markdown import markdown_page
from reports.run_page import html_page
from reports.writing import write_report
from tests.reports.hostile import EVIL, Elements, with_hostile_texts
from tests.reports.records import (
    make_crowd,
    make_facts,
    make_metrics,
    make_network_run,
    make_row,
    make_run,
    make_skipped,
    make_worst,
    write_environment,
    write_picture,
    write_run,
)

SECTIONS = (
    *("Noticed", "Metrics", "Conditions", "Keypoints", "Keypoint errors", "Published results"),
)
LAST_SECTIONS = ("Worst images", "Provenance")


def page_of(folder: RunFolder) -> str:
    return html_page(read_content(folder))


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def pictures(page: str) -> list[bytes]:
    found = re.findall(r'<image href="data:image/jpeg;base64,([^"]*)"', page)
    return [base64.b64decode(data) for data in found]


def test_the_page_has_every_section(tmp_path: Path) -> None:
    run = make_run(notes=("12 poses are of other categories",))
    page = page_of(write_run(tmp_path, run, worst=make_worst()))
    assert headings(page) == [*SECTIONS, *LAST_SECTIONS]
    assert "<h1>replay on crowdpose-val</h1>" in page
    assert page.count('<svg viewBox="0 0 ') == 6
    assert page.count('<svg class="drawing blank"') == 2
    assert page.count('<table class="sortable">') == 9
    assert f'<pre class="signature">{run.signature}</pre>' in page
    assert "OKS 0.31" in page
    assert page.count("The image files were not found") == 1
    assert "Rule: boxes(score&gt;=t)+oks-nms(0.9)." in page
    assert "ab" * 32 in page


def test_the_numbers_are_there_at_full_precision_to_sort_by(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, make_run()))
    assert '<td class="number" data-key="0.495772583812338">49.58</td>' in page
    assert '<td class="number" data-key="5e-324">0.00</td>' in page
    assert '<td class="number" data-key="30637.0">30,637</td>' in page
    assert '<td class="number">-</td>' in page  # no key: it comes last


def test_the_page_needs_no_other_file_and_runs_no_script_but_its_own(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, make_run(), worst=make_worst()))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert all(address.startswith(("#", "data:")) for address in Elements(page).addresses)
    assert "http://" not in page
    assert "https://" not in page


def test_every_id_of_the_page_is_there_once_and_every_reference_leads_somewhere(
    tmp_path: Path,
) -> None:
    worst = make_worst(crowd=make_crowd())
    elements = Elements(page := page_of(write_run(tmp_path, make_run(notes=("n",)), worst=worst)))
    assert len(set(elements.ids)) == len(elements.ids)
    references = {a[1:] for a in elements.addresses if a.startswith("#")}
    references |= set(re.findall(r"url\(#([^)]*)\)", page))
    assert references <= set(elements.ids)


def test_hostile_texts_bring_no_element_and_no_attribute_into_the_page(tmp_path: Path) -> None:
    run = msgspec.structs.replace(make_network_run(split="own-split"), notes=("a note",))
    worst, skipped = make_worst(crowd=make_crowd()), make_skipped(23)
    benign = Elements(
        page_of(write_run(tmp_path / "benign", run, worst=worst, skipped_images=skipped))
    )
    folder = RunFolder(tmp_path / "evil")
    metrics = msgspec.structs.replace(make_metrics(run), skipped_images=skipped)
    for record in (run, metrics, worst):
        folder.write(with_hostile_texts(record))
    page = write_report(folder).read_text(encoding="utf-8")
    assert Elements(page).kinds <= benign.kinds
    assert page.count("<script") == 1
    assert len(re.findall(r"alert\(1\)", page)) > 50  # shown as text
    assert "{{ 7*7 }}" in page
    assert not set(page) & {"\x00", "\x1b", "\u202e"}
    for path in folder.report.rglob("*.svg"):
        content = path.read_text(encoding="utf-8")
        assert "<script" not in content
        assert EVIL not in content


def test_hostile_names_of_conditions_stay_in_the_report_folder(tmp_path: Path) -> None:
    names = ("../../x", "/etc/x", "a/b", "con\\d", "A", "a", "\u4eba", "..", "")
    facts = make_facts()["person-iou"]
    folder = write_run(
        tmp_path / "deep" / "run",
        make_run(),
        conditions={name: (make_row("a", 0.5),) for name in names},
        condition_facts=dict.fromkeys(names, facts),
    )
    write_report(folder)
    written = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*.png")}
    assert written == {("deep", "run", "report")}
    plots = {path.name for path in (folder.report / "plots").glob("condition-*.png")}
    assert len({name.lower() for name in plots}) == len(names)


def test_an_empty_bin_is_a_dash_with_its_reason_and_a_marked_gap(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, make_run()))
    assert '<td class="number">-¹</td>' in page
    assert "<li>¹ no person is evaluated</li>" in page
    assert page.count(">no persons</text>") == 1


def test_a_condition_that_was_not_evaluated_says_why(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, make_run()))
    section = page.split("<h3>Size of persons</h3>")[1].split("</section>")[0]
    assert "<p>Not evaluated: the annotation file has no areas.</p>" in section
    assert "<li>Rule: size[0,32,96,inf)</li>" in section
    assert "<svg" not in section


def test_a_run_without_conditions_has_a_page_that_says_so(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(), conditions={}, condition_facts={}, robustness={})
    page = page_of(folder)
    assert "<p>No condition was evaluated.</p>" in page
    assert "Robustness" not in page


def test_a_split_without_public_ground_truth_has_a_page_of_dashes(tmp_path: Path) -> None:
    reason = "the ground truth of this split is not public"
    facts = make_facts()["size"]
    folder = write_run(
        tmp_path,
        make_run("coco-test-dev", images=20288),
        worst=WorstImages(SCHEMA_VERSION, (), None),
        metrics={"AP": Metric(None, 0, True, reason), "AR": Metric(None, 0, True, reason)},
        keypoints=(),
        keypoint_errors=uncounted_errors(reason),
        counts={"images": 20288, "poses": 5},
        conditions={},
        condition_facts={"size": msgspec.structs.replace(facts, reason=reason)},
        robustness={"size": {"AP_drop": Metric(None, 0, False, reason)}},
        curves=(),
        oks_histogram=None,
    )
    page = page_of(folder)
    assert headings(page) == [
        *("Metrics", "Conditions", "Keypoint errors", "Published results"),
        *LAST_SECTIONS,
    ]
    assert f"<p>Not counted: {reason}.</p>" in page
    assert f'<dd class="value">-</dd>\n<dd class="remark">{reason}</dd>' in page
    assert f"<p>Not evaluated: {reason}.</p>" in page
    assert '<svg viewBox="0 0 ' not in page
    assert "None: no image has an evaluated person." in page


def test_a_run_of_one_image_without_persons_has_a_page(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path,
        make_run(images=1, own=True),
        metrics={"AP": Metric(None, 0, True, "no person is evaluated")},
        keypoints=(KeypointMetrics("nose", 0, 0, None, None),),
        counts={"images": 1, "persons_evaluated": 0},
        conditions={"person-iou": (make_row("0 - 1", None, 0, low=0.0, high=1.0),)},
    )
    page = page_of(folder)
    assert "none labelled" in page
    assert "None: the annotations are the user&#39;s own file" in page


def test_without_the_file_of_worst_images_the_section_says_so(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, make_run()))
    assert "this run folder has no <code>worst_images.json</code>" in page


def facts_of(page: str) -> dict[str, str]:
    section = page.split('id="provenance"')[1]
    return dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", section))


def test_the_provenance_of_a_network_has_its_card_and_how_it_was_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_network_run())
    expected = {
        "method": "MIPNet",
        "paper": "Khirodkar et al.: Multi-Instance Pose Networks. ICCV 2021",
        "year": "2021",
        "licence": "not stated",
        "backbone": "HRNet-W48",
        "input size": "384x288",
        "keypoint layouts": "coco-17, crowdpose-14",
        "flip test": "shifted",
        "decoding": "quarter-offset",
        "precision": "fp32",
        "merging": "oks-nms(0.9); each pose depends on its own box alone",
    }
    facts = facts_of(page_of(folder))
    assert {name: facts[name] for name in expected} == expected
    assert facts["weights"].startswith("<code>mine.pth</code>, 255,000,000 bytes, sha256 <code>efe")
    text = markdown_page(read_content(folder)).split("## Provenance")[1]
    for name, value in expected.items():
        assert f"\n- {name}: {value}\n" in text
    assert "\n- weights: `mine.pth`, 255,000,000 bytes" in text


def test_facts_that_are_not_known_are_left_out_of_the_provenance(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    shown = ["split", "merging", "options", "record"]
    titles = {facts.title for facts in make_facts().values()}
    facts = facts_of(page_of(folder))
    assert [name for name in facts if name not in titles] == ["annotations", "predictions", *shown]
    text = markdown_page(read_content(folder)).split("## Provenance")[1]
    names = re.findall(r"^- ([a-z ]+):", text, re.MULTILINE)
    assert names == ["annotations", "predictions", "merging", "options"]


@pytest.mark.parametrize(("n", "words"), [(1, "1 image that"), (20, "20 images that")])
def test_skipped_images_are_listed_with_the_reasons(tmp_path: Path, n: int, words: str) -> None:
    folder = write_run(tmp_path, make_run(), skipped_images=make_skipped(n))
    page, text = page_of(folder), markdown_page(read_content(folder))
    assert headings(page)[0] == "Noticed"
    assert '<li><a href="#noticed">Noticed</a></li>' in page
    section = page.split('id="noticed"')[1].split("</section>")[0]
    assert f"<summary>{words} could not be used</summary>" in section
    assert '<th scope="row" data-key="100.0">100</th>\n<td>val/0.jpg: no such file</td>' in section
    assert section.count("no such file") == n
    assert "more" not in section
    section = text.split("## Noticed")[1].split("## Protocol")[0]
    assert f"<details><summary>{words} could not be used</summary>" in section
    assert section.count("no such file") == n
    assert "more" not in section
    # The signature is that of the numbers.
    assert f"skipped={n}#89abcdef " in page
    assert f"skipped={n}#89abcdef " in text


def test_of_many_skipped_images_twenty_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(), skipped_images=make_skipped(1023))
    for content in (page_of(folder), markdown_page(read_content(folder))):
        assert "1,023 images that could not be used" in content
        assert content.count("no such file") == 20
        assert "and 1,003 more, see skipped_images in metrics.json" in content


def test_without_skipped_images_there_is_no_list_of_them(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run())
    for content in (page_of(folder), markdown_page(read_content(folder))):
        assert "could not be used" not in content
        assert "Noticed" not in content


def test_the_page_says_and_marks_what_is_of_the_same_setting(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, make_network_run()))
    section = page.split('id="published"')[1].split("</section>")[0]
    assert "<li>Weights of this run: mine.pth; what they were trained on is not recorded.</li>" in (
        section
    )
    assert '<th scope="row">MIPNet (same setting)</th>' in section
    assert re.search(r'<td class="number" data-key="-24.5\d*">-24.5</td>', section)


def test_nothing_of_this_machine_is_in_the_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path, make_run(), worst=make_worst())
    write_environment(folder, tmp_path / "images")
    for content in (page_of(folder), markdown_page(read_content(folder))):
        assert "of-here" not in content
        assert "123.25" not in content
        assert str(tmp_path) not in content


def test_image_files_that_are_there_are_embedded_made_smaller_and_the_same_each_time(
    tmp_path: Path,
) -> None:
    folder = write_run(tmp_path / "run", make_run(), worst=make_worst())
    write_environment(folder, tmp_path / "images")
    write_picture(tmp_path / "images" / "val" / "a.jpg", 160, 120)
    page = page_of(folder)
    small = pictures(page)
    assert len(small) == 2
    assert cv2.imdecode(np.frombuffer(small[0], np.uint8), 1).shape == (120, 160, 3)
    assert 'viewBox="-0.5 -0.5 160.0 120.0"' in page
    assert "not found" not in page
    assert page_of(folder) == page

    write_picture(tmp_path / "images" / "val" / "a.jpg", 1600, 1200)
    page = page_of(folder)
    assert cv2.imdecode(np.frombuffer(pictures(page)[0], np.uint8), 1).shape == (600, 800, 3)
    # The drawing is in the coordinates of the file.
    assert 'viewBox="-0.5 -0.5 1600.0 1200.0"' in page
    assert "The file has 1600 x 1200 pixels, the annotations say 160 x 120" in page


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/secret.png", "a/../../secret.png", "C:\\secret.png", "", "."]
)
def test_a_file_outside_of_the_image_folder_is_never_read(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "secret.png", 160, 120)
    (tmp_path / "images").mkdir()
    folder = write_run(tmp_path / "run", make_run(), worst=make_worst(name))
    write_environment(folder, tmp_path / "images")
    page = page_of(folder)
    assert not pictures(page)
    assert "not one below a folder" in page


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 broken"])
def test_a_file_that_is_no_picture_leaves_a_blank_field(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images" / "val").mkdir(parents=True)
    (tmp_path / "images" / "val" / "a.jpg").write_bytes(content)
    folder = write_run(tmp_path / "run", make_run(), worst=make_worst())
    write_environment(folder, tmp_path / "images")
    page = page_of(folder)
    assert not pictures(page)
    assert "can&#39;t be decoded" in page
    assert '<svg class="drawing blank"' in page


def test_an_image_without_a_size_and_far_away_points_are_drawn(tmp_path: Path) -> None:
    (image, _) = make_worst().images
    poses = tuple(
        msgspec.structs.replace(pose, keypoints=tuple((1e300, -1e300) for _ in pose.keypoints))
        for pose in image.poses
    )
    worst = WorstImages(
        SCHEMA_VERSION,
        (
            msgspec.structs.replace(image, size=(0, 0), poses=poses),
            msgspec.structs.replace(image, size=(0, 0), persons=(), poses=()),
        ),
        None,
    )
    page = page_of(write_run(tmp_path, make_run(), worst=worst))
    assert page.count('<svg class="drawing blank"') == 2
    section = page.split('id="worst"')[1].split("</section>")[0]
    assert max(map(len, re.findall(r"[0-9.e+-]+", section))) < 12
    assert "nan" not in section
