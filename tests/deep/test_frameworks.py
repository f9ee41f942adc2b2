"""SOP in the loops that people have, Lightning and the Hugging Face Trainer: batches carry each sample's number."""

import importlib

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sparseop import deep

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def framework(*names):
    """Return the first of these packages; skip where one is missing, or beside a torchvision of another torch."""
    try:
        found = [importlib.import_module(name) for name in names]
        if names[0] == "transformers":
            assert found[0].Trainer
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{names[0]} cannot be imported: {str(error)[:80]}")
    return found[0]


def wrong_labels(n=300):
    """Return 8 x 8 digits, their labels with a fifth moved on by one, and which are wrong."""
    data = deep.load("digits")
    images = (data.train_images[:n].float() / 255 - data.mean[0]) / data.std[0]
    wrong = torch.arange(n) % 5 == 0
    return images, torch.where(wrong, (data.train_labels[:n] + 1) % 10, data.train_labels[:n]), wrong


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def assert_found(loss, given, wrong):
    """Assert that the loss has moved, and finds the wrong labels more suspicious than the others."""
    score = loss.suspicion(given)
    assert float(score[wrong].mean()) > float(score[~wrong].mean()) + 0.2


def test_lightning(tmp_path):
    lightning = framework("lightning")
    images, given, wrong = wrong_labels()

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network, self.loss = small(), deep.SOP(len(images), 10, lr_u=30.0, lr_v=30.0)

        def training_step(self, batch, _):
            index, x, y = batch
            return self.loss(self.network(x), y, index)

        def configure_optimizers(self):
            return torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)

    module = Module()
    trainer = lightning.Trainer(
        max_epochs=30,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(TensorDataset(torch.arange(len(images)), images, given), 50, shuffle=True))
    assert_found(module.loss, given, wrong)


def test_hugging_face(tmp_path):
    transformers = framework("transformers", "accelerate")
    images, given, wrong = wrong_labels()
    loss = deep.SOP(len(images), 10, lr_u=30.0, lr_v=30.0)

    class Trainer(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **_):
            logits = model(inputs["x"])
            value = loss(logits, inputs["labels"], inputs["index"])
            return (value, logits) if return_outputs else value

    rows = [{"index": i, "x": images[i], "labels": int(given[i])} for i in range(len(images))]
    arguments = transformers.TrainingArguments(
        str(tmp_path),
        num_train_epochs=30,
        per_device_train_batch_size=50,
        learning_rate=0.01,
        use_cpu=True,
        remove_unused_columns=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
    )
    Trainer(model=small(), args=arguments, train_dataset=rows).train()
    assert_found(loss, given, wrong)
