"""Pictures as people have them: read as documented, or refused in one sentence that says what to do."""

import numpy as np
import pytest
import torch

from sparseop.deep.image_prior import images
from sparseop.deep.image_prior.images import load_image, png
from sparseop.errors import InputError

Image = pytest.importorskip("PIL.Image")


def saved(tmp_path, array, name="x.png", mode=None, **options):
    path = tmp_path / name
    Image.fromarray(np.asarray(array), mode).save(path, **options) if mode else Image.fromarray(np.asarray(array)).save(
        path, **options
    )
    return str(path)


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["flower", "china"])
def test_bundled_photographs(name):
    pytest.importorskip("sklearn")
    image = load_image(name, 64)
    assert image.shape == (3, 64, 64)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < 0.1
    assert 0.8 < image.max() <= 1
    assert load_image(name).shape == (3, 427, 640)


def test_colours_come_back_as_they_are(tmp_path, colours):
    image = load_image(saved(tmp_path, colours))
    assert torch.equal((image * 255).round().to(torch.uint8).permute(1, 2, 0), torch.from_numpy(colours))
    (tmp_path / "again.png").write_bytes(png(image))
    assert torch.equal(load_image(str(tmp_path / "again.png")), image)
    assert load_image("x.png", root=tmp_path).equal(image)


def test_the_central_square_is_taken_and_never_enlarged(tmp_path, colours):
    path = saved(tmp_path, colours)
    assert torch.equal(load_image(path, 500), load_image(path)[:, :, 10:50])
    assert load_image(path, 20).shape == (3, 20, 20)


def test_a_grey_image_keeps_one_channel(tmp_path, colours):
    grey = load_image(saved(tmp_path, colours[..., 0]))
    assert grey.shape == (1, 40, 60)
    assert torch.equal((grey[0] * 255).round().to(torch.uint8), torch.from_numpy(colours[..., 0]))
    assert torch.equal(
        torch.from_numpy(np.array(Image.open(__import__("io").BytesIO(png(grey))))), torch.from_numpy(colours[..., 0])
    )


def test_an_alpha_channel_is_laid_over_white(tmp_path):
    black = np.zeros((8, 8, 4), dtype=np.uint8)
    black[:4, :, 3] = 255
    image = load_image(saved(tmp_path, black))
    assert (image[:, :4] == 0).all()
    assert (image[:, 4:] == 1).all()
    grey = load_image(saved(tmp_path, black[..., 2:], "la.png"))
    assert grey.shape == (1, 8, 8)
    assert (grey[:, 4:] == 1).all()


def test_sixteen_bits_palettes_and_one_bit(tmp_path, colours):
    deep = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    assert torch.allclose(
        load_image(saved(tmp_path, deep, "deep.png")), torch.from_numpy(deep[None] / 65535).float(), atol=1e-6
    )
    path = tmp_path / "palette.gif"
    Image.fromarray(colours).convert("P").save(path)
    assert load_image(str(path)).shape == (3, 40, 60)
    path = tmp_path / "bits.png"
    Image.fromarray(colours[..., 0] > 128).save(path)
    assert set(load_image(str(path)).unique().tolist()) == {0.0, 1.0}


def test_a_camera_that_lay_on_its_side(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270 degrees to see it upright
    path = tmp_path / "turned.png"
    Image.fromarray(colours).save(path, exif=exif)
    assert load_image(str(path)).shape == (3, 60, 40)


def test_a_home_folder(tmp_path, colours, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path, colours)
    assert load_image("~/x.png").shape == (3, 40, 60)
    assert "the image '~/y.png' is not there" in refused(lambda: load_image("~/y.png"))


def refused(call):
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert text.endswith((".", ")."))
    assert "\n" not in text
    return text


def test_what_is_refused(tmp_path, colours, monkeypatch):
    assert "is not there; give the path of a file, or one of flower, china" in refused(
        lambda: load_image("nowhere.png")
    )
    assert f"(nor in '{tmp_path}')" in refused(lambda: load_image("nowhere.png", root=tmp_path))
    assert "is a folder" in refused(lambda: load_image(str(tmp_path)))
    text = tmp_path / "letter.png"
    text.write_text("Dear Sir or Madam")
    assert "no image" in refused(lambda: load_image(str(text)))
    (tmp_path / "empty.png").touch()
    assert "no image" in refused(lambda: load_image(str(tmp_path / "empty.png")))
    whole = (tmp_path / "x.png") if saved(tmp_path, colours) else None
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:2000])
    assert "truncated" in refused(lambda: load_image(str(tmp_path / "half.png")))
    assert "size must be >= 0" in refused(lambda: load_image(str(whole), -1))


def test_huge_images(tmp_path):
    path = saved(tmp_path, np.zeros((3000, 2000), dtype=np.uint8), "huge.png")
    assert "is 2000 x 3000 pixels" in refused(lambda: load_image(path))
    assert "such as size=256" in refused(lambda: load_image(path))
    assert load_image(path, 32).shape == (1, 32, 32)
    jpeg = saved(tmp_path, np.full((3000, 2000, 3), 128, dtype=np.uint8), "huge.jpg")
    assert load_image(jpeg, 32).shape == (3, 32, 32)


def test_a_decompression_bomb(tmp_path, monkeypatch):
    path = saved(tmp_path, np.zeros((40, 40), dtype=np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert "has more than 1,000 pixels and is not decoded" in refused(lambda: load_image(path, 32))


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(images.importlib.util, "find_spec", lambda _: None)
    text = refused(lambda: load_image("flower"))
    assert "pip install scikit-learn" in text
    assert "coffee" in text
