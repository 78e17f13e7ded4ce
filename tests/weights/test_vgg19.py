"""VGG19's file: damaged or poisoned, it is never run."""

import pytest
import torch

from srkit import weights
from srkit.files import sha256
from srkit.weights import WeightsError, load_vgg19


def poisoned(path, ran):
    """A pickle that makes the file `ran` where it is executed."""

    class Payload:
        def __reduce__(self):
            return (open, (str(ran), "w"))

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"features.0.weight": Payload()}, path)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", ["auto", "torchvision", "path"])
def test_a_poisoned_vgg19_in_the_cache_is_never_run(tmp_path, monkeypatch, name, known):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    path = weights.cached("vgg19")
    poisoned(path, tmp_path / "ran")
    if known:  # even the right hash runs nothing
        vgg19 = weights.THIRD_PARTY["vgg19"]._replace(sha256=sha256(path))
        monkeypatch.setitem(weights.THIRD_PARTY, "vgg19", vgg19)
    said = (
        "never loads" if known else r"is damaged: .*, not dcbb9e9d\.\.\.; delete it and try again"
    )
    with pytest.raises(WeightsError, match=said):
        load_vgg19(str(path) if name == "path" else name)
    assert not (tmp_path / "ran").exists()
