"""The slow, obvious definitions of the population kernels, in NumPy and plain Python."""

import math

import numpy as np
from scipy.special import ndtr, ndtri

MASK = 0xFFFFFFFF
LANES = 16
NOISE, CHOICE, CROSSOVER, MUTATION, STEP, PLACES, CATEGORY = range(7)


def philox(counter, key):
    """Return four words by Philox4x32-10, Salmon et al. 2011; four words of counter, two of key."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def words(key, row, group, purpose):
    """Return words (4, LANES): column `lane` has the four words of one Philox call."""
    blocks = [
        philox((row & MASK, row >> 32, group * LANES + lane, purpose), (key & MASK, key >> 32))
        for lane in range(LANES)
    ]
    return np.array(blocks, np.uint64).T


def box_muller(radius_word, angle_word):
    radius = math.sqrt(-2 * math.log(radius_word * 2.0**-32 + 2.0**-33))
    quadrant, rest = angle_word >> 30, angle_word & 0x3FFFFFFF
    angle = quadrant * math.pi / 2 + (rest - 2**29) * math.pi / 2**31
    return radius * math.cos(angle), radius * math.sin(angle)


def normals(key, row, n, purpose=NOISE):
    """Return the first `n` normal deviates of a row, by column."""
    columns = []
    for group in range(-(-n // (4 * LANES))):
        w = words(key, row, group, purpose)
        out = np.empty((4, LANES))
        for pair in (0, 2):
            for lane in range(LANES):
                x, y = box_muller(int(w[pair, lane]), int(w[pair + 1, lane]))
                out[pair, lane], out[pair + 1, lane] = x, y
        columns.append(out.ravel())
    return np.concatenate(columns)[:n]


def fingerprint(row):
    """Return a hash of a row in 64 bits, from the row's bits in words of 32."""
    total = 0
    for i, bits in enumerate(row.view(np.uint32).tolist()):
        word = (bits + i * 0x9E3779B1) & MASK
        first = word * 0x85EBCA77
        second = ((first >> 32) ^ (first & MASK)) * 0xC2B2AE3D
        total += first + second
    return max(total % 2**64, 1)


def transform(x, low, high):
    """Return pycma's BoundTransform of one number; an end may be infinite."""
    if low == high:
        return low
    half = (high - low) / 2
    al = min(half, max(1, abs(low)) / 20) if math.isfinite(low) else 0.0
    au = min(half, max(1, abs(high)) / 20) if math.isfinite(high) else 0.0
    if math.isfinite(half):
        start, period = low - 2 * al - half, 2 * (high - low + al + au)
        x = x - period * math.floor((x - start) / period)
    if x > high + au:
        x -= 2 * (x - high - au)
    if x < low - al:
        x += 2 * (low - al - x)
    if x < low + al:
        x = low + (x - (low - al)) ** 2 / 4 / al
    elif x > high - au:
        x = high - (x - (high + au)) ** 2 / 4 / au
    return x


def child(key, number, pool, pool_steps, sigma, tournament, crossover="sbx", **options):
    """Return one row of the genetic algorithm and its step size.

    `options`: sizes of the `tensors`, `mutation` ("gaussian"), `mutation_rate` (1).
    """
    n = pool.shape[1]
    pair = number >> 1
    drawn = [(int(word) * len(pool)) >> 32 for word in words(key, pair, 0, CHOICE).ravel()]
    a, b = min(drawn[:tournament]), min(drawn[tournament : 2 * tournament])
    rate = 1 / math.sqrt(2 * n)
    step = math.sqrt(pool_steps[a] * pool_steps[b]) * math.exp(rate * normals(key, number, 1, STEP)[0])
    if number & 1:
        a, b = b, a
    x = crossed(key, pair, pool[a].astype(float), pool[b].astype(float), crossover, options.get("tensors"))
    moves = mutation(key, number, n, options.get("mutation", "gaussian"), options.get("mutation_rate", 1))
    return x + step * sigma * moves, step


def row_words(key, row, n, purpose):
    """Return one word of 32 bits for each of `n` columns."""
    groups = -(-n // (4 * LANES))
    return np.concatenate([words(key, row, group, purpose).ravel() for group in range(groups)])[:n]


def lower_31_bits(word):
    """Return uniform numbers in (0, 1)."""
    return (word & np.uint64(0x7FFFFFFF)).astype(float) * 2.0**-31 + 2.0**-32


def crossed(key, pair, x, other, crossover, tensors):
    """Return the child of two rows before its mutation."""
    n = len(x)
    word = row_words(key, pair, n, CROSSOVER)
    chosen = word >> np.uint64(31) == 1
    if crossover == "uniform":
        return np.where(chosen, other, x)
    if crossover == "sbx":
        u = lower_31_bits(word)
        beta = np.where(u <= 0.5, 2 * u, 0.5 / (1 - u)) ** (1 / 16)
        return np.where(chosen, ((1 + beta) * x + (1 - beta) * other) / 2, x)
    if crossover == "arithmetic":
        share = float(word[0]) * 2.0**-32
        return share * x + (1 - share) * other
    if crossover == "tensor":
        word = row_words(key, pair, len(tensors), CROSSOVER)
        return np.where(np.repeat(word >> np.uint64(31) == 1, tensors), other, x)
    return x


def mutation(key, number, n, kind, rate):
    """Return the mutation of a child, in units of sigma."""
    if kind == "gaussian":
        moves = normals(key, number, n, MUTATION)
    else:
        u = lower_31_bits(row_words(key, number, n, MUTATION))
        moves = np.where(u <= 0.5, (2 * u) ** (1 / 16) - 1, 1 - (2 - 2 * u) ** (1 / 16))
        moves /= math.sqrt(1 / 153)  # the mean of (1 - v^(1/16))^2 for v uniform in (0, 1)
    return np.where(row_words(key, number, n, PLACES) < rate * 2**32, moves, 0)


def centred_ranks(fitness):
    """Return ranks from 1/2 (smallest) to -1/2 (largest); ties take the mean, NaN is largest."""
    k = len(fitness)

    def below(x, y):
        return x < y or (math.isnan(y) and not math.isnan(x))

    first = [sum(below(other, own) for other in fitness) for own in fitness]
    last = [k - 1 - sum(below(own, other) for other in fitness) for own in fitness]
    return np.array([0.5 - (i + j) / 2 / (k - 1) for i, j in zip(first, last, strict=True)])


class AdamW:
    """The optimizer of Kingma and Ba 2015 (Algorithm 1), decay by Loshchilov and Hutter 2019."""

    def __init__(self, rate, beta_1=0.9, beta_2=0.999, decay=0.0):
        self.rate, self.beta_1, self.beta_2, self.decay = rate, beta_1, beta_2, decay
        self.m = self.v = self.t = 0

    def step(self, x, gradient):
        """Return x after an update that minimizes."""
        self.t += 1
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * gradient
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * gradient**2
        m, v = self.m / (1 - self.beta_1**self.t), self.v / (1 - self.beta_2**self.t)
        return x - self.rate * (m / (np.sqrt(v) + 1e-8) + self.decay * x)


class ClipUp:
    """The optimizer of Toklu et al. 2020, Algorithm 1."""

    def __init__(self, rate, max_speed, momentum=0.9):
        self.rate, self.max_speed, self.momentum = rate, max_speed, momentum
        self.velocity = 0

    def step(self, x, gradient):
        """Return x after an update that maximizes."""
        velocity = self.momentum * self.velocity + self.rate * gradient / np.linalg.norm(gradient)
        speed = np.linalg.norm(velocity)
        self.velocity = self.max_speed * velocity / speed if speed > self.max_speed else velocity
        return x + self.velocity


def pgpe_gradients(noise, fitness, sigma):
    """Return gradients of Sehnke et al. 2010 for mean and sigma; rows mean +- noise, minimizing."""
    r = centred_ranks(fitness)
    baseline = r.mean()
    of_mean, of_sigma = np.zeros(len(sigma)), np.zeros(len(sigma))
    for plus, minus in zip(range(0, len(r), 2), range(1, len(r), 2), strict=True):
        epsilon = noise[plus]
        of_mean += (r[plus] - r[minus]) / 2 * epsilon
        of_sigma += ((r[plus] + r[minus]) / 2 - baseline) * (epsilon**2 - sigma**2) / sigma
    return of_mean / (len(r) // 2), of_sigma / (len(r) // 2)


# CatCMA with margin, Hamano et al. 2025: an integer has latent values in ascending order, and the
# thresholds between them; a mutation is a row with another value than the mean's.


def centred(x, mean, values, thresholds):
    """Return the best rows x (k,) of an integer after integer centering, and which ones mutated."""
    inside, home = np.searchsorted(thresholds, x), np.searchsorted(thresholds, mean)
    mutated = inside != home
    moves = values[inside] - x
    bias = moves[mutated].sum()
    others = ~mutated & (moves * bias < 0)
    share = min(1, -bias / moves[others].sum()) if others.any() else 0
    return x + np.where(mutated, moves, share * others * moves), mutated


def with_margin(mean, spread, values, thresholds, alpha, last=1.0):
    """Return the mean and the deviation of an integer with a margin, and its mutation rate.

    `last` is its last mutation rate, or 1 if one of the best rows mutated.
    """
    home, least = np.searchsorted(thresholds, mean), alpha / 2
    if home in (0, len(thresholds)):
        u = thresholds[-1 if home else 0]
        p = min(max(ndtr(-abs(mean - u) / spread), alpha), last)
        spread = max(spread, abs(values[home] - u) / -ndtri(alpha))
        return u + np.sign(mean - u) * spread * -ndtri(p), spread, p
    low, high = thresholds[home - 1 : home + 1]
    p_low, p_high = ndtr((low - mean) / spread), ndtr((mean - high) / spread)
    p_middle = 1 - p_low - p_high
    p_low, p_high = max(p_low, least), max(p_high, least)
    if last < 1:
        p_middle = max(p_middle, 1 - last)
    total = p_low + p_high + p_middle
    room = total - 3 * least if last == 1 else total - alpha - (1 - last)
    change = (1 - total) / room
    p_low, p_high = p_low + change * (p_low - least), p_high + change * (p_high - least)
    c_low, c_high = -ndtri(p_low), -ndtri(p_high)
    return (low * c_high + high * c_low) / (c_low + c_high), (high - low) / (c_low + c_high), p_low + p_high


class ASNG:
    """The probabilities of categories, adapted by natural gradient with adaptive steps."""

    def __init__(self, odds, alpha):
        self.odds = [np.array(q, float) for q in odds]  # of each choice
        self.least = [alpha / (len(q) - 1) for q in odds]
        self.path = [np.zeros(len(q) - 1) for q in odds]
        self.gamma, self.Delta = 0.0, 1.0

    def step(self, categories, weights, rate=1.0):
        """Learn from the best rows (k, choices) of categories, and their weights (k,)."""
        gradient = [
            sum(w * (np.eye(len(q))[c] - q) for w, c in zip(weights, column, strict=True))
            for q, column in zip(self.odds, categories.T, strict=True)
        ]
        fisher = [
            g[:-1] / np.sqrt(q[:-1]) + np.sqrt(q[:-1]) * g[:-1].sum() / (q[-1] + np.sqrt(q[-1]))
            for g, q in zip(gradient, self.odds, strict=True)
        ]
        length, delta = np.linalg.norm(np.concatenate(fisher)), 1 / self.Delta
        beta = min(1, delta / np.sqrt(sum(len(q) - 1 for q in self.odds)))
        gain = beta * (2 - beta)
        self.path = [
            (1 - beta) * s + np.sqrt(gain) * g / length for s, g in zip(self.path, fisher, strict=True)
        ]
        self.gamma = (1 - beta) ** 2 * self.gamma + gain
        self.Delta *= np.exp(beta * (self.gamma - np.linalg.norm(np.concatenate(self.path)) ** 2 / 1.5))
        moved = [q + rate * delta * g / length for q, g in zip(self.odds, gradient, strict=True)]
        self.odds = [at_least(least, q) for least, q in zip(self.least, moved, strict=True)]


def at_least(least, odds):
    """Return probabilities of sum 1 that are at least `least`."""
    odds = np.maximum(odds, least)
    odds = odds - (odds.sum() - 1) * (odds - least) / (odds.sum() - len(odds) * least)
    return odds / odds.sum()
