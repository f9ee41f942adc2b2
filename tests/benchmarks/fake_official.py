"""A stand-in for the released code of SOP.

Its modules' names and interfaces, a network of one layer, and a torchvision of its own.

Each training epoch adds a line to the file that the environment variable FAKE_LOG names.
"""

import json

FILES = {
    "train.py": (
        """
import comet_ml
import requests
import torch
import data_loader.data_loaders as module_data
import model.loss as module_loss
import model.model as module_arch
from trainer import Trainer

def main(config):
    print("a line for the log")
    loader = getattr(module_data, config["data_loader"]["type"])(config)
    model = getattr(module_arch, config["arch"]["type"])(**config["arch"]["args"])
    Trainer(config, loader, model, module_loss.overparametrization_loss(len(loader.dataset), **config["train_loss"]["args"])).train()
"""
    ),
    "parse_config.py": (
        """
import json

class ConfigParser:
    __instance = None

    @classmethod
    def get_instance(cls, args=None, options=""):
        if not cls.__instance:
            cls.__instance = object.__new__(cls)
            cls.__instance.values = json.load(open(args.parse_args().config))
        return cls.__instance

    def __getitem__(self, name):
        return self.values[name]
"""
    ),
    "trainer/__init__.py": "from .trainer import *\n",
    "trainer/trainer.py": (
        """
import multiprocessing
import os
import torch

class Trainer:
    def __init__(self, config, data_loader, model, criterion):
        assert config["comet"]["api"] is None and config["n_gpu"] == 0
        self.config, self.data_loader, self.model, self.criterion = config, data_loader, model, criterion
        self.do_validation = self.do_test = True

    def train(self):
        raise AssertionError("it would train for 300 epochs")

    def _train_epoch(self, epoch):
        assert not self.do_validation and not self.do_test
        seen = 0
        for data, data2, label, index in self.data_loader:
            both = torch.cat([data, data2]).cuda() if self.config["train_loss"]["args"]["ratio_consistency"] > 0 else data
            self.criterion(self.model(both.float())[:len(index)], label).backward()
            seen += len(index)
        with open(os.environ["FAKE_LOG"], "a") as log:
            name, ratio = self.config["name"], self.config["train_loss"]["args"]["ratio_consistency"]
            print(epoch, name, ratio, seen, self.data_loader.checksum, torch.get_num_threads(), multiprocessing.get_start_method(), file=log)
"""
    ),
    "model/__init__.py": "",
    "model/model.py": (
        """
import torch

def Tiny(num_classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, num_classes))
"""
    ),
    "model/loss.py": (
        """
import torch

class overparametrization_loss(torch.nn.Module):
    def __init__(self, num_examp, ratio_consistency, ratio_balance, num_classes):
        super().__init__()

    def forward(self, output, label):
        return torch.nn.functional.cross_entropy(output, label)
"""
    ),
    "data_loader/__init__.py": "",
    "data_loader/data_loaders.py": (
        """
import torch
import torchvision
from sklearn.metrics.pairwise import cosine_similarity

class CIFAR10DataLoader(torch.utils.data.DataLoader):
    def __init__(self, config):
        data = torchvision.datasets.CIFAR10(config["data_loader"]["args"]["data_dir"])
        images, labels = torch.from_numpy(data.data), torch.tensor(data.targets)
        self.checksum = int(images.sum())
        options = {name: config["data_loader"]["args"][name] for name in ("batch_size", "num_workers", "pin_memory")}
        super().__init__([(x, x, y, i) for i, (x, y) in enumerate(zip(images, labels))], **options)
"""
    ),
    "torchvision/__init__.py": "from . import datasets\n",
    "torchvision/datasets.py": (
        """
import hashlib, os, pickle
import numpy

class CIFAR10:
    base_folder, train_list, test_list, meta = "", [["data_batch_1", "official"]], [], {}

    def __init__(self, root):
        self.data, self.targets = [], []
        for name, md5 in self.train_list:
            raw = open(os.path.join(root, self.base_folder, name), "rb").read()
            assert hashlib.md5(raw).hexdigest() == md5
            entry = pickle.loads(raw)
            self.data.append(entry["data"])
            self.targets += entry["labels"]
        self.data = numpy.concatenate(self.data)
"""
    ),
    "config_cifar100.json": json.dumps(
        {
            "name": "",
            "n_gpu": 1,
            "num_classes": 100,
            "comet": {"api": ""},
            "arch": {},
            "reparam_arch": {"args": {}},
            "data_loader": {"type": "", "args": {}},
            "train_loss": {"args": {"ratio_consistency": 0.9, "ratio_balance": 0.1}},
            "trainer": {},
        }
    ),
}


def write(folder, **changed):
    """Write it; ``changed`` replaces the text of files, named by their stem."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(path.stem, text))
    return folder
