"""The choice of device, batch size and workers."""

from __future__ import annotations

import pytest

from crowdbench.card import Card
from crowdbench.errors import MissingError, UsageError
from crowdbench.predictor import Predictor
from crowdbench.refiner import Refiner, compose
from crowdbench.running.machine import choose_machine


def kind_of(card: Card) -> type[Predictor]:
    return type("Kind", (Refiner if card.refines else Predictor,), {"card": card})


NETWORK = kind_of(Card("n", ""))
READER = kind_of(Card("r", "", needs_images=False))
HEAVY_READER = kind_of(Card("h", "", needs_images=False, needs_weights=True))


def refiner_of(base: type[Predictor], **needs: bool) -> type[Predictor]:
    kind = kind_of(Card("refines", "", refines=True, **needs))
    assert issubclass(kind, Refiner)
    return compose(kind, base)


def test_a_predictor_without_images_gets_everything_at_once() -> None:
    machine = choose_machine(READER, "auto", "auto", "auto")
    assert (machine.device, machine.batch_size, machine.workers) == ("cpu", None, 0)
    assert choose_machine(READER, "auto", "5", "auto").batch_size == 5
    assert choose_machine(refiner_of(READER), "auto", "auto", "auto") == machine


@pytest.mark.parametrize(
    "kind", [HEAVY_READER, refiner_of(READER, needs_weights=True), refiner_of(HEAVY_READER)]
)
def test_a_network_without_images_gets_everything_at_once_on_a_device(
    kind: type[Predictor],
) -> None:
    machine = choose_machine(kind, "cpu", "auto", "3")
    assert (machine.device, machine.batch_size, machine.workers) == ("cpu", None, 0)
    assert machine.threads is not None
    with pytest.raises(MissingError, match="--device cuda:99"):
        choose_machine(kind, "cuda:99", "auto", "auto")


def test_numbers_are_taken_as_given() -> None:
    machine = choose_machine(NETWORK, "cpu", "3", "2")
    assert (machine.device, machine.batch_size, machine.workers) == ("cpu", 3, 2)
    assert machine.description.startswith("cpu, ")
    assert choose_machine(NETWORK, "cpu", "auto", "auto").batch_size is not None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("gpu", "auto", "auto"), "--device is 'gpu', expected auto, cpu"),
        (("cuda:x", "auto", "auto"), "--device is 'cuda:x'"),
        (("cpu:1", "auto", "auto"), "--device is 'cpu:1'"),
        (("cuda:", "auto", "auto"), "--device is 'cuda:'"),
        (("cpu", "0", "auto"), "--batch-size is '0', expected auto or a number from 1 up"),
        (("cpu", "-1", "auto"), "--batch-size is '-1'"),
        (("cpu", "many", "auto"), "--batch-size is 'many'"),
        (("cpu", "auto", "1.5"), "--workers is '1.5', expected auto or a number from 0 up"),
    ],
)
@pytest.mark.parametrize("kind", [NETWORK, READER])
def test_what_is_no_choice_is_refused(
    kind: type[Predictor], values: tuple[str, str, str], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        choose_machine(kind, *values)
    assert said in str(refused.value)


def test_a_device_that_is_not_here_is_missing() -> None:
    with pytest.raises(MissingError, match=r"--device cuda:99.*--device cpu works"):
        choose_machine(NETWORK, "cuda:99", "auto", "auto")
