"""Ten torch modules as their users write them, with inputs to run them on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (as torch users write it)
from torch import nn

TRAINING_PASSES = 5  # they move the running statistics of batch normalization


class MLP(nn.Module):
    def __init__(self, n_in=20, n_hidden=64, n_classes=5, dropout=0.5):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, n_hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(n_hidden, n_hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(n_hidden, n_classes),
        )

    def forward(self, x):
        return self.net(x)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, 16 * 5 * 5)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or in_planes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(planes),
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, blocks=(1, 2), planes=(8, 16), n_classes=10):
        super().__init__()
        self.in_planes = planes[0]
        self.conv1 = nn.Conv2d(3, planes[0], kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(planes[0], blocks[0], stride=1)
        self.layer2 = self._make_layer(planes[1], blocks[1], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(planes[1], n_classes)

    def _make_layer(self, planes, blocks, stride):
        layers = []
        for i in range(blocks):
            layers.append(BasicBlock(self.in_planes, planes, stride if i == 0 else 1))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


class GRUClassifier(nn.Module):
    def __init__(self, input_size=8, hidden_size=32, n_classes=4):
        super().__init__()
        self.gru = nn.GRU(input_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, n_classes)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.fc(out[:, -1])


class LSTMClassifier(nn.Module):
    def __init__(self, input_size=6, hidden_size=24, n_classes=3):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers=2, batch_first=True, dropout=0.2)
        self.fc = nn.Linear(hidden_size, n_classes)

    def forward(self, x):
        _, (h_n, _) = self.lstm(x)
        return self.fc(h_n[-1])


class TextClassifier(nn.Module):
    def __init__(self, vocab_size=500, embed_dim=32, n_classes=2):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.dropout = nn.Dropout(0.1)
        self.fc1 = nn.Linear(embed_dim, 32)
        self.fc2 = nn.Linear(32, n_classes)

    def forward(self, ids):
        x = self.embedding(ids).mean(dim=1)
        x = self.dropout(F.gelu(self.fc1(x)))
        return self.fc2(x)


class ActorCritic(nn.Module):
    def __init__(self, obs_dim=8, n_actions=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(obs_dim, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.actor = nn.Linear(64, n_actions)
        self.critic = nn.Linear(64, 1)

    def forward(self, obs):
        features = self.body(obs)
        return torch.softmax(self.actor(features), dim=-1), self.critic(features)


class ImageAndVectorPolicy(nn.Module):
    def __init__(self, n_actions=3):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, 8, 4, stride=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(8, 16, 3, stride=2),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
        )
        self.state = nn.Linear(6, 16)
        self.fc = nn.Linear(16 * 5 * 5 + 16, 64)
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, n_actions)

    def forward(self, image, state):
        x = torch.cat([self.cnn(image), F.silu(self.state(state))], dim=1)
        x = self.norm(self.fc(x)).relu()
        return self.head(x).tanh()


class CNN1D(nn.Module):
    def __init__(self, in_channels=2, n_classes=5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(in_channels, 16, kernel_size=7, padding=3),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(16, 32, kernel_size=5, padding="same"),
            nn.BatchNorm1d(32),
            nn.ELU(),
            nn.AdaptiveAvgPool1d(1),
        )
        self.classifier = nn.Linear(32, n_classes)

    def forward(self, x):
        x = self.features(x).squeeze(-1)
        return self.classifier(x)


class Autoencoder(nn.Module):
    def __init__(self, n_latent=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3 * 16 * 16, 64), nn.ReLU(), nn.Linear(64, n_latent))
        self.decoder = nn.Sequential(
            nn.Linear(n_latent, 64), nn.ReLU(), nn.Linear(64, 3 * 16 * 16), nn.Sigmoid()
        )

    def forward(self, x):
        z = self.encoder(x.view(x.size(0), -1))
        return self.decoder(z).view(-1, 3, 16, 16)


@dataclass(frozen=True)
class Example:
    """A module and its inputs, in torch's layout; the seed chooses its weights."""

    module: Callable[[], nn.Module]
    input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...]  # without the batch; a tuple for each input
    channels_first: bool = False  # whether the first axis of an input with several holds channels
    ids: int = 0  # how many ids there are, if the inputs are ids

    def make(self, seed=0):
        """Return the module in evaluation mode, with running statistics of its own."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = self.module().train()
            for _ in range(TRAINING_PASSES):
                with torch.no_grad():
                    module(*self.draw(16, seed))
        return module.eval()

    @property
    def input_shapes(self):
        """Return the shape of each input."""
        several = isinstance(self.input_shape[0], tuple)
        return self.input_shape if several else (self.input_shape,)

    def draw(self, batch, seed=1):
        """Return a batch of each input of the module."""
        generator = torch.Generator().manual_seed(seed)
        if self.ids:
            return (torch.randint(self.ids, (batch, *self.input_shape), generator=generator),)
        return tuple(torch.randn(batch, *shape, generator=generator) for shape in self.input_shapes)

    def inputs(self, tensors):
        """Return a batch of the module as evoopt's inputs; of several, all of them flat in one."""
        arrays = [self.channels_last(tensor) for tensor in tensors]
        if len(arrays) == 1:
            return arrays[0]
        return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)

    def outputs(self, found):
        """Return the module's outputs in evoopt's layout; of several, all of them in one array."""
        tensors = found if isinstance(found, tuple) else (found,)
        return np.concatenate([self.channels_last(tensor) for tensor in tensors], axis=-1)

    def channels_last(self, tensor):
        """Return a tensor as a float32 array in evoopt's layout."""
        array = tensor.detach().numpy().astype(np.float32)
        turned = np.moveaxis(array, 1, -1) if self.channels_first and array.ndim > 2 else array
        return np.ascontiguousarray(turned)


EXAMPLES = {
    "mlp": Example(MLP, (20,)),
    "lenet": Example(LeNet, (1, 28, 28), channels_first=True),
    "resnet": Example(ResNet, (3, 16, 16), channels_first=True),
    "gru": Example(GRUClassifier, (20, 8)),
    "lstm": Example(LSTMClassifier, (16, 6)),
    "embedding": Example(TextClassifier, (12,), ids=500),
    "actor_critic": Example(ActorCritic, (8,)),
    "image_and_vector": Example(ImageAndVectorPolicy, ((3, 24, 24), (6,)), channels_first=True),
    "cnn_1d": Example(CNN1D, (2, 64), channels_first=True),
    "autoencoder": Example(Autoencoder, (3, 16, 16), channels_first=True),
}
