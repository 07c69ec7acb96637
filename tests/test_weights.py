"""Where weights are looked for, and what is said when they are not there."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from crowdbench.card import Card, WeightFile
from crowdbench.errors import MissingError
from crowdbench.registry import load_predictor, predictor_names
from crowdbench.weights import find_weights

HRNET = load_predictor("hrnet-w32-256x192").card
MIPNET = load_predictor("mipnet").card


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_that_is_named_comes_first(folder: Path) -> None:
    (folder / "hrnet-w32-256x192.pth").write_bytes(b"usual")
    (folder / "mine.bin").write_bytes(b"mine")
    found = find_weights(HRNET, "coco-17", "mine.bin")
    assert found.path == Path("mine.bin")
    assert found.digest is not None
    assert found.digest.sha256 == hashlib.sha256(b"mine").hexdigest()
    assert (found.digest.name, found.digest.size) == ("mine.bin", 4)


@pytest.mark.parametrize(
    "name",
    [
        "hrnet-w32-256x192.pth", "hrnet-w32-256x192.pth.tar", "hrnet-w32-256x192.safetensors",
        "hrnet-w32-256x192", "pose_hrnet_w32_256x192.pth",
    ],
)  # fmt: skip
def test_a_file_of_the_usual_name_is_found(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    assert find_weights(HRNET, "coco-17", None).path == folder / name


def test_other_keypoints_have_another_file(folder: Path) -> None:
    (folder / "hrnet-w32-256x192.pth").write_bytes(b"x")
    (folder / "pose_hrnet_w32_256x192.pth").write_bytes(b"x")
    with pytest.raises(MissingError, match=r"hrnet-w32-256x192-crowdpose-14\.pth is not in"):
        find_weights(HRNET, "crowdpose-14", None)
    (folder / "hrnet-w32-256x192-crowdpose-14.pth").write_bytes(b"x")
    assert find_weights(HRNET, "crowdpose-14", None).path is not None


def test_a_short_name_counts_too(folder: Path) -> None:
    (folder / "mipnet.pth").write_bytes(b"x")
    assert find_weights(MIPNET, "coco-17", None, "mipnet").path == folder / "mipnet.pth"
    (folder / "mipnet-hrnet-w48-384x288.pth").write_bytes(b"x")
    found = find_weights(MIPNET, "coco-17", None, "mipnet").path
    assert found == folder / "mipnet-hrnet-w48-384x288.pth"


def test_random_ones_have_no_file(folder: Path) -> None:
    assert find_weights(HRNET, "coco-17", "random") == (None, None)
    (folder / "random").write_bytes(b"x")
    assert find_weights(HRNET, "coco-17", "random").path == Path("random")


def test_what_is_missing_says_where_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingError) as missing:
        find_weights(HRNET, "coco-17", None)
    said = str(missing.value)
    assert "get pose_hrnet_w32_256x192.pth from https://drive.google.com/" in said
    assert f"is not in {folder}" in said
    assert "put it into $CROWDBENCH_WEIGHTS as hrnet-w32-256x192.pth" in said
    monkeypatch.delenv("CROWDBENCH_WEIGHTS")
    with pytest.raises(MissingError, match="CROWDBENCH_WEIGHTS is not set"):
        find_weights(HRNET, "coco-17", None)
    with pytest.raises(MissingError, match=r"nowhere\.pth is not there"):
        find_weights(HRNET, "coco-17", "nowhere.pth")
    with pytest.raises(MissingError, match="is a folder"):
        find_weights(HRNET, "coco-17", str(folder))
    with pytest.raises(MissingError, match="no official weights are known"):
        find_weights(HRNET, "crowdpose-14", None)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the weights of `TINY` lie in an installed package."""
    package = tmp_path / "site/shipping_package"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    # Imported by the test before, from another folder.
    monkeypatch.delitem(sys.modules, "shipping_package", raising=False)
    monkeypatch.delenv("CROWDBENCH_WEIGHTS", raising=False)
    return package / "weights/tiny.safetensors"


TINY = Card(
    name="tiny",
    description="",
    skeletons=("coco-17", "crowdpose-14"),
    weights=(
        WeightFile(
            skeleton="coco-17",
            file="tiny.safetensors",
            get="the maker",
            resource="shipping_package:weights/tiny.safetensors",
        ),
    ),
)


def test_a_shipped_file_is_found_without_any_option(shipped: Path) -> None:
    shipped.write_bytes(b"shipped")
    found = find_weights(TINY, "coco-17", None)
    assert found.path == shipped
    assert found.digest is not None
    assert found.digest.sha256 == hashlib.sha256(b"shipped").hexdigest()
    assert found.digest.name == "tiny.safetensors"
    assert find_weights(TINY, "coco-17", "random") == (None, None)


def test_other_files_come_before_the_shipped_one(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped.write_bytes(b"shipped")
    monkeypatch.setenv("CROWDBENCH_WEIGHTS", str(tmp_path))
    assert find_weights(TINY, "coco-17", None).path == shipped
    (tmp_path / "tiny.pth").write_bytes(b"folder's")
    assert find_weights(TINY, "coco-17", None).path == tmp_path / "tiny.pth"
    (tmp_path / "mine.pth").write_bytes(b"mine")
    asked = str(tmp_path / "mine.pth")
    assert find_weights(TINY, "coco-17", asked).path == tmp_path / "mine.pth"


def test_a_shipped_file_that_is_not_there_is_missed(shipped: Path) -> None:
    with pytest.raises(MissingError) as missing:
        find_weights(TINY, "coco-17", None)
    assert str(shipped) in str(missing.value)
    assert "install it again" in str(missing.value)
    assert "get tiny.safetensors from the maker" in str(missing.value)
    with pytest.raises(MissingError, match="no official weights are known"):
        find_weights(TINY, "crowdpose-14", None)


def test_every_official_file_belongs_to_a_predictor() -> None:
    from crowdbench.weights import _official_weights

    names = set(predictor_names())
    # RootNet serves 3DMPPE.
    of_predictors = {name for name in _official_weights() if "rootnet" not in name}
    with_files = {name for name in names if load_predictor(name).card.weights}
    # The papers' headline variants have a second name.
    assert with_files == {*of_predictors, "mipnet", "i2r-net", "pinet"}
    for name in with_files:
        card = load_predictor(name).card
        layouts = [file.skeleton for file in card.weights]
        assert layouts == list(card.skeletons[: len(layouts)])
        for file in card.weights:
            if file.trained_on in ("synthcrowd-train", "synthcrowd-3d-train"):
                assert file.resource in (None, f"predictors:weights/{name}.safetensors")
                assert f"python -m predictors.training {name}`" in file.get
            else:
                assert file.resource is None
                assert "https://" in file.get
