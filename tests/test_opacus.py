"""Canaries in real Opacus trainings, small ones: the observations, what is left untouched, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")
pytest.importorskip("opacus")

from opacus import PrivacyEngine  # noqa: E402
from opacus.optimizers import DPOptimizer  # noqa: E402
from opacus.schedulers import ExponentialNoise  # noqa: E402
from opacus.utils.batch_memory_manager import BatchMemoryManager  # noqa: E402
from torch import nn  # noqa: E402

from auditkit import InputError  # noqa: E402
from auditkit.privacy import opacus  # noqa: E402
from auditkit.privacy.coins import toss_coins  # noqa: E402
from auditkit.privacy.epsilon.one_run import one_run_bound  # noqa: E402
from auditkit.privacy.trace import conformance, directions  # noqa: E402
from auditkit.privacy.trace.statistics import step_scores  # noqa: E402

MODES = ("hooks", "functorch", "ew", "ghost")
QUIET = 1e-9  # a noise multiplier that leaves the draws themselves to be read
REJECT = 1e-6


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Training:
    """A small private training that can be run step by step."""

    model: Any
    optimizer: Any
    loader: Any
    criterion: Any
    engine: Any
    virtual: int = 0

    def steps(self, n: int) -> None:
        """Physical batches until `n` logical steps are made."""
        made = 0
        while made < n:
            loader = self.loader
            if self.virtual:
                loader = BatchMemoryManager(
                    data_loader=loader, max_physical_batch_size=self.virtual, optimizer=self.optimizer
                ).__enter__()
            for x, y in loader:
                self.optimizer.zero_grad()
                self.criterion(self.model(x), y).backward()
                last = not self.optimizer._check_skip_next_step(pop_next=False)
                self.optimizer.step()
                made += last
                if made == n:
                    return

    def weights(self) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.model.parameters()]).clone()


def training(
    mode: str = "hooks",
    *,
    sigma: float = 0.7,
    clip: float = 0.5,
    records: int = 64,
    batch: int = 16,
    reduction: str = "mean",
    wrap: bool = True,
    accountant: str = "rdp",
    optimizer_class: type[DPOptimizer] | None = None,
    virtual: int = 0,
    seed: int = 3,
    **options: Any,
) -> Training:
    """184 weights in four layers; the same torch seed gives the same training."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 12), nn.Tanh(), nn.Linear(12, 4))
    data = torch.utils.data.TensorDataset(torch.randn(records, 10), torch.randint(0, 4, (records,)))
    engine = PrivacyEngine(accountant=accountant)
    criterion = nn.CrossEntropyLoss(reduction=reduction)
    made = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        data_loader=torch.utils.data.DataLoader(data, batch_size=batch),
        noise_multiplier=sigma,
        max_grad_norm=clip,
        grad_sample_mode=mode,
        wrap_model=wrap,
        loss_reduction=reduction,
        **({"criterion": criterion} if mode == "ghost" else {}),
        **options,
    )
    wrapped, optimizer = made[0], made[1]
    if mode == "ghost":
        criterion = made[2]
    if optimizer_class is not None:
        optimizer.__class__ = optimizer_class
    return Training(wrapped if wrap else model, optimizer, made[-1], criterion, engine, virtual)


def traced(steps: int = 60, *, canaries: int = 100, attach: dict[str, Any] | None = None, **options: Any):
    """A trace of a whole training."""
    run = training(**options)
    trace = opacus.attach(
        run.optimizer,
        canaries=canaries,
        **{"seed": 5, "data_loader": run.loader, "model": run.model, "keep": True, **(attach or {})},
    )
    with trace:
        run.steps(steps)
    return trace, run


class Unclipped(DPOptimizer):
    """Forgets to clip."""

    def clip_and_accumulate(self) -> None:
        for p in self.params:
            total = self._get_flat_grad_sample(p).sum(dim=0)
            p.summed_grad = total if p.summed_grad is None else p.summed_grad + total
            p.grad_sample._processed = True


class HalfNoise(DPOptimizer):
    """Adds half of the noise that it declares."""

    def add_noise(self) -> None:
        declared, self.noise_multiplier = self.noise_multiplier, self.noise_multiplier / 2
        super().add_noise()
        self.noise_multiplier = declared


def noise_p_value(trace: opacus.Trace, sigma: float) -> float:
    """Two-sided exact p-value of the noise's variance, from the canaries that do not take part."""
    squares = trace.observations[:, ~trace.member] ** 2 / sigma**2
    law = stats.chi2(squares.size)
    return 2 * min(law.cdf(squares.sum()), law.sf(squares.sum()))


# --- what the observations are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_observations_have_the_declared_mean_and_variance(mode, wrap):
    if mode == "ew" and not wrap:
        pytest.skip("Opacus has no such engine")
    trace, _ = traced(mode=mode, wrap=wrap)
    assert trace.observations.shape == (60, 100)
    assert noise_p_value(trace, 0.7) > REJECT
    excess = trace.observations[:, trace.member].sum() - trace._statistics.draws.sum()
    z = excess / (0.7 * np.sqrt(60 * trace.member.sum()))
    assert 2 * stats.norm.sf(abs(z)) > REJECT
    rate = stats.binomtest(int(trace._statistics.draws.sum()), 60 * int(trace.member.sum()), 0.25)
    assert rate.pvalue > REJECT


@pytest.mark.parametrize("kind", ["coordinate", "orthonormal"])
@pytest.mark.parametrize("mode", MODES)
def test_without_noise_an_observation_is_the_draw_itself(mode, kind):
    trace, _ = traced(20, mode=mode, sigma=QUIET, attach={"kind": kind})
    # the sum of at most 40 clipped gradients, rounded to float32 twice, over C
    tolerance = 60 * 2**-22
    x = trace.observations
    assert np.all((abs(x) < tolerance) | (abs(x - 1) < tolerance * 10))
    assert np.array_equal((x > 0.5).sum(axis=0), trace._statistics.draws)
    assert trace._statistics.draws[trace.member].sum() > 0
    assert trace._statistics.draws[~trace.member].sum() == 0


def test_scores_and_sums_are_those_of_the_kept_observations():
    trace, _ = traced()
    x, found = trace.observations, trace._statistics
    brute = np.log(1 - 0.25 + 0.25 * np.exp((2 * x - 1) / (2 * 0.7**2))).sum(axis=0)
    np.testing.assert_allclose(trace.scores["llr"], np.clip(brute, -50, 50), rtol=0, atol=1e-11)
    np.testing.assert_allclose(trace.scores["sum"], x.sum(axis=0), atol=1e-11)
    for power in (1, 2, 3, 4):
        np.testing.assert_allclose(
            getattr(found, f"sum{power}"), (x**power).sum(axis=0), rtol=1e-11, atol=1e-11
        )
    for lag in (1, 2):
        np.testing.assert_allclose(getattr(found, f"lag{lag}"), (x[lag:] * x[:-lag]).sum(axis=0), atol=1e-11)
    first, second = found.pairs.T
    assert len({*first, *second}) == 2 * len(found.pairs) >= (~trace.member).sum() - 1
    assert not trace.member[found.pairs].any()
    np.testing.assert_allclose(found.pair_sum, (x[:, first] * x[:, second]).sum(axis=0), atol=1e-11)
    np.testing.assert_allclose(found.step_sum2, (x[:, ~trace.member] ** 2).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("rate", [1e-3, 0.3, 1.0])
def test_step_scores_are_the_log_ratio_of_two_densities(rate):
    x = np.linspace(-3, 4, 50)
    norm = stats.norm(scale=0.6)
    ratio = np.log(((1 - rate) * norm.pdf(x) + rate * norm.pdf(x - 1)) / norm.pdf(x))
    np.testing.assert_allclose(step_scores(x, sigma=0.6, rate=rate), ratio, rtol=1e-9, atol=1e-12)
    assert np.all(np.isfinite(step_scores(np.array([-1e9, 1e9]), sigma=1e-3, rate=rate)))


@pytest.mark.parametrize("mode", ["hooks", "ghost"])
def test_virtual_batches_act_once_a_logical_step(mode):
    whole, _ = traced(12, mode=mode)
    split, _ = traced(12, mode=mode, virtual=5)
    assert split.n_steps == 12
    np.testing.assert_array_equal(split._statistics.draws, whole._statistics.draws)
    np.testing.assert_array_equal(split.per_step["batch_size"], whole.per_step["batch_size"])
    np.testing.assert_allclose(split.observations, whole.observations, atol=60 * 2**-21)


@pytest.mark.parametrize("mode", ["hooks", "functorch", "ghost"])  # Opacus cannot: ew
def test_empty_batches_are_steps_like_others(mode):
    trace, _ = traced(60, mode=mode, records=20, batch=1)
    sizes = trace.per_step["batch_size"]
    assert (sizes == 0).sum() > 5
    assert sizes.max() > 0
    assert noise_p_value(trace, 0.7) > REJECT


@pytest.mark.parametrize("mode", ["hooks", "ghost"])
def test_a_summed_loss_is_not_rescaled(mode):
    trace, _ = traced(20, mode=mode, reduction="sum", sigma=QUIET)
    np.testing.assert_array_equal((trace.observations > 0.5).sum(axis=0), trace._statistics.draws)
    assert np.allclose(trace.observations.max(), 1, atol=1e-3)


def test_accumulated_batches_raise_the_rate_as_the_accountant_is_told():
    run = training(sigma=QUIET, poisson_sampling=False)
    trace = opacus.attach(run.optimizer, canaries=100, seed=5, keep=True)
    batches = list(run.loader)
    for _ in range(15):
        run.optimizer.zero_grad()
        for x, y in batches[:2]:
            run.criterion(run.model(x), y).backward()
        run.optimizer.step()
    assert set(trace.per_step["rate"]) == {0.5} == set(trace.per_step["accounted_rate"])
    assert set(trace.per_step["batch_size"]) == {32}
    np.testing.assert_array_equal((trace.observations > 0.5).sum(axis=0), trace._statistics.draws)


def test_shuffled_batches_leave_the_real_sum_in():
    shuffled = {"sigma": QUIET, "poisson_sampling": False}
    trace, _ = traced(10, attach={"sampler": "shuffle"}, **shuffled)
    assert trace.declared()["sampler"] == "shuffle"
    assert not trace.summary().real_sum_subtracted
    x = trace.observations[:, ~trace.member]
    assert np.median(abs(x)) > 0.01
    taken_off, _ = traced(10, attach={"data_loader": None}, **shuffled)
    assert abs(taken_off.observations[:, ~trace.member]).max() < 1e-4


@pytest.mark.parametrize("narrow", [torch.float32, torch.bfloat16])  # NumPy has no bfloat16
@pytest.mark.parametrize("kind", ["coordinate", "orthonormal"])
def test_parameters_of_any_layout_and_precision_are_followed(kind, narrow):
    rng = np.random.default_rng(1)
    parameters = [
        nn.Parameter(torch.zeros(5, 7, dtype=torch.float64)),
        nn.Parameter(torch.zeros(6, dtype=narrow)),
    ]
    # the first is not contiguous; whole numbers below 2^8 are exact in bfloat16
    clean = [torch.randn(7, 5, dtype=torch.float64).t(), torch.randint(0, 99, (6,)).to(narrow)]
    make = directions.Coordinates if kind == "coordinate" else directions.Orthonormal
    planted = make(parameters, 41, rng)
    for p, total in zip(parameters, clean, strict=True):
        p.summed_grad = total.clone()
    captured, drawn = planted.capture(), np.array([0, 3, 34, 35, 40])
    planted.inject(drawn, 2.0)
    for p in parameters:
        p.grad = p.summed_grad / 4
    expected = np.zeros(41)
    expected[drawn] = 2.0
    # orthonormal directions have entries below 1, which bfloat16 rounds beside sums of up to 2^7 to 2^-2 at worst
    tolerance = 2e-5 if kind == "coordinate" or narrow == torch.float32 else 0.25 * np.sqrt(6)
    np.testing.assert_allclose(planted.observe(captured, 4.0), expected, atol=tolerance)
    assert planted.observe(None, 4.0).shape == (41,)


def test_the_summary_is_that_of_the_kept_observations():
    trace, _ = traced(12, attach={"steps": 20})
    summary = trace.summary()
    x = trace.observations
    assert (summary.n_canaries, summary.n_steps, summary.n_records) == (100, 12, 64)
    assert dict(summary.declared) == {
        "sigma": 0.7,
        "sampling_rate": 0.25,
        "steps": 20,
        "clip": 0.5,
        "sampler": "poisson",
        "epsilon": None,
        "delta": None,
        "expected_batch_size": 16,
    }
    assert summary.real_sum_subtracted
    assert summary.layers == ("0.weight", "0.bias", "2.weight", "2.bias")
    np.testing.assert_allclose(summary.sum2, (x**2).sum(axis=0))
    np.testing.assert_array_equal(summary.draws, trace._statistics.draws)
    np.testing.assert_array_equal(summary.batch_sizes, trace.per_step["batch_size"])
    assert set(summary.accounted_sigma) == {0.7}
    assert set(summary.accounted_rate) == {0.25}
    before = summary.sum1.copy()
    trace._statistics.sum1 += 1  # a summary is a copy: the training may go on
    np.testing.assert_array_equal(summary.sum1, before)


def test_a_trace_without_steps_has_scores_but_no_summary():
    trace, _ = traced(0)
    assert not trace.scores["llr"].any()
    with pytest.raises(InputError, match="must have seen at least one step") as caught:
        trace.summary()
    assert caught.value.id == "AK-OP-009"


def test_observations_that_overflow_are_refused_and_not_scored(tmp_path):
    run = training()
    trace = opacus.attach(run.optimizer, canaries=10, seed=1)
    run.steps(2)
    with torch.no_grad():
        next(run.model.parameters()).fill_(float("nan"))
    run.steps(2)
    for ask in (lambda: trace.scores, trace.summary, trace.group, lambda: trace.save(tmp_path / "t.npz")):
        with pytest.raises(
            InputError, match="observations must be finite, and those of step 2 are not"
        ) as caught:
            ask()
        assert caught.value.id == "AK-OP-013"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["coordinate", "orthonormal"])
def test_the_group_of_a_manifest_has_the_coins_of_its_seed(kind):
    trace, _ = traced(2, attach={"kind": kind})
    group = trace.group()
    assert group.kind == f"gradient-{kind}"
    assert np.array_equal(group.bits, toss_coins(5, group.kind, 100))
    assert np.array_equal(group.unit, np.arange(100))
    assert list(group.scores) == ["llr", "sum"]


# --- what it finds ---------------------------------------------------------------------------------------------------


def failed_tests(trace: opacus.Trace) -> set[str]:
    tests = conformance.run_tests(conformance.moments_of(trace.summary(), 0.95))
    return {test.name for test in tests if test.status == "fail"}


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_does_what_it_declares_fits(mode):
    trace, _ = traced(mode=mode)
    assert failed_tests(trace) == set()
    if mode == "hooks":
        assert trace.mechanism_fit(delta=1e-5).status == "consistent"


def test_the_fit_names_noise_clipping_and_sampling():
    assert failed_tests(traced(optimizer_class=HalfNoise)[0]) == {"noise"}
    assert "clipping of a probe" in failed_tests(traced(optimizer_class=Unclipped)[0])
    shuffled, _ = traced(poisson_sampling=False, attach={"data_loader": None})  # nobody told that it shuffles
    assert "Poisson sampling" in failed_tests(shuffled)


def test_clipping_is_probed_and_a_canary_has_the_size_that_comes_out():
    trace, _ = traced(20)
    np.testing.assert_allclose(trace.per_step["clip_ratio"], 1, atol=1e-4)
    trace, _ = traced(20, sigma=QUIET, optimizer_class=Unclipped)
    np.testing.assert_allclose(trace.per_step["clip_ratio"], 10, rtol=1e-4)
    members = trace.observations[:, trace.member]
    np.testing.assert_allclose(members[members > 0.5], 10, rtol=1e-3)
    assert np.isnan(traced(3, mode="ghost")[0].per_step["clip_ratio"]).all()


def test_half_of_the_noise_shows_in_the_variance():
    trace, _ = traced(optimizer_class=HalfNoise)
    assert noise_p_value(trace, 0.7) < REJECT
    assert noise_p_value(trace, 0.35) > REJECT
    assert set(trace.per_step["accounted_sigma"]) == {0.7}


def test_noise_that_changes_is_scored_step_by_step_and_not_summarised():
    run = training()
    scheduler = ExponentialNoise(run.optimizer, gamma=0.9)
    with opacus.attach(run.optimizer, canaries=50, seed=5, keep=True) as trace:
        for _ in range(4):
            run.steps(2)
            scheduler.step()
    sigmas = 0.7 * 0.9 ** np.repeat(np.arange(4), 2)
    assert trace.declared()["sigma"] is None
    np.testing.assert_allclose(trace.per_step["sigma"], sigmas)
    brute = sum(step_scores(x, sigma=s, rate=0.25) for x, s in zip(trace.observations, sigmas, strict=True))
    np.testing.assert_allclose(trace.scores["llr"], brute)
    with pytest.raises(InputError, match="trace: must have one sigma over all steps") as caught:
        trace.summary()
    assert caught.value.id == "AK-OP-009"


# --- what it leaves alone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_training_is_bit_identical_while_no_canary_takes_part(mode, monkeypatch):
    monkeypatch.setattr(opacus, "toss_coins", lambda seed, kind, m: np.zeros(m, bool))
    plain = training(mode)
    plain.steps(15)
    _, audited = traced(15, mode=mode)
    assert torch.equal(plain.weights(), audited.weights())


def test_the_probe_leaves_the_gradients_of_the_records():
    run = training()
    trace = opacus.attach(run.optimizer, canaries=10, seed=1)
    run.steps(1)
    for p in run.optimizer.params:
        assert len(p.grad_sample) == trace.per_step["batch_size"][0] > 1
        assert p.grad_sample._processed


def test_canaries_that_take_part_change_the_training(monkeypatch):
    monkeypatch.setattr(opacus, "toss_coins", lambda seed, kind, m: np.ones(m, bool))
    plain = training()
    plain.steps(5)
    assert not torch.equal(plain.weights(), traced(5)[1].weights())


@pytest.mark.parametrize("mode", MODES)
def test_the_accountant_hears_what_it_heard(mode):
    plain = training(mode)
    plain.steps(8)
    trace, audited = traced(8, mode=mode)
    assert audited.engine.accountant.history == plain.engine.accountant.history
    assert set(trace.per_step["accounted_sigma"]) == {0.7}
    assert set(trace.per_step["accounted_rate"]) == {0.25}


def test_what_is_declared_is_what_the_accountant_says_of_the_steps_seen():
    plain = training()
    plain.steps(8)
    trace, audited = traced(8)
    audited.steps(1)  # after detaching: not a step of this trace
    declared = trace.declared(1e-5)
    assert declared["epsilon"] == plain.engine.get_epsilon(1e-5)
    assert {k: declared[k] for k in ("sigma", "sampling_rate", "steps", "clip", "sampler")} == {
        "sigma": 0.7,
        "sampling_rate": 0.25,
        "steps": 8,
        "clip": 0.5,
        "sampler": "poisson",
    }


@pytest.mark.parametrize("mode", ["hooks", "ghost"])
def test_detach_puts_the_optimizer_back(mode):
    run = training(mode)
    before = dict(run.optimizer.__dict__)
    trace = opacus.attach(run.optimizer, canaries=10, seed=1)
    assert run.optimizer.__dict__ != before
    run.steps(2)
    trace.detach()
    trace.detach()
    assert run.optimizer.__dict__ == before
    assert run.optimizer.step_hook is before["step_hook"]
    run.steps(1)
    assert trace.n_steps == 2
    opacus.attach(run.optimizer, canaries=10, seed=1).detach()


def test_the_same_seed_gives_the_same_trace():
    one, two, three = (traced(5, attach={"seed": seed})[0] for seed in (7, 7, 8))
    assert np.array_equal(one.member, two.member)
    assert np.array_equal(one.observations, two.observations)
    assert not np.array_equal(one.observations, three.observations)
    assert not one.member.flags.writeable
    drawn = opacus.attach(training().optimizer, canaries=5)
    assert drawn.seed != opacus.attach(training().optimizer, canaries=5).seed


def test_importing_the_module_imports_neither_torch_nor_opacus():
    program = (
        "import sys, auditkit.privacy; auditkit.privacy.opacus; print({'torch', 'opacus'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_layers_carry_the_names_that_are_known():
    run = training()
    named = opacus.attach(run.optimizer, canaries=184, seed=1, model=run.model)
    assert named._run.layers == ("0.weight", "0.bias", "2.weight", "2.bias")
    assert np.bincount(named._run.layer).tolist() == [120, 12, 48, 4]
    named.detach()
    plain = opacus.attach(run.optimizer, canaries=3, seed=1)
    assert plain._run.layers[0] == "parameter 0 (12 x 10)"


# --- no false claim --------------------------------------------------------------------------------------------------


def test_drowned_canaries_give_a_positive_bound_in_at_most_five_percent_of_trainings():
    positive, trainings = 0, 40
    for seed in range(trainings):
        trace, _ = traced(4, sigma=1e3, canaries=100, seed=seed, attach={"seed": seed, "keep": False})
        order = np.argsort(trace.scores["llr"])
        guesses = np.concatenate([~trace.member[order[:10]], trace.member[order[-10:]]])
        bound = one_run_bound(canaries=100, guesses=20, correct=int(guesses.sum()), delta=1e-5)
        positive += bound.epsilon > 0
    assert stats.binomtest(positive, trainings, 0.05, alternative="greater").pvalue > 1e-3


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_a_saved_trace_says_the_same(tmp_path, keep):
    trace, _ = traced(6, attach={"keep": keep, "steps": 6})
    trace.save(tmp_path / "trace.npz")
    again = opacus.Trace.load(tmp_path / "trace.npz")
    assert np.array_equal(again.member, trace.member)
    assert again.seed == trace.seed
    for name, values in trace.scores.items():
        assert np.array_equal(again.scores[name], values)
    assert again.declared() == trace.declared()
    if not keep:
        assert again.epsilon(1e-5) == trace.epsilon(1e-5)
    if keep:
        assert np.array_equal(again.observations, trace.observations)
    again.save(tmp_path / "twice.npz")
    assert (tmp_path / "twice.npz").read_bytes() == (tmp_path / "trace.npz").read_bytes()


def test_damaged_trace_files_are_refused_in_one_line(tmp_path):
    trace, _ = traced(3)
    trace.save(tmp_path / "trace.npz")
    data = (tmp_path / "trace.npz").read_bytes()
    rng = np.random.default_rng(0)
    broken = tmp_path / "broken.npz"
    for cut in [*range(0, len(data), 997), *(None,) * 60]:
        damaged = bytearray(data if cut is None else data[:cut])
        if cut is None:
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        broken.write_bytes(damaged)
        try:
            again = opacus.Trace.load(broken)
        except InputError as error:
            assert error.id == "AK-OP-011"
            assert "\n" not in str(error)
        else:  # a bit of a time stamp or name that nothing depends on
            assert np.array_equal(again.scores["llr"], trace.scores["llr"])


def test_trace_files_with_other_content_are_refused(tmp_path):
    trace, _ = traced(3)
    trace.save(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    changes: list[dict[str, Any]] = [
        {"llr": arrays["llr"].astype(np.float32)},
        {"llr": arrays["llr"][1:]},
        {"llr": arrays["llr"] * np.nan},
        {"pairs": arrays["pairs"] + 1000},
        {"layer": arrays["layer"] + 9},
        {"extra": arrays["llr"]},
        {"bits": np.array([object()] * 100)},
        {"json": np.frombuffer(b'{"schema": "other"}', np.uint8)},
        {"json": np.frombuffer(arrays["json"].tobytes().replace(b'"seed": 5', b'"seed": "5"'), np.uint8)},
        {"json": np.frombuffer(arrays["json"].tobytes().replace(b'"seed"', b'"weed"'), np.uint8)},
        {"json": np.frombuffer(arrays["json"].tobytes().replace(b'"sigma": 0.7', b'"sigma": -1'), np.uint8)},
        {"json": np.frombuffer(arrays["json"].tobytes().replace(b'"poisson"', b'"fish"'), np.uint8)},
    ]
    for change in changes:
        np.savez(tmp_path / "other.npz", **{**arrays, **change})
        with pytest.raises(InputError, match=r"must be a trace that Trace\.save wrote") as caught:
            opacus.Trace.load(tmp_path / "other.npz")
        assert caught.value.id == "AK-OP-011", change


# --- refusals --------------------------------------------------------------------------------------------------------


def refused(id: str, match: str, optimizer: Any = None, **options: Any) -> None:
    optimizer = training().optimizer if optimizer is None else optimizer
    before = dict(optimizer.__dict__)
    with pytest.raises(InputError, match=match) as caught:
        opacus.attach(optimizer, **{"canaries": 10, "seed": 1, **options})
    assert caught.value.id == id
    assert "\n" not in str(caught.value)
    assert optimizer.__dict__ == before


def test_other_optimizers_are_refused():
    model = nn.Linear(2, 2)
    refused("AK-OP-001", "must be opacus.*not SGD", torch.optim.SGD(model.parameters(), lr=0.1))
    layered = training(clipping="per_layer", clip=[0.5] * 4)
    refused("AK-OP-001", r"DPPerLayerOptimizer \(per-layer clipping\)", layered.optimizer)
    adaptive = training(
        clipping="adaptive",
        target_unclipped_quantile=0.5,
        clipbound_learning_rate=0.1,
        max_clipbound=1.0,
        min_clipbound=0.1,
        unclipped_num_std=1.0,
    )
    refused("AK-OP-001", r"AdaClipDPOptimizer \(adaptive clipping\)", adaptive.optimizer)
    frozen = training()
    for p in frozen.model.parameters():
        p.requires_grad_(False)
    refused("AK-OP-001", "must have trainable parameters", frozen.optimizer)


def test_canaries_that_do_not_fit_are_refused(monkeypatch):
    for canaries in (0, 185, 2.5, True, "9"):
        refused("AK-OP-002", "from 1 to the number of trainable weights, 184", canaries=canaries)
    monkeypatch.setattr(directions, "LARGEST_MATRIX", 1000)
    refused("AK-OP-003", "at most 5 for kind 'orthonormal'.*1,840 entries", kind="orthonormal")


def test_rates_that_are_missing_or_contradict_the_accountant_are_refused():
    run = training()
    refused(
        "AK-OP-004", "must be what the accountant is told, 0.25, not 0.1", run.optimizer, sampling_rate=0.1
    )
    refused("AK-OP-004", r"must lie in \(0, 1\]", run.optimizer, sampling_rate=1.5)
    run.optimizer.step_hook = None
    refused("AK-OP-004", "must be given where the optimizer carries no hook", run.optimizer)
    trace = opacus.attach(run.optimizer, canaries=10, seed=1, sampling_rate=0.2)
    run.steps(1)
    assert trace.declared()["sampling_rate"] == 0.2
    assert np.isnan(trace.per_step["accounted_rate"]).all()
    with pytest.raises(InputError, match="must come from an accountant") as caught:
        trace.epsilon(1e-5)
    assert caught.value.id == "AK-OP-008"


def test_shuffled_batches_where_poisson_is_declared_are_refused():
    run = training(poisson_sampling=False)
    for sampler in (None, "poisson"):
        refused(
            *("AK-OP-005", "must draw Poisson batches.*not those of BatchSampler", run.optimizer),
            data_loader=run.loader,
            sampler=sampler,
        )
    opacus.attach(run.optimizer, canaries=5, data_loader=run.loader, sampler="shuffle").detach()
    split = BatchMemoryManager(data_loader=run.loader, max_physical_batch_size=4, optimizer=run.optimizer)
    refused("AK-OP-005", "must draw Poisson batches", run.optimizer, data_loader=split.__enter__())


def test_other_arguments_out_of_range_are_refused():
    refused("AK-OP-006", "kind: must be 'coordinate' or 'orthonormal'", kind="dirac")
    refused("AK-OP-006", "sampler: must be 'poisson', 'shuffle' or 'unknown'", sampler="Poisson")
    refused("AK-OP-006", "seed: must be a whole number from 0", seed=-1)
    refused("AK-OP-006", "probe_every: must be a whole number from 1", probe_every=0)
    refused("AK-OP-006", "steps: must be a whole number from 1", steps=1.5)
    refused("AK-OP-006", "accountant: must be an accountant of Opacus", accountant=PrivacyEngine())
    refused("AK-OP-006", "noise_multiplier: must be a number above 0, not 0", training(sigma=0).optimizer)
    trace, _ = traced(2)
    for delta in (0, 1, "x", float("nan")):
        with pytest.raises(InputError, match="delta: must lie in") as caught:
            trace.epsilon(delta)
        assert caught.value.id == "AK-OP-006"


def test_a_second_trace_is_refused_while_one_is_attached():
    run = training()
    with opacus.attach(run.optimizer, canaries=10, seed=1):
        refused("AK-OP-007", "must have no trace attached", run.optimizer)


def test_observations_that_were_not_kept_are_not_invented():
    trace, _ = traced(2, attach={"keep": False})
    with pytest.raises(InputError, match="must have been kept") as caught:
        _ = trace.observations
    assert caught.value.id == "AK-OP-010"


def test_an_optimizer_that_changes_under_the_trace_is_noticed():
    run = training()
    opacus.attach(run.optimizer, canaries=10, seed=1)
    run.optimizer.attach_step_hook(lambda optimizer: None)
    with pytest.raises(InputError, match="must keep the step_hook") as caught:
        run.steps(2)
    assert caught.value.id == "AK-OP-012"


def test_a_layer_that_is_frozen_under_the_trace_is_noticed():
    run = training()
    opacus.attach(run.optimizer, canaries=10, seed=1)
    run.steps(1)
    next(run.model.parameters()).requires_grad_(False)
    with pytest.raises(InputError, match="must go on training the parameters") as caught:
        run.steps(1)
    assert caught.value.id == "AK-OP-012"


@pytest.mark.parametrize("mode", ["hooks", "ghost"])
def test_what_was_put_on_top_stays_after_detaching(mode):
    plain = training(mode)
    plain.steps(3)
    run = training(mode)
    trace = opacus.attach(run.optimizer, canaries=10, seed=1)
    name = "accumulate" if mode == "ghost" else "clip_and_accumulate"
    ours, hook, calls = getattr(run.optimizer, name), run.optimizer.step_hook, []

    def on_top() -> None:
        calls.append("clip")
        ours()

    def hook_on_top(optimizer: Any) -> None:
        calls.append("hook")
        hook(optimizer)

    setattr(run.optimizer, name, on_top)
    run.optimizer.attach_step_hook(hook_on_top)
    trace.detach()
    run.steps(3)
    assert calls == ["clip", "hook"] * 3
    assert trace.n_steps == 0
    assert torch.equal(run.weights(), plain.weights())
    assert run.engine.accountant.history == plain.engine.accountant.history


def test_missing_opacus_is_one_line_with_the_install_command(monkeypatch):
    run = training()
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(InputError, match="needs opacus") as caught:
        opacus.attach(run.optimizer)
    assert caught.value.id == "AK-EX-001"
    assert caught.value.hint == "pip install 'auditkit-ml[torch]'"
